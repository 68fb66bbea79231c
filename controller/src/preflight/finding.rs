//! What was found, and how bad it is. Pure.

use std::fmt;

use chrono::{DateTime, Utc};
use reprise_crds::RecoveryPlanSpec;
use serde::{Deserialize, Serialize};

use crate::recovery::error::StepError;
use crate::runtime::chain::Chain;
use crate::runtime::class::{Class, Classified};

/// What is looked at. Its name is stored and a label: it is added to and never renamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// Every reference of the plan leads somewhere, and the daemon knows every provider.
    References,
    /// The platform takes our token.
    Platform,
    /// The plans of the addons are still offered.
    Plans,
    /// The stack is still offered.
    Stack,
    /// The platform lists backups.
    Backups,
    /// The extensions that the newest backup needs are offered.
    Extensions,
    /// The code can be fetched.
    Code,
    /// Every variable of every app has a value.
    Variables,
    /// The code host lists the runs that leave the documents, and our token lasts for a while.
    Artifacts,
    /// The zone is ours, and its names can be switched.
    Dns,
    /// The certificates under the public names last for a while. No recovery needs them; people do.
    Certificates,
    /// The archive and the production bucket can be reached, and none of the archive's runs is lost.
    Archive,
    /// There are PostgreSQL's programs, and they are new enough.
    #[serde(rename = "postgresql")]
    PostgreSql,
    /// There is room for a dump and its throwaway database.
    Disk,
    /// The newest of everything is younger than its limit.
    Freshness,
    /// The platform's SSH server is the pinned one, and knows our key where one is configured.
    Ssh,
    /// The store where documents come back takes our key pair, and the bucket's name is free.
    TargetBucket,
    /// The mirror buckets can be reached.
    Mirror,
    /// The archive's identity opens what the newest run keeps.
    Identity,
    /// The server that the plan names for its proofs answers, and will do.
    ProofServer,
}

impl Check {
    /// All of them, in the order in which they are looked at.
    pub const ALL: [Self; 20] = [
        Self::References,
        Self::Platform,
        Self::Plans,
        Self::Stack,
        Self::Backups,
        Self::Extensions,
        Self::Code,
        Self::Variables,
        Self::Artifacts,
        Self::Dns,
        Self::Certificates,
        Self::Archive,
        Self::PostgreSql,
        Self::Disk,
        Self::Freshness,
        Self::Ssh,
        Self::TargetBucket,
        Self::Mirror,
        Self::Identity,
        Self::ProofServer,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::References => "references",
            Self::Platform => "platform",
            Self::Plans => "plans",
            Self::Stack => "stack",
            Self::Backups => "backups",
            Self::Extensions => "extensions",
            Self::Code => "code",
            Self::Variables => "variables",
            Self::Artifacts => "artifacts",
            Self::Dns => "dns",
            Self::Certificates => "certificates",
            Self::Archive => "archive",
            Self::PostgreSql => "postgresql",
            Self::Disk => "disk",
            Self::Freshness => "freshness",
            Self::Ssh => "ssh",
            Self::TargetBucket => "target-bucket",
            Self::Mirror => "mirror",
            Self::Identity => "identity",
            Self::ProofServer => "proof-server",
        }
    }

    /// Whether the plan has anything to do with it.
    pub(super) fn is_asked_by(self, spec: &RecoveryPlanSpec) -> bool {
        match self {
            Self::Stack => spec.target.stack.is_some(),
            Self::Archive => spec.archive.is_some(),
            Self::TargetBucket => spec.target.bucket.is_some(),
            Self::Mirror => spec.source.objects.iter().any(|one| one.mirror.is_some()),
            Self::Identity => spec.archive.as_ref().is_some_and(|archive| archive.identity.is_some()),
            Self::ProofServer => spec.proof.server.is_some(),
            Self::Artifacts => spec.source.objects.iter().any(|one| one.artifact.is_some()),
            _ => true,
        }
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grade {
    /// As it should be.
    Good,
    /// A recovery works, and would be better off otherwise.
    Warning,
    /// It could not be looked at: a line, a vendor that does not answer.
    Unknown,
    /// A recovery would fail on it, or lose more than it should.
    Bad,
}

impl Grade {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Warning => "warning",
            Self::Unknown => "unknown",
            Self::Bad => "bad",
        }
    }
}

/// A grade, and what was seen in a sentence.
pub(super) type Seen = (Grade, String);

pub(super) fn good(message: impl Into<String>) -> Seen {
    (Grade::Good, message.into())
}

pub(super) fn warning(message: impl Into<String>) -> Seen {
    (Grade::Warning, message.into())
}

pub(super) fn bad(message: impl Into<String>) -> Seen {
    (Grade::Bad, message.into())
}

pub(super) fn unknown(message: impl Into<String>) -> Seen {
    (Grade::Unknown, message.into())
}

/// What an error says: what may pass by itself is not known to be bad.
pub(super) fn failed<E: Classified + std::error::Error + 'static>(error: &E) -> Seen {
    let told = Chain(error).to_string();
    match error.class() {
        Class::Terminal => bad(told),
        Class::Transient | Class::Throttled(_) | Class::Cancelled => unknown(told),
    }
}

/// The same of what recoveries share.
pub(super) fn unusable(error: &StepError) -> Seen {
    failed(error)
}

/// One look at one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was looked at.
    pub check: Check,
    /// How bad it is.
    pub grade: Grade,
    /// What was seen.
    pub message: String,
    /// When the first of the credentials that were looked at ends, if one of them does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
}

impl Finding {
    pub(super) fn new(check: Check, (grade, message): Seen) -> Self {
        Self { check, grade, message, until: None }
    }
}

/// How many are good, of how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Score {
    /// Those that are good.
    pub good: usize,
    /// All.
    pub of: usize,
    /// The worst.
    pub worst: Grade,
}

impl Score {
    /// Of all these.
    pub fn of(findings: &[Finding]) -> Self {
        Self {
            good: findings.iter().filter(|finding| finding.grade == Grade::Good).count(),
            of: findings.len(),
            worst: findings.iter().map(|finding| finding.grade).max().unwrap_or(Grade::Good),
        }
    }

    /// As one number: 1 where all are good, and where nothing is asked.
    pub fn share(self) -> f64 {
        let count = |count: usize| u32::try_from(count).map_or(f64::MAX, f64::from);
        if self.of == 0 { 1.0 } else { count(self.good) / count(self.of) }
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} are good", self.good, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_looked_at_is_not_good_and_not_the_worst() {
        let finding = |grade| Finding { check: Check::Dns, grade, message: String::new(), until: None };
        let score = Score::of(&[finding(Grade::Good), finding(Grade::Unknown), finding(Grade::Warning)]);
        assert_eq!((score.worst, score.to_string()), (Grade::Unknown, "1 of 3 are good".to_owned()));
        assert_eq!(Score::of(&[finding(Grade::Bad), finding(Grade::Unknown)]).worst, Grade::Bad);
        assert_eq!(Score::of(&[]).worst, Grade::Good);
    }

    #[test]
    fn a_check_has_one_name() {
        for check in Check::ALL {
            assert_eq!(serde_json::to_value(check).unwrap(), check.name());
        }
    }

    #[test]
    fn an_error_that_may_pass_is_unknown_and_one_that_does_not_is_bad() {
        let refused = StepError::refused("the plan is gone", "choose another");
        assert_eq!(failed(&refused).0, Grade::Bad);
        assert_eq!(failed(&StepError::Stopped).0, Grade::Unknown);
    }
}
