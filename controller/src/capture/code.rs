//! The code of each app at the commit that is deployed, as a git bundle.

use std::collections::BTreeMap;

use bytes::Bytes;
use reprise_crds::plan::AppSpec;

use super::{Capture, CaptureError};
use crate::archive::Archiver;
use crate::archive::crypt::Sealed;
use crate::archive::format::{Extra, Record};
use crate::providers::git::{Commit, Repository};
use crate::providers::scalingo::deployments::DeploymentStatus;

/// How many of the newest deployments are looked at.
const ENOUGH: usize = 50;
/// What it is called in records.
pub const KIND: &str = "code";

impl Capture<'_> {
    /// A bundle of each repository at the deployed commit; what the run before has of the same commit is named again.
    pub(super) async fn code(
        &self,
        archiver: &Archiver,
        before: Option<&Record>,
    ) -> Result<Vec<Extra>, CaptureError> {
        let mut extras: Vec<Extra> = Vec::new();
        for app in &self.spec.apps {
            let url = self.tools.setting(&app.code.repository, "code.repository")?;
            let commit = self.commit(app, &url).await?;
            let same = |extra: &&Extra| {
                extra.kind == KIND
                    && extra.about.get("commit").map(String::as_str) == Some(commit.as_str())
                    && extra.about.get("repository") == Some(&url)
            };
            let known =
                extras.iter().find(same).or_else(|| before.and_then(|run| run.extras.iter().find(same)));
            let extra = match known {
                Some(known) if archiver.is_held(&known.sha256).await? => {
                    Extra { name: app.name.clone(), ..known.clone() }
                }
                // What was lost or damaged is put again.
                _ => self.bundle(archiver, app, &url, &commit).await?,
            };
            extras.push(extra);
        }
        Ok(extras)
    }

    /// The commit that the production app runs, else that of the plan's ref.
    async fn commit(&self, app: &AppSpec, url: &str) -> Result<Commit, CaptureError> {
        let deployed = match &app.replaces {
            Some(replaced) => self.deployed_commit(replaced).await?,
            None => None,
        };
        let repository = self.repository(app, url).await?;
        let source = self.tools.code_source(url.to_owned());
        let wanted = deployed.as_ref().map_or(app.code.git_ref.as_str(), Commit::as_str);
        let _turn = self.tools.code_turn.lock().await;
        let fetched = repository.fetch(&source, wanted).await;
        fetched.map_err(|source| CaptureError::Code { app: app.name.clone(), source })
    }

    pub(super) async fn deployed_commit(&self, app: &str) -> Result<Option<Commit>, CaptureError> {
        let platform = self.tools.platform(&self.spec.source.region)?;
        let doing = format!("listing the deployments of {app}");
        let listed = platform.deployments(app, ENOUGH).await;
        let listed = listed.map_err(|source| CaptureError::Platform { doing, source })?;
        let good = listed.into_iter().find(|deployment| deployment.status == DeploymentStatus::Success);
        Ok(good.and_then(|deployment| Commit::parse(&deployment.git_ref?)))
    }

    async fn repository(&self, app: &AppSpec, url: &str) -> Result<Repository, CaptureError> {
        let opened = Repository::open(&self.tools.code_dir(url)).await;
        opened.map_err(|source| CaptureError::Code { app: app.name.clone(), source })
    }

    async fn bundle(
        &self,
        archiver: &Archiver,
        app: &AppSpec,
        url: &str,
        commit: &Commit,
    ) -> Result<Extra, CaptureError> {
        let folder = self.folder()?;
        let path = folder.path().join("code.bundle");
        let repository = self.repository(app, url).await?;
        let made = repository.bundle(commit, &path).await;
        made.map_err(|source| CaptureError::Code { app: app.name.clone(), source })?;
        let file = |source| CaptureError::File { doing: "reading the bundle", source };
        let bytes = Bytes::from(tokio::fs::read(&path).await.map_err(file)?);
        let (size, sha256) = (bytes.len() as u64, <sha2::Sha256 as sha2::Digest>::digest(&bytes).into());
        let key = archiver.keep(&Sealed { path, size, sha256 }).await?;
        let about = BTreeMap::from([
            ("commit".to_owned(), commit.to_string()),
            ("repository".to_owned(), url.to_owned()),
        ]);
        let (kind, name) = (KIND.to_owned(), app.name.clone());
        Ok(Extra { kind, name, key, sha256: hex::encode(sha256), size, encrypted: false, about })
    }
}
