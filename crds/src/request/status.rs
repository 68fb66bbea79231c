//! What has become of a request.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::words::words;

words! {
    /// How far a recovery has come. The order is the order of the runbook; a request never goes back.
    ///
    /// ```
    /// # use reprise_crds::Milestone;
    /// assert!(Milestone::Restored > Milestone::Addons);
    /// assert_eq!("dns-ok".parse(), Ok(Milestone::DnsOk));
    /// ```
    #[derive(Default)]
    pub enum Milestone {
        /// Nothing is reached yet.
        #[default]
        Pending = "pending",
        /// A whole database backup and a whole copy of the documents are chosen.
        BackupSelected = "backup-selected",
        /// The project and its apps exist, the collaborators are invited.
        AppCreated = "app-created",
        /// The databases run on the plans that were asked for, the read-only user exists.
        Addons = "addons",
        /// The data and the documents are back and were compared with their source.
        Restored = "restored",
        /// Every app runs and answers on its default host.
        Deployed = "deployed",
        /// Every app answers under its real name over HTTPS.
        DnsOk = "dns-ok",
    }
}

words! {
    /// What a request is doing, beside its milestone.
    #[derive(Default)]
    pub enum Phase {
        /// Nobody has taken it up yet.
        #[default]
        Pending = "Pending",
        /// It is being worked on.
        Running = "Running",
        /// It waits for a person to agree.
        WaitingApproval = "WaitingApproval",
        /// A person has stopped it for a while.
        Paused = "Paused",
        /// What it made is being taken away again.
        TearingDown = "TearingDown",
        /// It did what was asked.
        Succeeded = "Succeeded",
        /// It cannot go on.
        Failed = "Failed",
        /// A person has ended it.
        Cancelled = "Cancelled",
    }
}

impl Phase {
    /// Whether nothing more will happen.
    pub const fn is_final(self) -> bool {
        match self {
            Self::Succeeded | Self::Failed | Self::Cancelled => true,
            Self::Pending | Self::Running | Self::WaitingApproval | Self::Paused | Self::TearingDown => false,
        }
    }
}

/// What has become of a request. Written by the controller alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecoveryRequestStatus {
    /// The last milestone that is reached.
    #[serde(default)]
    pub state: Milestone,
    /// What it is doing.
    #[serde(default)]
    pub phase: Phase,
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// When the controller took it up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// When its phase became a final one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,
    /// One sentence: what it does, what it waits for, or why it failed and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// How many steps are in which state.
    #[serde(default)]
    pub steps: StepsSummary,
    /// `Accepted`, `Progressing`, and once it has ended `Succeeded`. `HandedOver` where the plan hands the estate over: whether it is
    /// the new owner's, or who has to do what before it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// Steps by state; the five add up to all steps of the request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct StepsSummary {
    /// Not ready to start.
    pub waiting: u32,
    /// Being done now.
    pub running: u32,
    /// Their post-condition was observed.
    pub done: u32,
    /// They cannot be done.
    pub failed: u32,
    /// Not in the request's scope.
    pub skipped: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_reads_back_and_the_order_is_the_runbooks() {
        for pair in Milestone::ALL.windows(2) {
            assert!(pair[0] < pair[1]);
        }
        for milestone in Milestone::ALL {
            assert_eq!(milestone.as_str().parse(), Ok(*milestone));
            assert_eq!(serde_json::to_value(milestone).unwrap(), milestone.as_str());
        }
        for phase in Phase::ALL {
            assert_eq!(phase.as_str().parse(), Ok(*phase));
            assert_eq!(serde_json::to_value(phase).unwrap(), phase.as_str());
        }
        assert!("Dns-Ok".parse::<Milestone>().is_err());
    }
}
