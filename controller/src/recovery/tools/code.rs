//! The code of the apps: fetched from its host, or what the archive keeps of it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use reprise_crds::RecoveryPlanSpec;
use reprise_crds::plan::AppSpec;
use reprise_crds::template::{self, Template};
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use super::Tools;
use crate::archive::format::{Extra, Record};
use crate::backup::checks::{Code, CodeLevel};
use crate::capture::code::KIND;
use crate::providers::git::{Commit, Repository, Source};
use crate::recovery::error::{Result, StepError};
use crate::runtime::chain::Chain;

/// Bytes of paths that a tree may have.
const PATHS: usize = 64 << 20;
/// Largest template of variables that is read, in bytes.
const TEMPLATE: usize = 256 << 10;
/// How long the code may take to come where nothing stands still without it.
pub(crate) const CODE_PATIENCE: Duration = Duration::from_mins(2);
/// The same for a verification, which has more time: hosts may take it all but the last share, in which the archive is asked.
const MOST_CODE_PATIENCE: Duration = Duration::from_mins(5);

impl Tools {
    /// The commit that the plan's ref of an app's code means now, fetched. *Repeat*: safe.
    pub async fn revision(&self, app: &AppSpec) -> Result<Commit> {
        let url = self.setting(&app.code.repository, "code.repository")?;
        let doing = || format!("fetching {} of the code of {}", app.code.git_ref, app.name);
        let _turn = self.code_turn.lock().await;
        let repository = Repository::open(&self.code_dir(&url)).await.map_err(StepError::failed(doing()))?;
        repository.fetch(&self.code_source(url), &app.code.git_ref).await.map_err(StepError::failed(doing()))
    }

    /// The same, within `limit`.
    pub(crate) async fn revision_within(&self, app: &AppSpec, limit: Duration) -> Result<Commit> {
        tokio::time::timeout(limit, self.revision(app)).await.unwrap_or_else(|_| {
            Err(StepError::refused(
                format!("the code of {} did not come within {} s", app.name, limit.as_secs()),
                "look whether its host is reachable from here",
            ))
        })
    }

    /// The commit that the archive keeps of an app's code, by its newest run that has any, taken into our copy of its repository; `None`
    /// where no run has. Where the plan names a commit, only that one will do. The bundle lies in `dir` meanwhile. *Repeat*: safe.
    pub async fn kept_commit(
        &self,
        plan: (&str, &RecoveryPlanSpec),
        app: &AppSpec,
        dir: &Path,
        stop: &CancellationToken,
    ) -> Result<Option<Commit>> {
        if plan.1.archive.is_none() {
            return Ok(None);
        }
        let url = self.setting(&app.code.repository, "code.repository")?;
        let archiver = self.archiver(plan.0, plan.1, stop)?;
        let doing = || format!("looking for the code of {} in the archive", app.name);
        let code = |record: &Record| {
            record.extras.iter().find_map(|extra| Some((extra.clone(), kept(extra, app, &url)?)))
        };
        let newest = archiver.newest_with(code).await.map_err(StepError::failed(doing()))?;
        let Some((_, (extra, commit))) = newest else { return Ok(None) };
        let file = dir.join(format!("{commit}.bundle"));
        let key = format!("{}{}", archiver.vault.prefix, extra.key);
        let found = archiver.vault.fetch(&key, &file).await.map_err(StepError::failed(doing()))?;
        if found != extra.sha256 {
            return Err(StepError::refused(
                format!("{key} is damaged: its SHA-256 is {found}"),
                "name a repository that has the code in the plan, apply it, and resume the request",
            ));
        }
        let doing = "unpacking the code that the archive keeps";
        let _turn = self.code_turn.lock().await;
        let repository = Repository::open(&self.code_dir(&url)).await.map_err(StepError::failed(doing))?;
        repository.unbundle(&file, &commit).await.map_err(StepError::failed(doing))?;
        Ok(Some(commit))
    }

    /// The migrations in the code of all apps, at the commits that their refs mean now; where its host does not give it, in the code that
    /// the archive keeps. *Repeat*: safe.
    pub async fn migrations(
        &self,
        plan: (&str, &RecoveryPlanSpec),
        dir: &Path,
        stop: &CancellationToken,
    ) -> Code {
        let shares = u32::try_from(plan.1.apps.len()).unwrap_or(u32::MAX).saturating_add(1);
        let limit = MOST_CODE_PATIENCE / shares;
        let levels = async {
            let mut levels = Vec::new();
            for app in &plan.1.apps {
                levels.push(self.level(plan, app, limit, (dir, stop)).await?);
            }
            Ok::<_, StepError>(levels)
        };
        match tokio::time::timeout(MOST_CODE_PATIENCE, Box::pin(levels)).await {
            Ok(Ok(levels)) => Code::Known(levels),
            Ok(Err(error)) => Code::Unknown(Chain(&error).to_string()),
            Err(_) => Code::Unknown("the code host does not answer".to_owned()),
        }
    }

    async fn level(
        &self,
        plan: (&str, &RecoveryPlanSpec),
        app: &AppSpec,
        limit: Duration,
        (dir, stop): (&Path, &CancellationToken),
    ) -> Result<CodeLevel> {
        let error = match self.revision_within(app, limit).await {
            Ok(commit) => return self.migrations_at(app, &commit).await,
            Err(error) => error,
        };
        match self.kept_commit(plan, app, dir, stop).await {
            Ok(Some(commit)) => {
                tracing::warn!(app = app.name, %commit, error = %Chain(&error), "migrations are held against the code that the archive keeps");
                let level = self.migrations_at(app, &commit).await?;
                Ok(CodeLevel { kept: Some(commit.to_string()), ..level })
            }
            Ok(None) => Err(error),
            Err(lost) => {
                tracing::warn!(app = app.name, error = %Chain(&lost), "the archive does not give the code either");
                Err(error)
            }
        }
    }

    /// The migrations in the code of an app at a commit that was fetched. *Repeat*: safe.
    pub async fn migrations_at(&self, app: &AppSpec, commit: &Commit) -> Result<CodeLevel> {
        let url = self.setting(&app.code.repository, "code.repository")?;
        let doing = || format!("listing the migrations in the code of {}", app.name);
        let _turn = self.code_turn.lock().await;
        let repository = Repository::open(&self.code_dir(&url)).await.map_err(StepError::failed(doing()))?;
        let paths = repository.paths(commit, PATHS).await.map_err(StepError::failed(doing()))?;
        Ok(CodeLevel::of_tree(&app.name, paths.iter().map(String::as_str)))
    }

    /// The plan's template of variables as an app's code has it at a commit that was fetched; `None` if the plan names none. *Repeat*:
    /// safe.
    pub(crate) async fn template(
        &self,
        spec: &RecoveryPlanSpec,
        app: &AppSpec,
        commit: &Commit,
    ) -> Result<Option<Template>> {
        let Some(path) = &spec.variables.template else { return Ok(None) };
        let url = self.setting(&app.code.repository, "code.repository")?;
        let doing = || format!("reading {path} at {commit}");
        let _turn = self.code_turn.lock().await;
        let repository = Repository::open(&self.code_dir(&url)).await.map_err(StepError::failed(doing()))?;
        let bytes = repository.read(commit, path, TEMPLATE).await.map_err(StepError::failed(doing()))?;
        let advice = "correct variables.template in the plan, apply it, and resume the request";
        let bytes = bytes
            .ok_or_else(|| StepError::refused(format!("the code at {commit} has no file {path}"), advice))?;
        let text = String::from_utf8(bytes)
            .map_err(|_| StepError::refused(format!("{path} is not UTF-8 text"), advice))?;
        Ok(Some(template::parse(&text)))
    }

    /// The folder of the local copy of the code at `url`.
    pub fn code_dir(&self, url: &str) -> PathBuf {
        self.code_root.join(format!("{}.git", &hex::encode(Sha256::digest(url))[..16]))
    }

    /// Where code is had from: with the code host's token, for its own host only.
    pub fn code_source(&self, url: String) -> Source {
        Source { token: self.code_token(&url), extra_ca_pem: self.http.extra_ca_pem.clone(), url }
    }

    fn code_token(&self, url: &str) -> Option<SecretString> {
        let host = url::Url::parse(url).ok()?.host_str()?.to_owned();
        (host == "github.com").then(|| self.config.github.token.clone()).flatten()
    }
}

/// The commit of an app's code that something in the archive is, if it is that, and the one that the plan names where it names one.
fn kept(extra: &Extra, app: &AppSpec, url: &str) -> Option<Commit> {
    let ours = extra.kind == KIND && extra.name == app.name;
    let same = extra.about.get("repository").is_some_and(|known| known == url);
    let named = Commit::parse(&app.code.git_ref);
    let commit = Commit::parse(extra.about.get("commit")?)?;
    (ours && same && named.is_none_or(|named| named == commit)).then_some(commit)
}

#[cfg(test)]
mod tests {
    use reprise_crds::RecoveryPlan;

    use super::*;

    #[test]
    fn where_the_plan_names_a_commit_no_other_one_is_taken_from_the_archive() {
        let text = include_str!("../../../../deploy/examples/apilos.yaml");
        let mut app = RecoveryPlan::parse_yaml(text).expect("valid").spec.apps.remove(0);
        let (url, commit) = ("https://github.com/agence/apilos.git", "0f".repeat(20));
        let extra: Extra = serde_json::from_value(serde_json::json!({
            "kind": KIND, "name": app.name, "key": "k", "sha256": "", "size": 1, "encrypted": false,
            "about": { "commit": commit, "repository": url },
        }))
        .expect("an extra");
        for (named, found) in [("main", true), (&*commit, true), (&*"1e".repeat(20), false)] {
            named.clone_into(&mut app.code.git_ref);
            assert_eq!(kept(&extra, &app, url).is_some(), found, "{named}");
        }
    }
}
