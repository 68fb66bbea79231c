//! `reprise watch NAME`: follow a request until it ends. On a terminal one live line per running step; elsewhere plain lines.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use reprise_crds::{Part, Phase};
use serde_json::json;
use sqlx::postgres::PgListener;

use super::describe::{self, Records};
use super::get::moment;
use super::{CliError, Common, Format, cancel, exit, output, report};
use crate::recovery::{cut, status};
use crate::store::{CHANGED, Event, RequestRow, StepPhase, StepRow, Store};

mod rate;
mod then;

use rate::Rates;
use then::Then;

/// The look without a notification.
const LOOK: Duration = Duration::from_secs(1);

/// Arguments of `watch`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The request
    name: String,
    /// Give up after this long (the request goes on), for example 30m [default: never]
    #[arg(long, value_parser = humantime::parse_duration)]
    timeout: Option<Duration>,
}

pub(super) async fn run(common: &Common, args: &Args) -> Result<u8, CliError> {
    let store = common.store().await?;
    let live = common.output == Format::Text && std::io::stdout().is_terminal();
    let mut screen = if live { Screen::Live(Live::default()) } else { Screen::Plain(common.output) };
    let follow = follow(&store, &args.name, &mut screen);
    let ended = match args.timeout {
        None => follow.await?,
        Some(limit) => {
            let ended = tokio::time::timeout(limit, follow).await;
            ended.map_err(|_| CliError::NotEnded { name: args.name.clone(), limit })??
        }
    };
    let records = describe::read(&store, &args.name).await?;
    if common.output == Format::Text {
        report::print(&records)?;
    }
    Ok(match ended {
        Phase::Succeeded => exit::OK,
        Phase::Cancelled => exit::CANCELLED,
        _ => exit::FAILED,
    })
}

/// Shows what changes until the request has ended.
async fn follow(store: &Store, name: &str, screen: &mut Screen) -> Result<Phase, CliError> {
    let mut listener = store.listen(&[CHANGED]).await?;
    let (mut seen, mut refused, mut then) = (0, String::new(), Then::default());
    let mut part = None;
    loop {
        let Some(request) = store.request(name).await? else {
            return Err(cancel::not_found(store, name).await?);
        };
        if part.is_none() {
            let told = cut::told(&request.spec);
            if told != Part::All.as_str() {
                screen.say(&format!("{name} is about a part of {}: {told}", request.plan))?;
            }
            part = Some(told);
        }
        let events = store.events_after(name, seen).await?;
        seen = events.last().map_or(seen, |event| event.id);
        let steps = store.steps(name).await?;
        screen.show(&request, &steps, &events, &mut then)?;
        if let Some(refusal) = refusal(&request).filter(|refusal| *refusal != refused) {
            screen.say(&format!(
                "not accepted: {refusal}; correct the plan or the request, and it goes on by itself"
            ))?;
            refused = refusal;
        }
        // Who has just asked for another try is not told how the last one ended.
        if status::settled(&request) {
            screen.end();
            return Ok(request.phase);
        }
        told(&mut listener, name).await;
    }
}

/// Why the request cannot be run as it is, if the daemon said so.
fn refusal(request: &RequestRow) -> Option<String> {
    let conditions = request.status["conditions"].as_array()?;
    let accepted = conditions.iter().find(|condition| condition["type"] == "Accepted")?;
    (accepted["status"] == "False").then(|| accepted["message"].as_str().unwrap_or_default().to_owned())
}

/// Waits until the request changed, or for the next look.
async fn told(listener: &mut PgListener, name: &str) {
    let ours = async {
        loop {
            match listener.recv().await {
                Ok(told) if told.payload() == name => return,
                Ok(_) => {}
                // The connection is gone: the next look makes it plain.
                Err(_) => std::future::pending().await,
            }
        }
    };
    // Several changes come in one breath: one look serves them all.
    if tokio::time::timeout(LOOK, ours).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

enum Screen {
    Plain(Format),
    Live(Live),
}

#[derive(Default)]
struct Live {
    bars: MultiProgress,
    head: Option<ProgressBar>,
    steps: std::collections::BTreeMap<String, ProgressBar>,
    rates: Rates,
}

impl Screen {
    fn show(
        &mut self,
        request: &RequestRow,
        steps: &[StepRow],
        events: &[Event],
        then: &mut Then,
    ) -> Result<(), CliError> {
        match self {
            Self::Plain(Format::Json) => events.iter().try_for_each(|event| {
                then.take(event);
                output::json_line(&json!({
                    "at": event.at, "state": then.state.as_str(), "phase": then.phase.as_str(),
                    "reason": event.reason, "step": event.step, "message": event.message,
                }))
            }),
            Self::Plain(Format::Text) => plain(then, steps, events),
            Self::Live(live) => live.show(request, steps, events),
        }
    }

    fn say(&self, text: &str) -> Result<(), CliError> {
        match self {
            Self::Plain(Format::Json) => output::json_line(&json!({ "message": text })),
            Self::Plain(Format::Text) => output::line(text),
            Self::Live(live) => Ok(live.bars.println(text)?),
        }
    }

    fn end(&mut self) {
        if let Self::Live(live) = self {
            live.steps.values().for_each(ProgressBar::finish_and_clear);
            if let Some(head) = &live.head {
                head.finish_and_clear();
            }
        }
    }
}

fn plain(then: &mut Then, steps: &[StepRow], events: &[Event]) -> Result<(), CliError> {
    for event in events {
        then.take(event);
        let step = event.step.as_deref().map(|step| format!("{step}: ")).unwrap_or_default();
        output::line(format!("{} {:<16} {step}{}", moment(event.at), then.state, event.message))?;
    }
    if events.is_empty() {
        return Ok(());
    }
    for step in steps.iter().filter(|step| step.phase == StepPhase::Running) {
        output::line(format!("    {}", rate::line(step, None)))?;
    }
    Ok(())
}

impl Live {
    fn show(&mut self, request: &RequestRow, steps: &[StepRow], events: &[Event]) -> Result<(), CliError> {
        for event in events {
            let step = event.step.as_deref().map(|step| format!("{step}: ")).unwrap_or_default();
            self.bars.println(format!("{} {step}{}", moment(event.at), event.message))?;
        }
        let bars = &self.bars;
        let head = self.head.get_or_insert_with(|| bars.add(bar()));
        let done = steps.iter().filter(|step| step.phase == StepPhase::Done).count();
        let total = request.status["steps"]
            .as_object()
            .map_or(0, |steps| steps.values().filter_map(serde_json::Value::as_u64).sum());
        head.set_message(format!("{}  {}  {done}/{total} steps", request.phase, request.state));
        let running: Vec<&StepRow> = steps.iter().filter(|step| step.phase == StepPhase::Running).collect();
        self.steps.retain(|key, line| {
            let stays = running.iter().any(|step| step.step == *key);
            if !stays {
                line.finish_and_clear();
            }
            stays
        });
        for step in running {
            let rate = self.rates.update(step, tokio::time::Instant::now());
            let line = self.steps.entry(step.step.clone()).or_insert_with(|| bars.add(bar()));
            line.set_message(format!("  {}", rate::line(step, rate)));
        }
        Ok(())
    }
}

fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {wide_msg}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner());
    let bar = ProgressBar::new_spinner().with_style(style);
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

impl std::fmt::Debug for Records {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Records").field("request", &self.request.name).finish_non_exhaustive()
    }
}
