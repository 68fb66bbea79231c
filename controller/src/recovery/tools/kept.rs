//! Whether the values that a plan keeps are still those that they were, without keeping any.

use std::collections::BTreeMap;

use reprise_crds::RecoveryPlanSpec;
use reprise_crds::plan::AppSpec;
use reprise_crds::variables;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

use super::Tools;
use crate::providers::scalingo::variables::Aliases;
use crate::runtime::chain::Chain;

/// So many digits are kept: enough to see a change, too few to find a value by, were the key known.
const DIGITS: usize = 8;

impl Tools {
    /// For each app of `plan` with variables that are kept: a digest of all their values, keyed with the platform's token, which is no
    /// record of ours. Of an app that nobody can be asked about there is none.
    pub(crate) async fn kept(&self, plan: &RecoveryPlanSpec) -> BTreeMap<String, String> {
        let mut kept = BTreeMap::new();
        for app in &plan.apps {
            if let Some(digest) = self.kept_by(plan, app).await {
                kept.insert(app.name.clone(), digest);
            }
        }
        kept
    }

    async fn kept_by(&self, plan: &RecoveryPlanSpec, app: &AppSpec) -> Option<String> {
        let names = variables::kept(plan, app);
        if names.is_empty() {
            return None;
        }
        let key = Sha256::digest(self.config.scalingo.as_ref()?.token.expose_secret());
        let old = app.replaces.as_deref().unwrap_or(&plan.source.app);
        let listed = match self.platform(&plan.source.region) {
            Ok(platform) => platform.variables(old, Aliases::Raw).await.map_err(|e| Chain(&e).to_string()),
            Err(error) => Err(Chain(&error).to_string()),
        };
        let listed = listed.inspect_err(|why| tracing::debug!(app = old, why, "kept values are not known"));
        let values = listed.ok()?.into_iter().map(|known| (known.name, known.value));
        let values = values.filter(|(name, _)| names.contains(name)).collect();
        Some(digest(&key, &values))
    }
}

/// Of all the values together, each under its name.
fn digest(key: &[u8], values: &BTreeMap<String, SecretString>) -> String {
    let mut hash = Sha256::new();
    hash.update(key);
    for (name, value) in values {
        hash.update(Sha256::digest(name));
        hash.update(Sha256::digest(value.expose_secret()));
    }
    hex::encode(hash.finalize())[..DIGITS].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_value_another_name_and_another_key_are_told_apart() {
        let of = |key: &str, values: &[(&str, &str)]| {
            let values = values.iter().map(|(name, value)| ((*name).to_owned(), SecretString::from(*value)));
            digest(key.as_bytes(), &values.collect())
        };
        let kept = of("k", &[("A", "1"), ("B", "2")]);
        assert_eq!((kept.len(), of("k", &[("B", "2"), ("A", "1")])), (DIGITS, kept.clone()));
        for other in [
            of("k", &[("A", "1"), ("B", "3")]),
            of("k", &[("A", "1"), ("C", "2")]),
            of("k", &[("A", "1B2")]),
            of("k", &[("A", "1")]),
            of("l", &[("A", "1"), ("B", "2")]),
        ] {
            assert_ne!(other, kept);
        }
    }
}
