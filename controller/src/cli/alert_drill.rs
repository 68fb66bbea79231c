//! `reprise alert-drill`: an alert on purpose, followed from the daemon's metrics to where the notification arrives.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::any;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::Instant;
use url::Url;

use super::{CliError, Common, Format, exit, output};
use crate::providers::http::{HttpShared, client};
use crate::runtime::tasks::Tasks;

/// The alert of `deploy/prometheus/rules.yml` that fires while the metrics say that the alerts are rehearsed.
const ALERT: &str = "RepriseAlertDrill";
/// Between two looks.
const LOOK: Duration = Duration::from_secs(1);

/// Arguments of `alert-drill`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Prometheus, whose rules must fire the alert
    #[arg(long, value_name = "URL", required_unless_present_any = ["alertmanager", "listen"])]
    prometheus: Option<Url>,
    /// Alertmanager, which must have it
    #[arg(long, value_name = "URL")]
    alertmanager: Option<Url>,
    /// Wait here for the notification: add `http://ADDRESS/` to your receivers as a webhook
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// How long it may take from the alert to its end of the way
    #[arg(long, default_value = "10m", value_parser = humantime::parse_duration)]
    within: Duration,
}

/// One stretch of the way.
struct Stage {
    what: &'static str,
    advice: &'static str,
    look: Look,
}

enum Look {
    /// An address whose answer names the alert, and what in it says that it is active.
    Ask(Url, fn(&Value) -> bool),
    /// The webhook has been told.
    Heard(watch::Receiver<bool>),
}

pub(super) async fn run(common: &Common, args: &Args) -> Result<u8, CliError> {
    let store = common.store().await?;
    let tasks = Tasks::new();
    let stages = stages(common, args, &tasks).await?;
    let within = TimeDelta::from_std(args.within).unwrap_or(TimeDelta::MAX);
    store.rehearse_alerts(Utc::now().checked_add_signed(within).unwrap_or(DateTime::<Utc>::MAX_UTC)).await?;
    say(common, "raised", "the daemon says in its metrics that the alerts are rehearsed", None)?;
    let followed = follow(common, stages, args.within).await;
    store.rehearse_alerts(DateTime::UNIX_EPOCH).await?;
    tasks.stop();
    followed
}

async fn stages(common: &Common, args: &Args, tasks: &Tasks) -> Result<Vec<Stage>, CliError> {
    let mut stages = Vec::new();
    if let Some(url) = &args.prometheus {
        stages.push(Stage {
            what: "Prometheus fires it",
            advice: "does it scrape the daemon's /metrics, and is deploy/prometheus/rules.yml under its rule_files?",
            look: Look::Ask(below(url, "api/v1/alerts"), fires),
        });
    }
    if let Some(url) = &args.alertmanager {
        stages.push(Stage {
            what: "Alertmanager has it",
            advice: "is it under `alerting:` in the configuration of Prometheus?",
            look: Look::Ask(below(url, "api/v2/alerts"), has),
        });
    }
    if let Some(address) = args.listen {
        let (heard, address) = hear(address, tasks).await.map_err(CliError::Listen)?;
        say(common, "listening", &format!("waiting for the notification at http://{address}/"), None)?;
        stages.push(Stage {
            what: "the notification arrived",
            advice: "is that address a webhook of the receiver to which the route of critical alerts leads?",
            look: Look::Heard(heard),
        });
    }
    Ok(stages)
}

fn below(url: &Url, path: &str) -> Url {
    let mut url = url.clone();
    url.set_path(&format!("{}/{path}", url.path().trim_end_matches('/')));
    url
}

fn fires(answer: &Value) -> bool {
    let alerts = answer["data"]["alerts"].as_array();
    alerts
        .into_iter()
        .flatten()
        .any(|alert| alert["labels"]["alertname"] == ALERT && alert["state"] == "firing")
}

fn has(answer: &Value) -> bool {
    answer.as_array().into_iter().flatten().any(|alert| alert["labels"]["alertname"] == ALERT)
}

/// A webhook: hears whether anything that names the alert was sent to it.
async fn hear(address: SocketAddr, tasks: &Tasks) -> std::io::Result<(watch::Receiver<bool>, SocketAddr)> {
    async fn hook(State(told): State<watch::Sender<bool>>, body: String) -> StatusCode {
        told.send_if_modified(|heard| !std::mem::replace(heard, *heard || body.contains(ALERT)) && *heard);
        StatusCode::NO_CONTENT
    }
    let (tell, heard) = watch::channel(false);
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let routes = Router::new().fallback(any(hook)).with_state(tell);
    tasks.spawn("webhook", |_| async move { axum::serve(listener, routes).await });
    Ok((heard, address))
}

async fn follow(common: &Common, stages: Vec<Stage>, within: Duration) -> Result<u8, CliError> {
    let began = Instant::now();
    for mut stage in stages {
        let left = within.saturating_sub(began.elapsed());
        if tokio::time::timeout(left, stage.look.reached()).await.is_err() {
            let message = format!(
                "not within {}: {}. {}",
                humantime::format_duration(within),
                stage.what,
                stage.advice
            );
            say(common, "missing", &message, Some(began.elapsed()))?;
            return Ok(exit::FAILED);
        }
        say(common, "seen", stage.what, Some(began.elapsed()))?;
    }
    say(
        common,
        "ended",
        "the alert is taken back; your receivers are told so too, if they are told of resolved ones",
        None,
    )?;
    Ok(exit::OK)
}

impl Look {
    async fn reached(&mut self) {
        match self {
            // A sender that is gone will tell nothing more: only the time is left.
            Self::Heard(heard) => {
                if heard.wait_for(|heard| *heard).await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
            Self::Ask(url, says) => {
                while !asked(url).await.is_ok_and(|answer| says(&answer)) {
                    tokio::time::sleep(LOOK).await;
                }
            }
        }
    }
}

async fn asked(url: &Url) -> reqwest::Result<Value> {
    let client = client(&HttpShared::default())?;
    client.get(url.clone()).timeout(Duration::from_secs(5)).send().await?.json().await
}

fn say(common: &Common, what: &str, message: &str, after: Option<Duration>) -> Result<(), CliError> {
    match common.output {
        Format::Json => output::json_line(
            &json!({ "what": what, "message": message, "afterSeconds": after.map(|after| after.as_secs_f64()) }),
        ),
        Format::Text => {
            let after =
                after.map(|after| format!("after {:.1} s: ", after.as_secs_f64())).unwrap_or_default();
            output::line(format!("{after}{message}"))
        }
    }
}
