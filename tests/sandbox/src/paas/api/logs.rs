//! An app's log: an address with a token of its own, read as text or followed on a websocket.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocketUpgrade};
use axum::extract::{Path, Query, State as Shared};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::mpsc;

use crate::paas::reply::{Answer, Refusal, Reply};
use crate::paas::session::{Role, Session};
use crate::paas::view::date;
use crate::paas::{Paas, view};
use crate::plane::runner::logs::{Filter, Line};

/// How long an address is good for, in world time.
const LIFE: Duration = Duration::from_hours(1);
/// Lines that are sent when nobody says how many, and at most.
const LINES: usize = 100;
const MOST: usize = 150_000;

/// `GET …/logs`: the app, and where its log is read.
pub(super) async fn address(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(key): Path<String>,
) -> Answer {
    let state = paas.state();
    let app = state.app_for(&session.user, &key, Role::Limited)?;
    let (token, now) = (paas.world.ids.secret(40), paas.world.clock.elapsed());
    {
        let mut tokens = paas.log_tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.retain(|_, (_, ends_at)| *ends_at > now);
        tokens.insert(token.clone(), (app.id.clone(), now + LIFE));
    }
    let timestamp = paas.world.clock.wall().timestamp();
    let url = format!("{}/logs/{}?token={token}&timestamp={timestamp}", paas.urls().api, app.name);
    Ok(Reply::ok(json!({"app": view::app(&paas, &state, app, &session), "logs_url": url})))
}

/// `GET …/logs_archives`: this world is younger than its first archive.
pub(super) async fn archives(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(key): Path<String>,
) -> Answer {
    paas.state().app_for(&session.user, &key, Role::Limited)?;
    Ok(Reply::ok(json!({"archives": [], "next_cursor": "", "has_more": false})))
}

/// The parameters of an address.
#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    token: String,
    n: Option<String>,
    #[serde(default)]
    filter: String,
    #[serde(default)]
    stream: String,
}

/// `GET logs_url`: the newest lines, 204 if there are none; with `stream=true` a websocket of all that follow.
pub(super) async fn read(
    Shared(paas): Shared<Arc<Paas>>,
    Query(asked): Query<Asked>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Refusal> {
    let app = paas.app_of_log(&asked.token)?;
    let filter = Filter::parse(&asked.filter);
    if asked.stream == "true" {
        return Ok(match upgrade {
            Ok(upgrade) => follow(paas, upgrade, &app, filter),
            Err(refused) => refused.into_response(),
        });
    }
    let count = asked.n.and_then(|n| n.parse().ok()).unwrap_or(LINES).min(MOST);
    let lines = paas.plane.runner.last_lines(&app, count, &filter);
    if lines.is_empty() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let mut text = lines.iter().map(Line::shown).collect::<Vec<_>>().join("\n");
    text.push('\n');
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response())
}

fn follow(paas: Arc<Paas>, upgrade: WebSocketUpgrade, app: &str, filter: Filter) -> Response {
    let mut lines = paas.plane.runner.follow_lines(app);
    upgrade.on_upgrade(move |mut socket| async move {
        let (sender, mut events) = mpsc::unbounded_channel();
        let wanted = async {
            while let Some(line) = lines.recv().await {
                if filter.admits(&line.label) && sender.send(event(&line)).is_err() {
                    return;
                }
            }
        };
        let (stop, ping) = (paas.world.tasks.stopping(), json!({"event": "ping"}));
        tokio::select! {
            () = stop.cancelled() => {}
            () = wanted => {}
            () = super::streams::relay(&mut socket, &mut events, &ping) => {}
        }
        socket.send(Message::Close(None)).await.ok();
    })
}

/// A line as a follower is told of it.
pub(in crate::paas) fn event(line: &Line) -> String {
    json!({"event": "log", "log": format!("{}\n", line.shown()), "timestamp": date(line.at)}).to_string()
}

impl Paas {
    /// The name of the app whose log a token opens.
    fn app_of_log(&self, token: &str) -> Result<String, Refusal> {
        let refused = || Refusal::Unauthorized("invalid token".into());
        let now = self.world.clock.elapsed();
        let known = self.log_tokens.lock().unwrap_or_else(PoisonError::into_inner).get(token).cloned();
        let (app_id, _) = known.filter(|(_, ends_at)| *ends_at > now).ok_or_else(refused)?;
        Ok(self.state().app(&app_id).ok_or(Refusal::NotFound("app"))?.name.clone())
    }
}
