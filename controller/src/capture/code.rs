//! The code of each app at the commit that is deployed, as a git bundle.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::path::PathBuf;

use reprise_crds::plan::AppSpec;
use sha2::{Digest as _, Sha256};

use super::{Capture, CaptureError, Part};
use crate::archive::Archiver;
use crate::archive::crypt::Sealed;
use crate::archive::format::{Extra, Record};
use crate::providers::git::{Commit, GitError, Repository};
use crate::providers::scalingo::deployments::DeploymentStatus;

/// How many of the newest deployments are looked at.
const ENOUGH: usize = 50;
/// How much of a file is hashed at once.
const PIECE: usize = 256 << 10;
/// What it is called in records.
pub const KIND: &str = "code";

impl Capture<'_> {
    /// A bundle of each repository at the deployed commit; what the run before has of the same commit is named again. An app whose code
    /// cannot be had keeps no other from being kept.
    pub(super) async fn code(&self, archiver: &Archiver, before: Option<&Record>) -> Part {
        let mut part = Part::default();
        for app in &self.spec.apps {
            match self.code_of(app, archiver, (before, &part.extras)).await {
                Ok((extra, other)) => {
                    part.extras.push(extra);
                    part.errors.extend(other);
                }
                Err(error) => part.errors.push(error),
            }
        }
        part
    }

    /// The code of one app; with why it is not that of the deployed commit.
    async fn code_of(
        &self,
        app: &AppSpec,
        archiver: &Archiver,
        (before, now): (Option<&Record>, &[Extra]),
    ) -> Result<(Extra, Option<CaptureError>), CaptureError> {
        let url = self.tools.setting(&app.code.repository, "code.repository")?;
        let (commit, other) = self.commit(app, &url).await?;
        let same = |extra: &&Extra| {
            extra.kind == KIND
                && extra.about.get("commit").map(String::as_str) == Some(commit.as_str())
                && extra.about.get("repository") == Some(&url)
        };
        let known = now.iter().find(same).or_else(|| before.and_then(|run| run.extras.iter().find(same)));
        let extra = match known {
            Some(known) if archiver.is_held(&known.sha256).await? => {
                Extra { name: app.name.clone(), ..known.clone() }
            }
            // What was lost or damaged is put again.
            _ => self.bundle(archiver, app, &url, &commit).await?,
        };
        Ok((extra, other))
    }

    /// The commit that the production app runs, else that of the plan's ref. What was deployed and never reached the code's host can
    /// be had nowhere: then that of the ref, and it is told.
    async fn commit(&self, app: &AppSpec, url: &str) -> Result<(Commit, Option<CaptureError>), CaptureError> {
        let deployed = match &app.replaces {
            Some(replaced) => self.deployed_commit(replaced).await?,
            None => None,
        };
        let repository = self.repository(app, url).await?;
        let source = self.tools.code_source(url.to_owned());
        let failed = |source| CaptureError::Code { app: app.name.clone(), source };
        let _turn = self.tools.code_turn.lock().await;
        let git_ref = app.code.git_ref.as_str();
        let Some(deployed) = deployed else {
            return Ok((repository.fetch(&source, git_ref).await.map_err(failed)?, None));
        };
        match repository.fetch(&source, deployed.as_str()).await {
            Ok(commit) => Ok((commit, None)),
            Err(GitError::NoSuchRef { .. }) => {
                let kept = repository.fetch(&source, git_ref).await.map_err(failed)?;
                let (app, git_ref) = (app.name.clone(), git_ref.to_owned());
                Ok((kept, Some(CaptureError::NotInRepository { app, deployed, git_ref })))
            }
            Err(error) => Err(failed(error)),
        }
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
        let (size, sha256) = digest(path.clone()).await.map_err(file)?;
        let key = archiver.keep(&Sealed { path, size, sha256 }).await?;
        let about = BTreeMap::from([
            ("commit".to_owned(), commit.to_string()),
            ("repository".to_owned(), url.to_owned()),
        ]);
        let (kind, name) = (KIND.to_owned(), app.name.clone());
        Ok(Extra { kind, name, key, sha256: hex::encode(sha256), size, encrypted: false, about })
    }
}

/// The size of a file and its digest, without holding it: a repository with its history may be larger than the memory.
async fn digest(path: PathBuf) -> io::Result<(u64, [u8; 32])> {
    let read = tokio::task::spawn_blocking(move || {
        let (mut hash, mut size, mut file) =
            (Sha256::new(), 0, BufReader::with_capacity(PIECE, File::open(path)?));
        loop {
            let piece = file.fill_buf()?;
            if piece.is_empty() {
                return Ok((size, hash.finalize().into()));
            }
            hash.update(piece);
            let read = piece.len();
            size += read as u64;
            file.consume(read);
        }
    });
    read.await.map_err(io::Error::other)?
}
