//! What our tokens and keys may do. That one is taken says nothing of it, and no vendor here tells it without a change: what a drill did
//! with them does.

use super::Preflight;
use super::finding::{Check, Finding, Grade};
use crate::recovery::grounds::Grounds;
use crate::recovery::outputs::Outputs;
use crate::store::{RequestRow, StoreError};

/// Whether they were seen to suffice, in a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rights {
    shown: bool,
    told: String,
}

impl Preflight<'_> {
    /// What the newest drill that succeeded shows of them.
    pub(super) async fn rights(&self) -> Rights {
        match self.drilled().await {
            Ok((drill, same)) => Rights::of(drill.as_ref(), same),
            Err(error) => Rights { shown: false, told: format!("its rights are not known: {error}") },
        }
    }

    /// That drill, and whether it had the very secrets of now, where that is known.
    async fn drilled(&self) -> Result<(Option<RequestRow>, Option<bool>), StoreError> {
        let store = &self.tools.store;
        let Some(drill) = store.good_drills(self.plan, 1).await?.pop() else { return Ok((None, None)) };
        let steps = store.steps(&drill.name).await?;
        let then = Grounds::of_drill(&Outputs::read(&steps));
        let now = Grounds::now(self.tools, self.plan).await?;
        let same = then.zip(now).map(|(then, now)| then.secrets == now.secrets);
        Ok((Some(drill), same))
    }
}

impl Rights {
    fn of(drill: Option<&RequestRow>, same: Option<bool>) -> Self {
        let told = match drill {
            None => "whether it may do what a recovery does no drill has shown yet".to_owned(),
            Some(_) if same == Some(false) => {
                "the plan's references, or a secret or token, are others than when a drill last showed what it may do"
                    .to_owned()
            }
            Some(_) if same.is_none() => {
                "whether a drill showed what it may do cannot be told: what the last one had is not on record".to_owned()
            }
            Some(drill) => {
                let at = drill.finished_at.map(|at| at.format(" of %F").to_string()).unwrap_or_default();
                format!("what it may do was last seen in the drill {}{at}", drill.name)
            }
        };
        Self { shown: drill.is_some() && same == Some(true), told }
    }

    /// What is good as far as it was looked at is so only where the rights were seen as well.
    pub(super) fn on(&self, finding: Finding) -> Finding {
        let needed = matches!(finding.check, Check::Platform | Check::TargetBucket | Check::Dns);
        if !needed || finding.grade != Grade::Good {
            return finding;
        }
        let grade = if self.shown { Grade::Good } else { Grade::Warning };
        Finding { grade, message: format!("{}; {}", finding.message, self.told), ..finding }
    }
}

#[cfg(test)]
mod tests {
    use reprise_crds::{Milestone, Phase};

    use super::*;
    use crate::recovery::evidence::tests::request;

    fn seen(rights: &Rights, check: Check, grade: Grade) -> (Grade, String) {
        let found = rights.on(Finding { check, grade, message: "it is taken".into(), until: None });
        (found.grade, found.message)
    }

    #[test]
    fn that_a_token_is_taken_is_not_good_until_a_drill_has_used_it() {
        let drill = request(Milestone::DnsOk, Phase::Succeeded);
        for rights in
            [Rights::of(None, None), Rights::of(Some(&drill), None), Rights::of(Some(&drill), Some(false))]
        {
            for check in [Check::Platform, Check::TargetBucket, Check::Dns] {
                assert_eq!(seen(&rights, check, Grade::Good).0, Grade::Warning, "{rights:?}");
                assert_eq!(seen(&rights, check, Grade::Bad), (Grade::Bad, "it is taken".to_owned()));
            }
            assert_eq!(seen(&rights, Check::Code, Grade::Good), (Grade::Good, "it is taken".to_owned()));
        }
        let (grade, told) = seen(&Rights::of(Some(&drill), Some(true)), Check::Platform, Grade::Good);
        assert_eq!(grade, Grade::Good);
        assert!(told.contains(&format!("last seen in the drill {}", drill.name)), "{told}");
    }
}
