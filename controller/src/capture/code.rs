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
use crate::providers::scalingo::deployments::{Deployment, DeploymentStatus};

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
            Some(replaced) => self.deployed(replaced).await?,
            None => None,
        };
        let repository = self.repository(app, url).await?;
        let source = self.tools.code_source(url.to_owned());
        let failed = |source| CaptureError::Code { app: app.name.clone(), source };
        let _turn = self.tools.code_turn.lock().await;
        let git_ref = app.code.git_ref.as_str();
        let other = match deployed {
            None => None,
            Some(Runs::Other(what)) => Some(what),
            Some(Runs::Commit(deployed)) => match repository.fetch(&source, deployed.as_str()).await {
                Ok(commit) => return Ok((commit, None)),
                Err(GitError::NoSuchRef { .. }) => {
                    Some(format!("commit {deployed}, which its repository does not have"))
                }
                Err(error) => return Err(failed(error)),
            },
        };
        let kept = repository.fetch(&source, git_ref).await.map_err(failed)?;
        let told =
            |runs| CaptureError::OtherCode { app: app.name.clone(), runs, git_ref: git_ref.to_owned() };
        Ok((kept, other.map(told)))
    }

    /// What `app` runs; nothing if it was never deployed.
    pub(super) async fn deployed(&self, app: &str) -> Result<Option<Runs>, CaptureError> {
        let platform = self.tools.platform(&self.spec.source.region)?;
        let doing = format!("listing the deployments of {app}");
        let listed = platform.deployments(app, ENOUGH).await;
        let listed = listed.map_err(|source| CaptureError::Platform { doing, source })?;
        Ok(runs(&listed))
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

/// What an app runs.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Runs {
    /// This commit.
    Commit(Commit),
    /// Something that is in no repository, in words.
    Other(String),
}

/// Deployments come newest first. Pure.
fn runs(deployments: &[Deployment]) -> Option<Runs> {
    let Some(good) = deployments.iter().find(|one| one.status == DeploymentStatus::Success) else {
        let count = deployments.len();
        return (count > 0).then(|| {
            Runs::Other(format!("what is not known: none of its {count} newest deployments succeeded"))
        });
    };
    let named = good.git_ref.as_deref().filter(|named| !named.is_empty());
    Some(match (named.and_then(Commit::parse), named) {
        (Some(commit), _) => Runs::Commit(commit),
        (None, Some(named)) => {
            Runs::Other(format!("`{named}` of deployment {}, which is no commit", good.id))
        }
        (None, None) => Runs::Other(format!("an archive without a name, of deployment {}", good.id)),
    })
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployed(status: &str, git_ref: &serde_json::Value) -> Deployment {
        serde_json::from_value(json!({"id": "d-1", "status": status, "git_ref": git_ref}))
            .expect("a deployment")
    }

    #[test]
    fn what_is_no_commit_is_not_taken_for_the_plans_ref() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        let (failed, good) = (deployed("build-error", &json!(commit)), deployed("success", &json!(commit)));
        assert_eq!(runs(&[]), None, "it was never deployed");
        assert_eq!(runs(&[failed, good]), Commit::parse(commit).map(Runs::Commit));
        for (newest, words) in [
            (deployed("success", &json!("v1")), "`v1` of deployment d-1"),
            (deployed("success", &json!(null)), "an archive without a name"),
            (deployed("build-error", &json!(commit)), "none of its 1 newest deployments succeeded"),
        ] {
            assert!(matches!(runs(&[newest]), Some(Runs::Other(what)) if what.contains(words)), "{words}");
        }
    }
}
