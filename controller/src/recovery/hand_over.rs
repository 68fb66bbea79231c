//! How the hand-over of a recovered estate stands: what is waited for, in words, and when it is looked at again. No I/O, no clock.
//!
//! It is pursued once a recovery has succeeded, by one short look after the other, for as long as people take. What a look decides is in
//! `steps/hand_over.rs`; what is done about it in `reconcile/hand_over.rs`.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use reprise_crds::conditions::{self, Observation};
use reprise_crds::{Milestone, Mode, Phase, RecoveryRequestStatus};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::accept;
use super::step::Step;
use crate::store::{Desired, RequestRow, StepPhase, StepRow};

/// The condition.
pub const CONDITION: &str = "HandedOver";

/// The reasons of a condition that nobody pursues (any more); `pursues_hand_over` in the store knows the same.
const OVER: [&str; 2] = ["NotPursued", "NoAnswer"];

/// Between two looks: a tenth of the time that was waited so far, within these.
const SHORTEST: Duration = Duration::from_secs(30);
const LONGEST: Duration = Duration::from_mins(15);

/// What the last look found; stored as the step's output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HandOver {
    /// To whom, in the plan's words.
    pub to: String,
    /// The project.
    pub project: String,
    /// How far it is.
    pub stage: Stage,
    /// Since when it has stood so.
    pub since: DateTime<Utc>,
    /// Nothing has moved for as long as the plan waits.
    #[serde(default)]
    pub given_up: bool,
    /// The ask to try again that was heard last.
    #[serde(default)]
    pub asked: Option<DateTime<Utc>>,
}

/// How far a hand-over is. Who is named is named by the platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "is")]
pub enum Stage {
    /// Not everybody has opened their invitation: the new owner is not in these apps yet.
    Invited {
        /// The apps that lack them.
        apps: Vec<String>,
    },
    /// The invitation to these apps was there, and is not any more.
    Withdrawn {
        /// The apps.
        apps: Vec<String>,
    },
    /// Who accepted cannot own a project (yet).
    NotEligible {
        /// Who.
        who: String,
        /// Where they are limited collaborators.
        limited: Vec<String>,
    },
    /// The project holds apps that this recovery did not make.
    NotAlone {
        /// These.
        apps: Vec<String>,
    },
    /// The project is offered to them.
    Offered {
        /// To whom.
        who: String,
        /// Until when.
        until: Option<DateTime<Utc>>,
    },
    /// Somebody has offered the project to somebody else.
    OfferedElsewhere {
        /// To whom.
        who: String,
    },
    /// The platform says that it was accepted, and does not show another owner yet.
    Accepted {
        /// By whom.
        who: String,
    },
    /// The offer has ended, and the project is still ours.
    Ended {
        /// To whom it was made.
        who: String,
        /// How, in a word.
        how: Ending,
        /// Why, where the platform says.
        why: String,
    },
    /// Every app is theirs.
    HandedOver {
        /// Whose.
        who: String,
    },
    /// The apps are somebody else's than the plan says.
    Elsewhere {
        /// Whose.
        who: String,
    },
    /// Neither the project nor its apps are to be seen.
    NotSeen,
}

/// How an offer ended that was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Ending {
    /// They do not want it.
    Declined,
    /// Nobody answered in time.
    Expired,
    /// The owner took it back.
    TakenBack,
    /// The platform could not carry it out.
    Failed,
}

/// What a person can ask for where nothing is sent again without them.
const AGAIN: &str = "nothing is sent again by itself";

impl Stage {
    /// Status, reason and sentence of the condition, but for since when.
    #[expect(clippy::too_many_lines, reason = "one flat table, an arm a stage")]
    fn told(&self, to: &str, project: &str, request: &str) -> (Option<bool>, &'static str, String) {
        let not = |reason, sentence: String| (Some(false), reason, sentence);
        let again = |what: &str| format!("{AGAIN}: `reprise resume {request}` {what}");
        match self {
            Self::Invited { apps } if to.contains('@') => not(
                "WaitingForCollaborator",
                format!(
                    "waits for {to} to accept the invitation to {}, which the platform has sent by e-mail",
                    apps.join(", ")
                ),
            ),
            Self::Invited { apps } => not(
                "WaitingForCollaborator",
                format!(
                    "waits for {to} to accept an invitation to {} (target.collaborators)",
                    apps.join(", ")
                ),
            ),
            Self::Withdrawn { apps } => not(
                "InvitationWithdrawn",
                format!(
                    "the invitation of {to} to {} was withdrawn; {}",
                    apps.join(", "),
                    again("invites them anew")
                ),
            ),
            Self::NotEligible { who, limited } => {
                let limited = if limited.is_empty() {
                    String::new()
                } else {
                    format!(
                        "; {who} is a limited collaborator of {}: give full rights in the dashboard",
                        limited.join(", ")
                    )
                };
                not(
                    "NotEligible",
                    format!(
                        "{who} has accepted, and the platform does not offer them as an owner of project {project}: they need a billing profile \
                         and a means of payment, and must be out of the free trial{limited}"
                    ),
                )
            }
            Self::NotAlone { apps } => not(
                "ProjectShared",
                format!(
                    "project {project} also holds {}, which this recovery did not make: it is not offered to anybody; take them out of it, or \
                     hand it over in the dashboard",
                    apps.join(", ")
                ),
            ),
            Self::Offered { who, until } => {
                let until =
                    until.map(|until| format!(" The offer ends {}.", date(until))).unwrap_or_default();
                not(
                    "Offered",
                    format!("project {project} is offered to {who}, and is theirs once they accept.{until}"),
                )
            }
            Self::OfferedElsewhere { who } => not(
                "OfferedElsewhere",
                format!(
                    "somebody has offered project {project} to {who}, who is not {to}; nothing else can be offered until that has ended"
                ),
            ),
            Self::Accepted { who } => not(
                "Accepted",
                format!(
                    "the platform says that {who} has accepted, and does not show them as the owner of every app yet"
                ),
            ),
            Self::Ended { who, how, why } => {
                let why = if why.is_empty() { String::new() } else { format!(" ({why})") };
                let (reason, what) = match how {
                    Ending::Declined => ("Declined", format!("{who} has declined project {project}{why}")),
                    Ending::Expired => (
                        "Expired",
                        format!("{who} has not answered the offer of project {project} in time{why}"),
                    ),
                    Ending::TakenBack => {
                        ("TakenBack", format!("the offer of project {project} to {who} was taken back{why}"))
                    }
                    Ending::Failed => (
                        "TransferFailed",
                        format!("the platform could not hand project {project} over to {who}{why}"),
                    ),
                };
                not(reason, format!("{what}; {}", again("offers it once more")))
            }
            Self::HandedOver { who } => (
                Some(true),
                "HandedOver",
                format!("project {project} and its apps belong to {who}, who is billed for them"),
            ),
            Self::Elsewhere { who } => not(
                "OwnedByOthers",
                format!("the apps of project {project} belong to {who}, who is not {to}"),
            ),
            Self::NotSeen => (
                None,
                "NotSeen",
                format!(
                    "neither project {project} nor its apps are to be seen: they were handed over and we are no collaborator any more, or \
                     somebody has deleted them"
                ),
            ),
        }
    }

    /// Whether nothing more is to be done or waited for.
    pub const fn is_done(&self) -> bool {
        matches!(self, Self::HandedOver { .. })
    }
}

impl HandOver {
    /// What the condition says of it.
    pub fn observation(&self, request: &RequestRow) -> Observation {
        let (holds, reason, sentence) = self.stage.told(&self.to, &self.project, &request.name);
        let since = date(self.since);
        let (reason, message) = match (self.given_up, self.stage.is_done()) {
            (_, true) => (reason, format!("{sentence} (seen {since})")),
            (true, false) => (
                "NoAnswer",
                format!(
                    "given up, nothing has moved since {since}: {sentence}. `reprise resume {}` looks again",
                    request.name
                ),
            ),
            (false, false) => (reason, format!("since {since}: {sentence}")),
        };
        said(request, holds, reason, message)
    }

    /// The newest one that was found, whatever has become of the step since.
    pub fn known(steps: &[StepRow]) -> Option<Self> {
        Self::deserialize(step(steps)?.output.as_ref()?).ok()
    }
}

/// The step's row.
pub fn step(steps: &[StepRow]) -> Option<&StepRow> {
    let key = Step::HandOver.to_string();
    steps.iter().find(|row| row.step == key)
}

fn said(request: &RequestRow, holds: Option<bool>, reason: &'static str, message: String) -> Observation {
    Observation { kind: CONDITION, holds, reason, message, generation: Some(request.generation) }
}

/// What is said when it begins.
pub fn begins(request: &RequestRow, to: &str) -> Observation {
    said(request, Some(false), "Begins", format!("the project is to be handed over to {to}"))
}

/// What is said where it was pursued and is not any more.
pub fn not_pursued(request: &RequestRow) -> Observation {
    let why = match (request.phase, request.desired) {
        (Phase::Succeeded, Desired::Run) => "the plan does not ask for it any more".to_owned(),
        (Phase::Succeeded, _) => {
            format!(
                "it was asked to stop, or its records come from another machine; `reprise resume {}` goes on",
                request.name
            )
        }
        _ => "what was recovered is being undone".to_owned(),
    };
    said(
        request,
        Some(false),
        "NotPursued",
        format!("the project is not handed over: {why}. An offer that is open stays open"),
    )
}

/// What is said where a look failed and a person may have to do something.
pub fn not_looked(request: &RequestRow, why: &str) -> Observation {
    said(
        request,
        None,
        "LookFailed",
        format!("how the hand-over stands is not known: {why}. It is looked at again"),
    )
}

/// Whether somebody should look at it: nothing goes on by itself.
pub fn is_trouble(said: &Observation) -> bool {
    !matches!(
        said.reason,
        "Begins" | "WaitingForCollaborator" | "Offered" | "Accepted" | "HandedOver" | "NotPursued"
    )
}

/// Whether the stored condition says that it is pursued.
pub fn is_pursued(status: &RecoveryRequestStatus) -> bool {
    let told = conditions::find(&status.conditions, CONDITION);
    told.is_some_and(|told| told.status != "True" && !OVER.contains(&told.reason.as_str()))
}

/// Whether the stored condition says that it is done.
pub fn is_done(status: &Value) -> bool {
    condition(status).is_some_and(|told| told["status"] == "True")
}

/// The stored condition.
pub fn condition(status: &Value) -> Option<&Value> {
    status["conditions"].as_array()?.iter().find(|one| one["type"] == CONDITION)
}

/// Whether what `request` has recovered may be handed over at all: all of it, for real, and nobody is undoing it.
pub fn is_possible(request: &RequestRow) -> bool {
    request.phase == Phase::Succeeded
        && request.state == Milestone::DnsOk
        && accept::mode(request) == Mode::Recover
}

/// How long until the next look, in unscaled time; `None`: now. `to` is whom the plan names today, `now` the time.
pub fn due(
    request: &RequestRow,
    to: &str,
    steps: &[StepRow],
    now: DateTime<Utc>,
    scale: impl Fn(Duration) -> Duration,
) -> Option<Duration> {
    let row = step(steps)?;
    let ended = row.finished_at.filter(|_| matches!(row.phase, StepPhase::Done | StepPhase::Failed))?;
    let known = HandOver::known(steps);
    if known.as_ref().is_some_and(|known| known.asked != request.retry_requested_at || known.to != to) {
        return None;
    }
    let waited = known.filter(|_| row.phase == StepPhase::Done).map(|known| now - known.since);
    let pause = pause(waited.and_then(|waited| waited.to_std().ok()), scale);
    let left = ended + TimeDelta::from_std(pause).unwrap_or(TimeDelta::MAX) - now;
    // A clock that was set back keeps nobody waiting for longer.
    left.to_std().ok().filter(|left| !left.is_zero()).map(|left| left.min(pause))
}

/// The pause after a look, where so much was waited before it.
fn pause(waited: Option<Duration>, scale: impl Fn(Duration) -> Duration) -> Duration {
    let (shortest, longest) = (scale(SHORTEST), scale(LONGEST));
    waited.map_or(longest, |waited| (waited / 10).clamp(shortest, longest))
}

/// A look that found `stage`, after `before`. What stands as it stood has done so since then.
pub fn found(
    before: Option<&HandOver>,
    (to, project, asked): (&str, &str, Option<DateTime<Utc>>),
    stage: Stage,
    now: DateTime<Utc>,
    silence: Duration,
) -> HandOver {
    let same = before.filter(|before| before.stage == stage && before.to == to && before.asked == asked);
    let since = same.map_or(now, |before| before.since);
    let silent = (now - since).to_std().is_ok_and(|silent| silent >= silence);
    let given_up = silent && !stage.is_done();
    HandOver { to: to.to_owned(), project: project.to_owned(), stage, since, given_up, asked }
}

fn date(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[cfg(test)]
mod tests;
