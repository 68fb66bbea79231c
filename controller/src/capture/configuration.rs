//! What the living estate looks like: everything that the platform tells of each app, encrypted, since variables are secrets.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::code::Runs;
use super::{Capture, CaptureError, Part as Captured};
use crate::archive::Archiver;
use crate::archive::crypt::Recipients;
use crate::archive::format::Extra;
use crate::providers::git::Repository;
use crate::providers::scalingo::capture::{ALL, Part};

/// What the document is called in records, and its version inside.
pub const KIND: &str = "configuration";
const FORMAT: &str = "reprise-configuration/1";
/// Between the names of the apps that it is about.
const APART: &str = ", ";
/// The largest `cron.json` that is read, in bytes.
const CRON_LIMIT: usize = 256 << 10;

impl Capture<'_> {
    /// One document for the whole estate. What one app does not give keeps the others' from being kept no more than the rest of its own.
    pub(super) async fn configuration(&self, archiver: &Archiver, recipients: &Recipients) -> Captured {
        let names: BTreeSet<&str> = std::iter::once(self.spec.source.app.as_str())
            .chain(self.spec.apps.iter().filter_map(|app| app.replaces.as_deref()))
            .collect();
        let (mut apps, mut errors) = (serde_json::Map::new(), Vec::new());
        for name in names {
            match self.app(name).await {
                Ok((parts, cron)) => {
                    apps.insert(name.to_owned(), parts);
                    errors.extend(cron);
                }
                Err(error) => errors.push(error),
            }
        }
        if apps.is_empty() {
            return Captured { extras: Vec::new(), errors };
        }
        match self.sealed(apps, archiver, recipients).await {
            Ok(extra) => Captured { extras: vec![extra], errors },
            Err(error) => {
                Captured { extras: Vec::new(), errors: errors.into_iter().chain([error]).collect() }
            }
        }
    }

    async fn sealed(
        &self,
        apps: serde_json::Map<String, Value>,
        archiver: &Archiver,
        recipients: &Recipients,
    ) -> Result<Extra, CaptureError> {
        let names = apps.keys().cloned().collect::<Vec<_>>().join(APART);
        let captured_at = self.tools.clock.now();
        let document = json!({
            "format": FORMAT, "plan": self.plan, "capturedAt": captured_at, "region": self.spec.source.region, "apps": apps,
        });
        let folder = self.folder()?;
        let bytes = serde_json::to_vec(&document).unwrap_or_default();
        let sealed = recipients.seal_bytes(bytes.into(), &folder.path().join("sealed")).await?;
        Ok(Extra {
            kind: KIND.to_owned(),
            name: self.plan.to_owned(),
            key: archiver.keep(&sealed).await?,
            sha256: hex::encode(sealed.sha256),
            size: sealed.size,
            encrypted: true,
            about: BTreeMap::from([("apps".to_owned(), names)]),
        })
    }

    /// Everything of one app; with why its scheduled tasks could not be read.
    async fn app(&self, name: &str) -> Result<(Value, Option<CaptureError>), CaptureError> {
        let platform = self.tools.platform(&self.spec.source.region)?;
        let mut parts = serde_json::Map::new();
        for part in ALL {
            let told = platform.captured(name, part).await;
            let doing = format!("reading the {} of {name}", part.name());
            let told = told.map_err(|source| CaptureError::Platform { doing, source })?;
            let absent =
                || CaptureError::Absent(format!("{name} has no {}: does the app exist?", part.name()));
            match told {
                Some(told) => drop(parts.insert(part.name().to_owned(), told)),
                None if part == Part::App => return Err(absent()),
                None => {}
            }
        }
        // Variables, which are nowhere else, are not to be lost for the sake of a file that lies in the code.
        let without = match self.cron(name).await {
            Ok(cron) => {
                parts.extend(cron.map(|cron| ("cron.json".to_owned(), Value::from(cron))));
                None
            }
            Err(error) => Some(error),
        };
        Ok((Value::Object(parts), without))
    }

    /// The scheduled tasks lie in the code: `cron.json` of the commit that was kept with it.
    async fn cron(&self, name: &str) -> Result<Option<String>, CaptureError> {
        let Some(app) = self.spec.apps.iter().find(|app| app.replaces.as_deref() == Some(name)) else {
            return Ok(None);
        };
        let url = self.tools.setting(&app.code.repository, "code.repository")?;
        let failed = |source| CaptureError::Code { app: app.name.clone(), source };
        let commit = match self.deployed(name).await? {
            None => return Ok(None),
            Some(Runs::Commit(commit)) => commit,
            Some(Runs::Other(what)) => {
                return Err(CaptureError::Absent(format!(
                    "{name} runs {what}: its cron.json, if it has one, is not kept"
                )));
            }
        };
        let repository = Repository::open(&self.tools.code_dir(&url)).await.map_err(failed)?;
        let read = repository.read(&commit, "cron.json", CRON_LIMIT).await.map_err(failed)?;
        Ok(read.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }
}

/// Whether a document is about this app: one of a bad day may lack some. Those of older releases say nothing, and lack none. Pure.
pub fn is_about(extra: &Extra, app: &str) -> bool {
    let told = extra.about.get("apps");
    extra.kind == KIND && told.is_none_or(|apps| apps.split(APART).any(|one| one == app))
}
