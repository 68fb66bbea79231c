//! What an app looked like that is replaced: asked of the platform while it is there, else read from the archive; and what of it the
//! plan does not bring back.

use std::collections::{BTreeMap, BTreeSet};

use futures::TryStreamExt as _;
use reprise_crds::RecoveryPlanSpec;
use reprise_crds::plan::AppSpec;
use secrecy::SecretString;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::Tools;
use crate::archive::crypt;
use crate::archive::format::{Extra, Record};
use crate::capture::configuration;
use crate::providers::s3::Want;
use crate::providers::scalingo::capture::Part;
use crate::recovery::error::{Result, StepError};
use crate::runtime::chain::Chain;
use crate::runtime::class::{Class, Classified as _};

mod alive;

/// The largest document of an estate that is read, in bytes.
const LIMIT: usize = 64 << 20;
/// What the platform sets or an addon brings by itself, by the beginnings of its names.
const BY_THEMSELVES: [&str; 3] = ["SCALINGO_", "REPRISE_", "CONTAINER"];

/// What is known of one app, by the platform's names of its parts.
#[derive(Debug, Default)]
pub(crate) struct Captured {
    parts: BTreeMap<&'static str, Value>,
    /// Where it was read, for people.
    pub from: String,
    /// What could not be asked of it, in words.
    pub silent: Vec<String>,
}

/// Neither the platform nor the archive tells what an app looked like.
#[derive(Debug)]
pub(crate) struct Untold {
    /// Why, of both.
    pub why: String,
    /// Another look may find it.
    pub passes: bool,
}

impl Untold {
    fn of(error: &StepError) -> Self {
        let passes = !matches!(error.class(), Class::Terminal);
        Self { why: Chain(error).to_string(), passes }
    }
}

impl Tools {
    /// Reads `parts` of the app that `app` replaces. *Repeat*: safe.
    pub(crate) async fn replaced(
        &self,
        plan: (&str, &RecoveryPlanSpec),
        app: &AppSpec,
        parts: &[Part],
        stop: &CancellationToken,
    ) -> Result<Captured, Untold> {
        match self.alive(plan.1, app, parts).await {
            Ok(captured) => Ok(captured),
            Err(error) => self.archived_instead(plan, app, parts, (&error, stop)).await,
        }
    }

    /// What the archive keeps of the app that `app` replaces, where the platform does not tell, for that `error`.
    pub(crate) async fn archived_instead(
        &self,
        plan: (&str, &RecoveryPlanSpec),
        app: &AppSpec,
        parts: &[Part],
        (error, stop): (&StepError, &CancellationToken),
    ) -> Result<Captured, Untold> {
        let alive = match error {
            StepError::Refused { what, .. } => Untold { why: what.clone(), passes: false },
            error => Untold::of(error),
        };
        self.archived(plan, replaced_by(plan.1, app), parts, stop).await.map_err(|archived| Untold {
            why: format!("{}; {}", alive.why, archived.why),
            passes: alive.passes || archived.passes,
        })
    }

    async fn archived(
        &self,
        plan: (&str, &RecoveryPlanSpec),
        app: &str,
        parts: &[Part],
        stop: &CancellationToken,
    ) -> Result<Captured, Untold> {
        let lasting = |why: String| Untold { why, passes: false };
        let Some((run, document)) = self.configuration(plan, Some(app), stop).await? else {
            return Err(lasting(format!("no run of the archive keeps the configuration of {app}")));
        };
        let found = document["apps"][app].as_object();
        let found = found.ok_or_else(|| lasting(format!("run {run} of the archive does not know {app}")))?;
        let parts = parts.iter().filter_map(|part| Some((part.name(), found.get(part.name())?.clone())));
        Ok(Captured { parts: parts.collect(), from: format!("archive run {run}"), silent: Vec::new() })
    }

    /// The newest run of the archive that keeps a configuration (of `app`, if one is named), and that, opened; `None` if none does.
    /// *Repeat*: safe.
    pub(crate) async fn configuration(
        &self,
        (plan, spec): (&str, &RecoveryPlanSpec),
        app: Option<&str>,
        stop: &CancellationToken,
    ) -> Result<Option<(String, Value)>, Untold> {
        let lasting = |why: String| Untold { why, passes: false };
        if spec.archive.is_none() {
            return Err(lasting("the plan has no archive".to_owned()));
        }
        let archiver = self.archiver(plan, spec, stop).map_err(|error| Untold::of(&error))?;
        let Some(identity) = archiver.spec.identity.as_ref() else {
            return Err(lasting(
                "the plan names no archive.identity that opens what the archive keeps".to_owned(),
            ));
        };
        let identity = self.references.secret(identity.reference());
        let identity = identity.map_err(StepError::reference("the archive's identity"));
        let identity = identity.map_err(|error| Untold::of(&error))?;
        let is_it = |extra: &&Extra| {
            extra.kind == configuration::KIND && app.is_none_or(|app| configuration::is_about(extra, app))
        };
        let kept = |record: &Record| record.extras.iter().find(is_it).cloned();
        let newest = archiver.newest_with(kept).await;
        let newest = newest.map_err(StepError::failed("looking for a configuration in the archive"));
        let Some((record, extra)) = newest.map_err(|error| Untold::of(&error))? else { return Ok(None) };
        document(&archiver.vault, &extra, identity).await.map(|document| Some((record.run, document)))
    }
}

/// The app that `app` replaces.
fn replaced_by<'a>(plan: &'a RecoveryPlanSpec, app: &'a AppSpec) -> &'a str {
    app.replaces.as_deref().unwrap_or(&plan.source.app)
}

#[cfg(test)]
impl Captured {
    /// An app that has these variables.
    pub(crate) fn of_variables(from: &str, variables: &[(&str, &str)]) -> Self {
        let listed: Vec<Value> = variables
            .iter()
            .map(|(name, value)| serde_json::json!({ "name": name, "value": value }))
            .collect();
        let parts = BTreeMap::from([(Part::Variables.name(), serde_json::json!({ "variables": listed }))]);
        Self { parts, from: from.to_owned(), silent: Vec::new() }
    }
}

impl Captured {
    /// The value of a variable.
    pub(crate) fn variable(&self, name: &str) -> Option<SecretString> {
        let found = self.listed(Part::Variables).find(|one| one["name"] == name)?;
        found["value"].as_str().filter(|value| !value.trim().is_empty()).map(SecretString::from)
    }

    fn listed(&self, part: Part) -> impl Iterator<Item = &Value> {
        let told = self.parts.get(part.name());
        let member = if part == Part::LogDrains { "drains" } else { part.name() };
        told.and_then(|told| told[member].as_array()).into_iter().flatten()
    }

    /// What was there and is not brought back, by names: values, and addresses that may hold secrets, are not told. Pure.
    pub(crate) fn left(&self, back: &Back<'_>) -> Vec<String> {
        let named = |part: Part, members: &'static [&'static str]| {
            self.listed(part).map(move |one| (part, word(one, members)))
        };
        let addons =
            self.listed(Part::Addons).map(|one| (Part::Addons, word(&one["addon_provider"], &["id"])));
        let drains = self.listed(Part::LogDrains).map(|one| (Part::LogDrains, host(&one["url"])));
        let all = named(Part::Variables, &["name"])
            .chain(named(Part::Domains, &["name"]))
            .chain(named(Part::Collaborators, &["email", "username"]))
            .chain(named(Part::Autoscalers, &["container_type"]))
            .chain(named(Part::Notifiers, &["name"]))
            .chain(addons)
            .chain(drains);
        let left: BTreeSet<String> = all
            .filter(|(part, name)| !back.has(*part, name))
            .map(|(part, name)| format!("{} {name}", kind(part)))
            .collect();
        left.into_iter().collect()
    }
}

/// What a plan brings back of one app.
#[derive(Debug)]
pub(crate) struct Back<'a> {
    pub variables: BTreeSet<&'a str>,
    pub domains: &'a [String],
    pub collaborators: &'a [String],
    pub redis: bool,
}

impl Back<'_> {
    fn has(&self, part: Part, name: &str) -> bool {
        match part {
            Part::Variables => {
                self.variables.contains(name) || BY_THEMSELVES.iter().any(|start| name.starts_with(start))
            }
            Part::Domains => self.domains.iter().any(|domain| domain == name),
            Part::Collaborators => self.collaborators.iter().any(|one| one.eq_ignore_ascii_case(name)),
            Part::Addons => name == "postgresql" || name == "redis" && self.redis,
            Part::App | Part::Containers | Part::Autoscalers | Part::Notifiers | Part::LogDrains => false,
        }
    }
}

fn word(one: &Value, members: &[&str]) -> String {
    let found = members.iter().find_map(|member| one[*member].as_str().filter(|text| !text.is_empty()));
    found.unwrap_or("without a name").to_owned()
}

/// The host of an address, which says where it leads and gives nothing away.
fn host(url: &Value) -> String {
    let host = url
        .as_str()
        .and_then(|url| url::Url::parse(url).ok())
        .and_then(|url| url.host_str().map(str::to_owned));
    host.map_or_else(|| "without an address".to_owned(), |host| format!("to {host}"))
}

const fn kind(part: Part) -> &'static str {
    match part {
        Part::Variables => "variable",
        Part::Domains => "domain",
        Part::Collaborators => "collaborator",
        Part::Addons => "addon",
        Part::Autoscalers => "autoscaler",
        Part::Notifiers => "notifier",
        Part::LogDrains => "log drain",
        other => other.name(),
    }
}

/// The document of the estate, decrypted. It is nowhere but in memory.
async fn document(
    vault: &crate::archive::Vault,
    extra: &Extra,
    identity: SecretString,
) -> Result<Value, Untold> {
    let key = format!("{}{}", vault.prefix, extra.key);
    let lasting = |why: String| Untold { why: format!("{key}{why}"), passes: false };
    let found = vault.s3.read(&vault.bucket, &key, Want::default()).await;
    let found = found.map_err(StepError::s3(format!("reading {key}"))).map_err(|error| Untold::of(&error))?;
    let mut opened = std::pin::pin!(crypt::open(found.body, identity));
    let mut bytes = Vec::new();
    while let Some(piece) =
        opened.try_next().await.map_err(|error| lasting(format!(": {}", Chain(&error))))?
    {
        bytes.extend_from_slice(&piece);
        if bytes.len() > LIMIT {
            return Err(lasting(format!(" has more than {LIMIT} bytes")));
        }
    }
    // The text of an error could quote a secret.
    serde_json::from_slice(&bytes).map_err(|_| lasting(" is no JSON document".to_owned()))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;
    use serde_json::json;

    use super::*;

    fn captured() -> Captured {
        let parts = BTreeMap::from([
            (
                "variables",
                json!({ "variables": [
                    { "name": "SECRET_KEY", "value": "old" },
                    { "name": "FORGOTTEN", "value": "s3cret" },
                    { "name": "BLANK", "value": " " },
                    { "name": "SCALINGO_POSTGRESQL_URL", "value": "postgres://u:p@h/d" },
                ] }),
            ),
            ("domains", json!({ "domains": [{ "name": "a.test" }, { "name": "old.test" }] })),
            (
                "addons",
                json!({ "addons": [
                    { "addon_provider": { "id": "postgresql" } }, { "addon_provider": { "id": "influxdb" } },
                ] }),
            ),
            ("autoscalers", json!({ "autoscalers": [{ "container_type": "web" }] })),
            (
                "notifiers",
                json!({ "notifiers": [{ "name": "on call", "type_data": { "webhook_url": "https://h/s3cret" } }] }),
            ),
            ("log_drains", json!({ "drains": [{ "url": "tcp+tls://s3cret@logs.test:1" }] })),
            (
                "collaborators",
                json!({ "collaborators": [{ "email": "A@agence.test" }, { "email": "gone@agence.test" }] }),
            ),
        ]);
        Captured { parts, from: "a test".to_owned(), silent: Vec::new() }
    }

    #[test]
    fn what_the_plan_does_not_bring_back_is_told_by_name_and_never_by_value() {
        let (domains, collaborators) = (["a.test".to_owned()], ["a@agence.test".to_owned()]);
        let back = Back {
            variables: BTreeSet::from(["SECRET_KEY"]),
            domains: &domains,
            collaborators: &collaborators,
            redis: true,
        };
        let left = captured().left(&back);
        assert_eq!(
            left,
            [
                "addon influxdb",
                "autoscaler web",
                "collaborator gone@agence.test",
                "domain old.test",
                "log drain to logs.test",
                "notifier on call",
                "variable BLANK",
                "variable FORGOTTEN",
            ]
        );
    }

    #[test]
    fn a_kept_value_is_the_old_apps_and_a_blank_one_is_none() {
        let value = |name: &str| captured().variable(name).map(|value| value.expose_secret().to_owned());
        assert_eq!(value("SECRET_KEY").as_deref(), Some("old"));
        assert_eq!((value("BLANK"), value("NEVER")), (None, None));
    }
}
