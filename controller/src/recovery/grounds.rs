//! What a drill stands on: the plan, the secrets, the tools. A change of any of them ends what the drill has proven.

use std::collections::BTreeMap;

use reprise_crds::RecoveryPlanSpec;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::accept::references_of;
use super::outputs::Outputs;
use super::step::Step;
use super::tools::Tools;
use crate::config::{Config, References};
use crate::store::StoreError;

/// So many digits are kept of the digest of all secrets together: enough to see a change, too few to find a secret by.
const SECRET_DIGITS: usize = 8;

/// What a drill stands on, as known without asking anybody outside.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grounds {
    /// Digest of the plan's spec.
    pub plan: String,
    /// Short digest of every secret that the plan refers to and of the vendors' tokens, all in one.
    pub secrets: String,
    /// Versions by program.
    pub tools: BTreeMap<String, String>,
    /// Fingerprints: of our SSH key, and those that the platform's server may show. An earlier release kept none.
    #[serde(default)]
    pub ssh: BTreeMap<String, String>,
}

impl Grounds {
    /// As it is now; `None` if there is no such plan, or it cannot be read.
    pub async fn now(tools: &Tools, plan: &str) -> Result<Option<Self>, StoreError> {
        let Some(row) = tools.store.plan(plan).await? else { return Ok(None) };
        Ok(Self::of(tools, &row.spec).await)
    }

    /// Of a drill when it began; `None` where its records do not tell.
    pub fn of_drill(outputs: &Outputs) -> Option<Self> {
        #[derive(Deserialize)]
        struct Before {
            grounds: Option<Grounds>,
        }
        outputs.find::<Before>(&Step::Inventory).ok().flatten()?.grounds
    }

    /// With `spec` as the plan's; `None` if it cannot be read.
    pub async fn of(tools: &Tools, spec: &Value) -> Option<Self> {
        let plan = RecoveryPlanSpec::from_json(spec.clone()).ok()?;
        Some(Self {
            plan: hex::encode(Sha256::digest(spec.to_string())),
            secrets: secrets(&plan, &tools.references, &tools.config),
            tools: tools.programs().await,
            ssh: ssh(tools, &plan.target.region),
        })
    }
}

/// What is public of both keys. A key that cannot be read is another one than it was.
fn ssh(tools: &Tools, region: &str) -> BTreeMap<String, String> {
    let key = match tools.configured_ssh_key() {
        Ok(Some(key)) => key.fingerprint(),
        Ok(None) => "one for each request".to_owned(),
        Err(_) => "unreadable".to_owned(),
    };
    let pinned = tools.pinned_host_key(region).ok().flatten().unwrap_or("none").to_owned();
    BTreeMap::from([("key".to_owned(), key), ("host key".to_owned(), pinned)])
}

/// One digest of all of them: whoever reads it would have to know all but one to guess at that one.
fn secrets(plan: &RecoveryPlanSpec, references: &References, config: &Config) -> String {
    let mut hash = Sha256::new();
    let mut add = |name: &str, value: Option<&str>| {
        hash.update(name);
        hash.update([0]);
        hash.update(value.unwrap_or_default());
        hash.update([0]);
    };
    for (path, reference) in references_of(plan) {
        add(&path, references.resolve(&reference).ok().as_deref());
    }
    let tokens: [(&str, Option<&SecretString>); 3] = [
        ("scalingo", config.scalingo.as_ref().map(|settings| &settings.token)),
        ("alwaysdata", config.alwaysdata.as_ref().map(|settings| &settings.api_key)),
        ("github", config.github.token.as_ref()),
    ];
    for (name, token) in tokens {
        add(name, token.map(SecretString::expose_secret));
    }
    hex::encode(hash.finalize())[..SECRET_DIGITS].to_owned()
}
