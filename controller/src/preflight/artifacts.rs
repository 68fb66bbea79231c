//! Whether the code host still lists what the archive job leaves, and how long our token lasts.

use chrono::{DateTime, TimeDelta, Utc};
use reprise_crds::plan::ArtifactSource;

use super::Preflight;
use super::finding::{Seen, failed, good, unusable, warning};
use crate::providers::github::Run;

/// A token is made anew by a person, who wants to know a while before.
const SOON: TimeDelta = TimeDelta::days(14);

impl Preflight<'_> {
    /// What is seen, and when the token ends, if it does.
    pub(super) async fn artifacts(&self) -> (Seen, Option<DateTime<Utc>>) {
        let (mut told, mut ends) = (Vec::new(), Vec::new());
        for source in self.spec.source.objects.iter().filter_map(|one| one.artifact.as_ref()) {
            match self.runs(source).await {
                Err(seen) => return (seen, None),
                Ok((workflow, runs, end)) => {
                    let good = runs.iter().filter(|run| counts(run, source)).count();
                    told.push(format!("{good} good runs of {workflow} on its newest page"));
                    ends.extend(end);
                }
            }
        }
        let end = ends.into_iter().min();
        (judge(&told, end, self.tools.clock.now()), end)
    }

    async fn runs(&self, source: &ArtifactSource) -> Result<(String, Vec<Run>, Option<DateTime<Utc>>), Seen> {
        let github = self.tools.github(source).map_err(|error| unusable(&error))?;
        let workflow = self.tools.setting(&source.workflow, "the artifact's workflow");
        let workflow = workflow.map_err(|error| unusable(&error))?;
        let (runs, end) = github.newest_runs(&workflow).await.map_err(|error| failed(&error))?;
        Ok((workflow, runs, end))
    }
}

/// As a recovery counts them.
fn counts(run: &Run, source: &ArtifactSource) -> bool {
    run.succeeded() && run.is_own() && run.head_branch.as_deref() == Some(source.branch.as_str())
}

fn judge(told: &[String], end: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Seen {
    let told = told.join(", ");
    match end {
        Some(end) if end - now < SOON => {
            warning(format!("{told}; our token ends on {}", end.format("%F %R")))
        }
        Some(end) => good(format!("{told}; our token lasts until {}", end.format("%F"))),
        None => good(told),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preflight::Grade;

    #[test]
    fn a_token_that_ends_soon_is_told_and_one_without_an_end_is_well() {
        let at = |days| DateTime::UNIX_EPOCH + TimeDelta::days(days);
        let seen = |end| judge(&["2 good runs".to_owned()], end, at(0)).0;
        assert_eq!((seen(None), seen(Some(at(14)))), (Grade::Good, Grade::Good));
        assert_eq!((seen(Some(at(13))), seen(Some(at(-1)))), (Grade::Warning, Grade::Warning));
    }
}
