//! Whether a recovery could still have what the archive job leaves at the code host, how old the newest of it is, and how long our token
//! lasts.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use reprise_crds::plan::ArtifactSource;

use super::Preflight;
use super::finding::{Seen, bad, failed, good, unusable, warning};
use crate::providers::github::{Artifact, Github, Run};
use crate::providers::http::ProviderError;
use crate::store::Artifacts;

/// A token is made anew by a person, who wants to know a while before.
const SOON: TimeDelta = TimeDelta::days(14);
/// So many of the newest good runs are asked for their artifacts, as in a recovery: each is a call, and the first that can be had is enough.
const ENOUGH: usize = 100;

/// What one workflow leaves.
#[derive(Debug, Default, PartialEq, Eq)]
struct Left {
    /// Runs that ended well, as far as it was looked.
    runs: usize,
    /// The newest of which a recovery could have the artifact: when it began, and the artifact's size.
    newest: Option<(DateTime<Utc>, Option<u64>)>,
}

impl Preflight<'_> {
    /// What is seen, and when the token ends, if it does. The date of the newest artifact is kept: its age is told between two looks.
    pub(super) async fn artifacts(&self) -> (Seen, Option<DateTime<Utc>>) {
        let (mut told, mut dead, mut ends, mut all) = (Vec::new(), false, Vec::new(), Vec::new());
        for source in self.spec.source.objects.iter().filter_map(|one| one.artifact.as_ref()) {
            match self.left_by(source).await {
                Err(seen) => return (seen, None),
                Ok((workflow, left, end)) => {
                    dead |= left.newest.is_none();
                    told.push(sentence(&workflow, &source.branch, &left));
                    ends.extend(end);
                    all.push(left);
                }
            }
        }
        let (tools, now) = (self.tools, self.tools.clock.now());
        let kept = tools.store.record_artifacts(self.plan, newest(&all), now, &tools.identity).await;
        if let Err(error) = kept {
            return (failed(&error), None);
        }
        let end = ends.into_iter().min();
        (judge(&told, dead, end, now), end)
    }

    async fn left_by(&self, source: &ArtifactSource) -> Result<(String, Left, Option<DateTime<Utc>>), Seen> {
        let github = self.tools.github(source).map_err(|error| unusable(&error))?;
        let setting = |setting, what| self.tools.setting(setting, what).map_err(|error| unusable(&error));
        let workflow = setting(&source.workflow, "the artifact's workflow")?;
        let name = setting(&source.name, "the artifact's name")?;
        let known = self.tools.store.verdicts(self.plan).await.map_err(|error| failed(&error))?;
        let refused = known.into_iter().filter(|row| row.kind == "objects" && row.refused.is_some());
        let refused: BTreeSet<String> = refused.map(|row| row.backup).collect();
        let runs = github.runs(&workflow, ENOUGH, |run| counts(run, source)).await;
        let mut runs = runs.map_err(|error| failed(&error))?;
        runs.wanted.sort_by_key(|run| std::cmp::Reverse(run.created_at));
        let left = look(&github, &runs.wanted, &name, &refused).await.map_err(|error| failed(&error))?;
        Ok((workflow, left, runs.token_end))
    }
}

/// As a recovery counts them.
fn counts(run: &Run, source: &ArtifactSource) -> bool {
    run.succeeded() && run.is_own() && run.head_branch.as_deref() == Some(source.branch.as_str())
}

/// `runs`, newest first; `refused`: what a recovery or a drill found to be broken, by the names of the verdicts.
async fn look(
    github: &Github,
    runs: &[Run],
    name: &str,
    refused: &BTreeSet<String>,
) -> Result<Left, ProviderError> {
    let mut left = Left { runs: runs.len(), newest: None };
    for run in runs.iter().take(ENOUGH) {
        let artifacts = github.artifacts(run.id).await?;
        let named = artifacts.into_iter().filter(|artifact| artifact.name == name);
        // A recovery takes the newest of a run, and no other of it.
        let newest = named.max_by_key(|artifact| artifact.id);
        if let Some(artifact) = newest.filter(|artifact| can_be_had(artifact, refused)) {
            left.newest = run.created_at.map(|at| (at, artifact.size_in_bytes));
            break;
        }
    }
    Ok(left)
}

fn can_be_had(artifact: &Artifact, refused: &BTreeSet<String>) -> bool {
    !artifact.expired && !refused.contains(&format!("artifact-{}", artifact.id))
}

fn sentence(workflow: &str, branch: &str, left: &Left) -> String {
    match left.newest {
        Some((at, _)) => format!("the newest artifact of {workflow} is of {}", at.format("%F %R")),
        None => format!(
            "no artifact of {workflow} can be had: of branch {branch} {} runs ended well, and what they left is absent, expired or broken",
            left.runs
        ),
    }
}

/// Of several workflows, whose artifacts stand in for each other, the newest.
fn newest(all: &[Left]) -> Artifacts {
    let newest = all.iter().filter_map(|left| left.newest).max();
    Artifacts {
        runs: all.iter().map(|left| left.runs).sum(),
        newest_at: newest.map(|(at, _)| at),
        newest_bytes: newest.and_then(|(_, bytes)| bytes).and_then(|bytes| i64::try_from(bytes).ok()),
    }
}

fn judge(told: &[String], dead: bool, end: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Seen {
    let told = told.join(", ");
    match end {
        _ if dead => bad(told),
        Some(end) if end - now < SOON => {
            warning(format!("{told}; our token ends on {}", end.format("%F %R")))
        }
        Some(end) => good(format!("{told}; our token lasts until {}", end.format("%F"))),
        None => good(told),
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::any;
    use axum::{Json, Router, http::Uri};
    use serde_json::{Value, json};

    use super::*;
    use crate::preflight::Grade;
    use crate::providers::github::tests::client;

    fn at(days: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::days(days)
    }

    #[test]
    fn a_token_that_ends_soon_is_told_and_one_without_an_end_is_well() {
        let seen = |end| judge(&["2 good runs".to_owned()], false, end, at(0)).0;
        assert_eq!((seen(None), seen(Some(at(14)))), (Grade::Good, Grade::Good));
        assert_eq!((seen(Some(at(13))), seen(Some(at(-1)))), (Grade::Warning, Grade::Warning));
    }

    #[test]
    fn a_job_that_leaves_nothing_is_bad_however_long_the_token_lasts() {
        let dead = Left { runs: 3, newest: None };
        let told = sentence("archive.yml", "main", &dead);
        assert!(told.contains("3 runs ended well"), "{told}");
        assert_eq!(judge(&[told], true, Some(at(90)), at(0)).0, Grade::Bad);
        let alive = Left { runs: 2, newest: Some((at(5), Some(7))) };
        let kept = Artifacts { runs: 5, newest_at: Some(at(5)), newest_bytes: Some(7) };
        assert_eq!((newest(&[dead, alive]), newest(&[])), (kept, Artifacts::default()));
    }

    fn run(id: u64, day: i64) -> Run {
        let run = json!({"id": id, "created_at": at(day), "status": "completed", "conclusion": "success"});
        serde_json::from_value(run).unwrap()
    }

    /// What is left of these runs, newest first: by their ids 4 has another artifact, 3 an expired one, 2 a broken one, 1 a whole one.
    async fn left(runs: &[Run]) -> Left {
        let artifacts = |uri: Uri| async move {
            let id: u64 = uri.path().split('/').nth(6).and_then(|id| id.parse().ok()).unwrap();
            let one: Value = match id {
                4 => json!({"id": 40, "name": "logs"}),
                3 => json!({"id": 30, "name": "s3_production", "expired": true}),
                id => json!({"id": id * 10, "name": "s3_production", "size_in_bytes": 7}),
            };
            Json(json!({"total_count": 1, "artifacts": [one]}))
        };
        let route = "/repos/agence/app/actions/runs/{id}/artifacts";
        let (github, _server) = client(Router::new().route(route, any(artifacts))).await;
        look(&github, runs, "s3_production", &["artifact-20".to_owned()].into()).await.unwrap()
    }

    #[tokio::test]
    async fn only_an_artifact_that_can_be_had_counts() {
        let all = [run(4, 9), run(3, 8), run(2, 7), run(1, 6)];
        assert_eq!(left(&all).await, Left { runs: 4, newest: Some((at(6), Some(7))) });
        assert_eq!(left(&all[..3]).await, Left { runs: 3, newest: None });
    }
}
