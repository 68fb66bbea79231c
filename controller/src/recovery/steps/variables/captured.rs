//! What an app looked like that is replaced: asked of the platform while it is there, else read from the archive; and what of it the
//! plan does not bring back.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt as _, TryStreamExt as _};
use reprise_crds::plan::AppSpec;
use secrecy::SecretString;
use serde_json::Value;

use super::{Ctx, Result, StepError};
use crate::archive::crypt;
use crate::archive::format::{Extra, Record};
use crate::providers::s3::Want;
use crate::providers::scalingo::capture::{ALL, Part};
use crate::runtime::chain::Chain;

/// The largest document of an estate that is read, in bytes.
const LIMIT: usize = 64 << 20;
/// Calls to the platform at once.
const AT_ONCE: usize = 4;
/// What the platform sets or an addon brings by itself, by the beginnings of its names.
const BY_THEMSELVES: [&str; 3] = ["SCALINGO_", "REPRISE_", "CONTAINER"];

/// Everything that is known of one app, by the platform's names of its parts.
#[derive(Debug, Default)]
pub(super) struct Captured {
    parts: BTreeMap<&'static str, Value>,
    /// Where it was read, for people.
    pub from: String,
}

impl Captured {
    /// Reads it. An error says why neither the platform nor the archive tells.
    pub(super) async fn read(ctx: &Ctx, app: &AppSpec) -> Result<Self, String> {
        let old = app.replaces.as_deref().unwrap_or(&ctx.run.plan.source.app);
        let alive = match Self::alive(ctx, old).await {
            Ok(captured) => return Ok(captured),
            Err(why) => why,
        };
        Self::archived(ctx, old).await.map_err(|why| format!("{alive}; {why}"))
    }

    async fn alive(ctx: &Ctx, app: &str) -> Result<Self, String> {
        let platform = ctx.tools.source_platform(&ctx.run).map_err(|error| Chain(&error).to_string())?;
        let platform = &platform;
        let told = futures::stream::iter(ALL).map(|part| async move {
            let told = platform.captured(app, part).await;
            told.map(|told| (part, told)).map_err(|error| format!("{app}: {}", Chain(&error)))
        });
        let told: Vec<(Part, Option<Value>)> = told.buffer_unordered(AT_ONCE).try_collect().await?;
        let there = told.iter().any(|(part, told)| *part == Part::App && told.is_some());
        if !there {
            return Err(format!("the platform has no app {app}"));
        }
        let parts = told.into_iter().filter_map(|(part, told)| Some((part.name(), told?))).collect();
        Ok(Self { parts, from: format!("app {app}") })
    }

    async fn archived(ctx: &Ctx, app: &str) -> Result<Self, String> {
        let text = |error: StepError| Chain(&error).to_string();
        if ctx.run.plan.archive.is_none() {
            return Err("the plan has no archive".to_owned());
        }
        let archiver = ctx.tools.archiver(&ctx.run.plan_name, &ctx.run.plan, &ctx.stop).map_err(text)?;
        let Some(identity) = archiver.spec.identity.as_ref() else {
            return Err("the plan names no archive.identity that opens what the archive keeps".to_owned());
        };
        let identity = ctx.tools.references.secret(identity.reference());
        let identity =
            identity.map_err(|error| text(StepError::reference("the archive's identity")(error)))?;
        let kept =
            |record: &Record| record.extras.iter().find(|extra| extra.kind == "configuration").cloned();
        let newest = archiver.newest_with(kept).await.map_err(|error| Chain(&error).to_string())?;
        let Some((record, extra)) = newest else {
            return Err("no run of the archive keeps a configuration".to_owned());
        };
        let document = document(&archiver.vault, &extra, identity).await?;
        let parts = document["apps"][app].as_object();
        let parts = parts.ok_or_else(|| format!("run {} of the archive does not know {app}", record.run))?;
        let parts = ALL.iter().filter_map(|part| Some((part.name(), parts.get(part.name())?.clone())));
        Ok(Self { parts: parts.collect(), from: format!("archive run {}", record.run) })
    }

    /// The value of a variable.
    pub(super) fn variable(&self, name: &str) -> Option<SecretString> {
        let found = self.listed(Part::Variables).find(|one| one["name"] == name)?;
        found["value"].as_str().filter(|value| !value.trim().is_empty()).map(SecretString::from)
    }

    fn listed(&self, part: Part) -> impl Iterator<Item = &Value> {
        let told = self.parts.get(part.name());
        let member = if part == Part::LogDrains { "drains" } else { part.name() };
        told.and_then(|told| told[member].as_array()).into_iter().flatten()
    }

    /// What was there and is not brought back, by names: values, and addresses that may hold secrets, are not told. Pure.
    pub(super) fn left(&self, back: &Back<'_>) -> Vec<String> {
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
pub(super) struct Back<'a> {
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
) -> Result<Value, String> {
    let key = format!("{}{}", vault.prefix, extra.key);
    let found = vault.s3.read(&vault.bucket, &key, Want::default()).await;
    let found = found.map_err(|error| format!("{key}: {}", Chain(&error)))?;
    let mut opened = std::pin::pin!(crypt::open(found.body, identity));
    let mut bytes = Vec::new();
    while let Some(piece) = opened.try_next().await.map_err(|error| format!("{key}: {}", Chain(&error)))? {
        bytes.extend_from_slice(&piece);
        if bytes.len() > LIMIT {
            return Err(format!("{key} has more than {LIMIT} bytes"));
        }
    }
    // The text of an error could quote a secret.
    serde_json::from_slice(&bytes).map_err(|_| format!("{key} is no JSON document"))
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
        Captured { parts, from: "a test".to_owned() }
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
