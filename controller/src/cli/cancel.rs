//! `reprise cancel`, `reprise pause`, `reprise resume` and `reprise approve`: what people want of a request, recorded; the daemon does it.

use reprise_crds::Phase;
use serde_json::json;

use super::{CliError, Common, Format, exit, output};
use crate::recovery::hand_over;
use crate::store::{Desired, RequestRow, Store};

/// Arguments of `cancel`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The request
    name: String,
    /// Also tear down every resource that the ledger proves to be this request's own, DNS first
    #[arg(long)]
    clean: bool,
}

/// Arguments of `pause` and `resume`.
#[derive(Debug, clap::Args)]
pub(super) struct NameArgs {
    /// The request
    name: String,
}

/// Arguments of `approve`.
#[derive(Debug, clap::Args)]
pub(super) struct ApproveArgs {
    /// The request
    name: String,
    /// Who agrees; kept with the request [default: the user who runs this]
    #[arg(long, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    by: Option<String>,
}

pub(super) async fn run(common: &Common, args: &Args) -> Result<u8, CliError> {
    let (desired, told) = if args.clean {
        (Desired::TearDown, "is being torn down")
    } else {
        (Desired::Cancel, "is being cancelled; what it made is kept")
    };
    ask(common, &args.name, desired, told).await
}

pub(super) async fn pause(common: &Common, args: &NameArgs) -> Result<u8, CliError> {
    ask(common, &args.name, Desired::Pause, "is being paused; `reprise resume` goes on").await
}

pub(super) async fn resume(common: &Common, args: &NameArgs) -> Result<u8, CliError> {
    ask(common, &args.name, Desired::Run, "goes on; what is done stays done").await
}

pub(super) async fn approve(common: &Common, args: &ApproveArgs) -> Result<u8, CliError> {
    let user = || ["SUDO_USER", "USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok());
    let Some(who) = args.by.clone().or_else(user).filter(|who| !who.trim().is_empty()) else {
        return Err(CliError::Anonymous);
    };
    let store = common.store().await?;
    let Some(request) = store.request(&args.name).await? else {
        return Err(not_found(&store, &args.name).await?);
    };
    // What is lost is known once it waits; who agrees before that agrees to nothing.
    if request.phase != Phase::WaitingApproval {
        let why = format!("{} waits for nobody to agree: it is {}", args.name, request.phase);
        return Err(CliError::Answer(why));
    }
    store.approve(&args.name, &who).await?;
    tell(common, &args.name, &format!("is approved by {who}"))
}

async fn ask(common: &Common, name: &str, desired: Desired, told: &str) -> Result<u8, CliError> {
    let store = common.store().await?;
    let Some(request) = store.request(name).await? else {
        return Err(not_found(&store, name).await?);
    };
    let hands_over = hands_over(&store, &request).await?;
    if let Some(why) = in_vain(&request, desired, hands_over) {
        return Err(CliError::Answer(format!("{name} {why}")));
    }
    // A drill that is cancelled stays it: only its tear-down is tried again.
    if desired == Desired::Run && is_drill(&request) && request.desired == Desired::Cancel {
        store.ask_again(name).await?;
        return tell(common, name, "is torn down once more; it stays cancelled");
    }
    store.ask(name, desired).await?;
    tell(common, name, answer(&request, desired).unwrap_or(told))
}

/// What is said where what was asked for does not happen at once, or goes on already.
fn answer(request: &RequestRow, desired: Desired) -> Option<&'static str> {
    if request.desired == Desired::TearDown {
        return Some("is being torn down, and that goes on");
    }
    if request.phase == Phase::Succeeded && desired == Desired::Run {
        return Some(
            "has succeeded; its hand-over is looked at now, and what has ended of it is tried once more",
        );
    }
    if request.phase == Phase::Succeeded && desired == Desired::Cancel {
        return Some(
            "has succeeded and stays; its hand-over is no longer pursued, and an offer that is open stays open",
        );
    }
    if request.phase == Phase::Cancelled && desired == Desired::Cancel {
        return Some("is cancelled; what was not cleaned up then is tried again");
    }
    let failed = request.phase == Phase::Running && request.status["steps"]["failed"].as_u64() > Some(0);
    (failed && desired == Desired::Run).then_some(
        "tries what failed again once what does not need it is done; `reprise pause` stops that, and `resume` then begins at once",
    )
}

/// Whether what `request` has recovered is, or can be, on its way to another owner.
async fn hands_over(store: &Store, request: &RequestRow) -> Result<bool, CliError> {
    if !hand_over::is_possible(request) || hand_over::is_done(&request.status) {
        return Ok(false);
    }
    let plan = store.plan(&request.plan).await?;
    Ok(plan.is_some_and(|plan| plan.spec["handOver"].is_object()))
}

/// Why nothing would come of asking for `desired`. `hands_over`: the plan asks for a hand-over that is not done.
fn in_vain(request: &RequestRow, desired: Desired, hands_over: bool) -> Option<&'static str> {
    let torn_down = request.desired == Desired::TearDown;
    let drill = is_drill(request);
    let cancelled = request.desired == Desired::Cancel || request.phase == Phase::Cancelled;
    match desired {
        // A tear-down that failed is tried again.
        Desired::Run if torn_down && request.phase == Phase::Failed => None,
        _ if torn_down && request.is_finished() => Some("was torn down: file another request"),
        Desired::TearDown if drill && request.is_finished() => {
            Some("has ended, and a drill is torn down by itself: see what its last message says")
        }
        Desired::Cancel | Desired::Run if drill && request.phase == Phase::Cancelled => {
            Some("was cancelled and torn down: file another drill")
        }
        Desired::Run if drill && cancelled && !request.is_finished() => {
            Some("is being cancelled and torn down: file another drill")
        }
        Desired::Cancel if drill && request.phase == Phase::Failed => {
            Some("has failed, and is torn down: if that failed too, `reprise resume` tries it again")
        }
        Desired::TearDown if hand_over::is_done(&request.status) => Some(
            "was handed over: what it recovered belongs to somebody else, and is no longer ours to delete. `reprise describe` says whose it is",
        ),
        Desired::TearDown => None,
        Desired::Run | Desired::Cancel if hands_over => None,
        _ if torn_down => {
            Some("is being torn down, which cannot be stopped: file another request when it has ended")
        }
        Desired::Run if request.phase == Phase::WaitingApproval => Some(
            "waits for somebody to agree to what is lost: see `reprise describe`, then `reprise approve`",
        ),
        _ if request.phase == Phase::Succeeded => {
            Some("has succeeded: there is nothing left to do or to stop")
        }
        Desired::Pause if request.is_finished() => {
            Some("has ended: there is nothing to pause; `reprise resume` tries it again")
        }
        _ => None,
    }
}

fn is_drill(request: &RequestRow) -> bool {
    request.spec["mode"] == "drill"
}

fn tell(common: &Common, name: &str, told: &str) -> Result<u8, CliError> {
    match common.output {
        Format::Json => output::json(&json!({ "name": name, "result": told }))?,
        Format::Text => output::line(format!("recoveryrequest {name} {told}"))?,
    }
    Ok(exit::OK)
}

/// The error for a request that is not there, with the names of those that are.
pub(super) async fn not_found(store: &Store, name: &str) -> Result<CliError, CliError> {
    let names = store.requests().await?.into_iter().flatten().map(|row| row.name).collect();
    Ok(CliError::NotFound { kind: "request", name: name.to_owned(), names })
}

#[cfg(test)]
mod tests {
    use reprise_crds::Milestone;

    use super::*;
    use crate::recovery::evidence::tests::request;

    #[test]
    fn a_resume_that_has_to_wait_is_told_for_what() {
        let mut row = request(Milestone::Pending, Phase::Running);
        assert_eq!(answer(&row, Desired::Run), None);
        row.status = json!({ "steps": { "failed": 1 } });
        assert!(answer(&row, Desired::Run).is_some_and(|told| told.contains("once what does not need it")));
        assert_eq!(answer(&row, Desired::Pause), None);
    }

    #[test]
    fn what_has_ended_is_neither_paused_nor_turned_into_something_else() {
        let row = |phase, desired, mode: &str| RequestRow {
            desired,
            spec: json!({ "mode": mode }),
            ..request(Milestone::Pending, phase)
        };
        let (pause, run, cancel) = (Desired::Pause, Desired::Run, Desired::Cancel);
        for phase in [Phase::Cancelled, Phase::Failed] {
            assert!(in_vain(&row(phase, cancel, "recover"), pause, false).is_some(), "{phase}");
        }
        assert_eq!(in_vain(&row(Phase::Cancelled, cancel, "recover"), run, false), None, "it goes on");
        assert_eq!(
            in_vain(&row(Phase::Cancelled, cancel, "recover"), cancel, false),
            None,
            "it is cleaned up"
        );
        for phase in [Phase::Cancelled, Phase::TearingDown] {
            let told = in_vain(&row(phase, cancel, "drill"), run, false);
            assert!(told.is_some_and(|told| told.contains("file another drill")), "{phase}");
        }
        let left = row(Phase::Failed, cancel, "drill");
        assert_eq!(in_vain(&left, run, false), None, "its tear-down is tried again");
        assert!(in_vain(&left, cancel, false).is_some());
    }

    #[test]
    fn what_has_succeeded_can_still_be_asked_about_its_hand_over() {
        let done = request(Milestone::DnsOk, Phase::Succeeded);
        for asked in [Desired::Run, Desired::Cancel] {
            assert!(
                in_vain(&done, asked, false).is_some() && in_vain(&done, asked, true).is_none(),
                "{asked:?}"
            );
            assert!(answer(&done, asked).is_some_and(|told| told.contains("hand-over")), "{asked:?}");
        }
        let condition = |status: &str| json!({ "conditions": [{ "type": "HandedOver", "status": status }] });
        let ours = RequestRow { status: condition("False"), ..done.clone() };
        assert_eq!(in_vain(&ours, Desired::TearDown, true), None);
        let theirs = RequestRow { status: condition("True"), ..done };
        let told = in_vain(&theirs, Desired::TearDown, false);
        assert!(told.is_some_and(|told| told.contains("no longer ours to delete")), "{told:?}");
    }

    #[test]
    fn what_would_come_to_nothing_is_told() {
        let row = |phase, desired| RequestRow { desired, ..request(Milestone::Pending, phase) };
        let running = row(Phase::Running, Desired::Run);
        assert!(
            [Desired::Pause, Desired::Cancel, Desired::Run, Desired::TearDown]
                .map(|asked| in_vain(&running, asked, false))
                == [None; 4]
        );
        let undone = row(Phase::TearingDown, Desired::TearDown);
        assert!(in_vain(&undone, Desired::Run, false).is_some_and(|why| why.contains("cannot be stopped")));
        assert_eq!(
            in_vain(&row(Phase::Failed, Desired::TearDown), Desired::Run, false),
            None,
            "it is tried again"
        );
        let gone = row(Phase::Cancelled, Desired::TearDown);
        let asked = [Desired::Run, Desired::TearDown].map(|asked| in_vain(&gone, asked, false));
        assert!(asked.iter().all(Option::is_some), "it is gone");
        assert!(in_vain(&row(Phase::WaitingApproval, Desired::Run), Desired::Run, false).is_some());
        let done = row(Phase::Succeeded, Desired::Run);
        assert!(
            in_vain(&done, Desired::Cancel, false).is_some()
                && in_vain(&done, Desired::TearDown, false).is_none()
        );
    }
}
