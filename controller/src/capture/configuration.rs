//! What the living estate looks like: everything that the platform tells of each app, encrypted, since variables are secrets.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{Capture, CaptureError};
use crate::archive::Archiver;
use crate::archive::crypt::Recipients;
use crate::archive::format::Extra;
use crate::providers::git::{Commit, Repository};
use crate::providers::scalingo::capture::{ALL, Part};

/// What the document is called in records, and its version inside.
const KIND: &str = "configuration";
const FORMAT: &str = "reprise-configuration/1";
/// The largest `cron.json` that is read, in bytes.
const CRON_LIMIT: usize = 256 << 10;

impl Capture<'_> {
    /// One document for the whole estate.
    pub(super) async fn configuration(
        &self,
        archiver: &Archiver,
        recipients: &Recipients,
    ) -> Result<Vec<Extra>, CaptureError> {
        let names: BTreeSet<&str> = std::iter::once(self.spec.source.app.as_str())
            .chain(self.spec.apps.iter().filter_map(|app| app.replaces.as_deref()))
            .collect();
        let mut apps = serde_json::Map::new();
        for name in &names {
            apps.insert((*name).to_owned(), self.app(name).await?);
        }
        let captured_at = self.tools.clock.now();
        let document = json!({
            "format": FORMAT, "plan": self.plan, "capturedAt": captured_at, "region": self.spec.source.region, "apps": apps,
        });
        let folder = self.folder()?;
        let bytes = serde_json::to_vec(&document).unwrap_or_default();
        let sealed = recipients.seal_bytes(bytes.into(), &folder.path().join("sealed")).await?;
        let about = BTreeMap::from([("apps".to_owned(), names.into_iter().collect::<Vec<_>>().join(", "))]);
        Ok(vec![Extra {
            kind: KIND.to_owned(),
            name: self.plan.to_owned(),
            key: archiver.keep(&sealed).await?,
            sha256: hex::encode(sealed.sha256),
            size: sealed.size,
            encrypted: true,
            about,
        }])
    }

    async fn app(&self, name: &str) -> Result<Value, CaptureError> {
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
        if let Some(cron) = self.cron(name).await? {
            parts.insert("cron.json".to_owned(), Value::from(cron));
        }
        Ok(Value::Object(parts))
    }

    /// The scheduled tasks lie in the code: `cron.json` of the commit that was kept with it.
    async fn cron(&self, name: &str) -> Result<Option<String>, CaptureError> {
        let Some(app) = self.spec.apps.iter().find(|app| app.replaces.as_deref() == Some(name)) else {
            return Ok(None);
        };
        let url = self.tools.setting(&app.code.repository, "code.repository")?;
        let failed = |source| CaptureError::Code { app: app.name.clone(), source };
        let Some(commit): Option<Commit> = self.deployed_commit(name).await? else { return Ok(None) };
        let repository = Repository::open(&self.tools.code_dir(&url)).await.map_err(failed)?;
        let read = repository.read(&commit, "cron.json", CRON_LIMIT).await.map_err(failed)?;
        Ok(read.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }
}
