//! A database's log, as an app's: an address with a token of its own, read as text or followed on a websocket. Its lines are those
//! of the real server, dated and labelled as the platform writes them.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocketUpgrade};
use axum::extract::{Path, Query, State as Shared};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, NaiveDateTime, Utc};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::mpsc;

use super::opened;
use crate::paas::api::{log_event, relay};
use crate::paas::reply::{Answer, Refusal, Reply};
use crate::paas::session::Session;
use crate::paas::state::Source;
use crate::paas::{Paas, Plane};
use crate::plane::runner::logs::Line;

/// World time that a log's address is valid.
const LIFE: Duration = Duration::from_hours(1);
/// Lines that are sent when nobody says how many.
const LINES: usize = 100;
/// How often a followed log is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// How a server's own date is written, in UTC, and how long that is.
const DATE: &str = "%Y-%m-%d %H:%M:%S%.3f UTC";
const DATE_LENGTH: usize = "2026-08-28 08:20:30.123 UTC".len();
const REDIS_DATE: &str = "%d %b %Y %H:%M:%S%.3f";
const REDIS_DATE_LENGTH: usize = "28 Aug 2026 08:20:30.123".len();

/// `GET /databases/:id/logs`: where to read them.
pub(super) async fn address(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(id): Path<String>,
) -> Answer {
    let secret = paas.world.ids.secret(48);
    let ends_at = (paas.world.clock.elapsed() + LIFE).as_secs_f64();
    let mut state = paas.state();
    let (_, addon) = opened(&state, &session, &id)?;
    let (opens, path) = (addon.id.clone(), format!("/api/databases/{}/logs/read?token={secret}", addon.id));
    state.downloads.insert(secret, Source { opens, ends_at });
    Ok(Reply::ok(json!({"url": format!("{}{path}", paas.urls().database)})))
}

/// `GET /databases/:id/logs_archives`: none yet.
pub(super) async fn archives(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(id): Path<String>,
) -> Answer {
    opened(&paas.state(), &session, &id)?;
    Ok(Reply::ok(json!({"archives": [], "next_cursor": "", "has_more": false})))
}

/// The parameters of an address.
#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    token: String,
    n: Option<String>,
    #[serde(default)]
    stream: String,
}

/// What that address answers: the last `n` lines, or with `stream=true` a websocket of all that follow.
pub(super) async fn read(
    Shared(paas): Shared<Arc<Paas>>,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let Some(server) = paas.log_of(&id, &asked.token) else {
        return Refusal::Unauthorized("invalid or expired token".into()).into_response();
    };
    if asked.stream == "true" {
        return match upgrade {
            Ok(upgrade) => follow(paas, upgrade, server),
            Err(refused) => refused.into_response(),
        };
    }
    let Some(log) = server.tail(&paas.plane).await else {
        return StatusCode::NO_CONTENT.into_response();
    };
    let lines = dated(&log, &server.label(), paas.world.clock.wall());
    let wanted = asked.n.and_then(|n| n.parse().ok()).unwrap_or(LINES);
    let tail: Vec<String> = lines.iter().skip(lines.len().saturating_sub(wanted)).map(Line::shown).collect();
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], tail.join("\n") + "\n").into_response()
}

fn follow(paas: Arc<Paas>, upgrade: WebSocketUpgrade, server: Server) -> Response {
    upgrade.on_upgrade(async move |mut socket| {
        let (sender, mut events) = mpsc::unbounded_channel();
        // A database without a log has nothing to tell, and is followed all the same.
        let mut from = server.after(&paas.plane, u64::MAX).await.map_or(0, |(_, end)| end);
        let told = async {
            loop {
                tokio::time::sleep(LOOK).await;
                let Some((text, end)) = server.after(&paas.plane, from).await else { continue };
                from = end;
                for line in dated(&text, &server.label(), paas.world.clock.wall()) {
                    if sender.send(log_event(&line)).is_err() {
                        return;
                    }
                }
            }
        };
        let (stop, ping) = (paas.world.tasks.stopping(), json!({"event": "ping"}));
        tokio::select! {
            () = stop.cancelled() => {}
            () = told => {}
            () = relay(&mut socket, &mut events, &ping) => {}
        }
        socket.send(Message::Close(None)).await.ok();
    })
}

/// The lines of a server's log. What has no date of its own belongs to the line before, and has its date; `now` where none came yet.
fn dated(log: &str, label: &str, now: DateTime<Utc>) -> Vec<Line> {
    let mut at = now;
    let line = |text: &str| {
        let (date, rest) = of_postgresql(text).or_else(|| of_redis(text)).unzip();
        at = date.unwrap_or(at);
        let text = rest.unwrap_or_else(|| text.trim_start().to_owned());
        Line { at, label: label.to_owned(), text }
    };
    log.lines().filter(|text| !text.trim().is_empty()).map(line).collect()
}

/// The date of a line and the rest of it: `2026-08-28 08:20:30.123 UTC [77] LOG:  …`.
fn of_postgresql(line: &str) -> Option<(DateTime<Utc>, String)> {
    let date = NaiveDateTime::parse_from_str(line.get(..DATE_LENGTH)?, DATE).ok()?;
    Some((date.and_utc(), line.get(DATE_LENGTH..)?.trim_start().to_owned()))
}

/// The same of `77:M 28 Aug 2026 08:20:30.123 * …`, whose date is behind the process.
fn of_redis(line: &str) -> Option<(DateTime<Utc>, String)> {
    let (process, rest) = line.split_once(' ')?;
    let date = NaiveDateTime::parse_from_str(rest.get(..REDIS_DATE_LENGTH)?, REDIS_DATE).ok()?;
    Some((date.and_utc(), format!("{process} {}", rest.get(REDIS_DATE_LENGTH..)?.trim_start())))
}

/// A server whose log is read.
struct Server {
    provider: String,
    resource: String,
}

impl Server {
    fn label(&self) -> String {
        format!("{}-1", self.provider)
    }

    /// The end of its log; `None` if it has none.
    async fn tail(&self, plane: &Plane) -> Option<String> {
        if self.provider == "redis" {
            plane.redis.log_tail(&self.resource).await.ok()
        } else {
            plane.databases.log_tail(&self.resource).await.ok()
        }
    }

    /// The whole lines after the first `from` bytes, and where the next begins.
    async fn after(&self, plane: &Plane, from: u64) -> Option<(String, u64)> {
        if self.provider == "redis" {
            plane.redis.log_from(&self.resource, from).await.ok()
        } else {
            plane.databases.log_from(&self.resource, from).await.ok()
        }
    }
}

impl Paas {
    /// The server whose log a token opens.
    fn log_of(&self, id: &str, token: &str) -> Option<Server> {
        let now = self.world.clock.elapsed().as_secs_f64();
        let state = self.state();
        state.downloads.get(token).filter(|link| link.opens == id && link.ends_at > now)?;
        let (_, addon) = state.addon(id)?;
        Some(Server { provider: addon.provider.clone(), resource: addon.resource_id.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_the_platforms_date_and_label_continuations_too() {
        let log =
            "2026-08-28 08:20:30.123 UTC [77] LOG:  checkpoint starting\n\tmore of it\n\nwithout a date\n";
        let shown: Vec<String> = dated(log, "postgresql-1", Utc::now()).iter().map(Line::shown).collect();
        let head = "2026-08-28 10:20:30.123 +0200 CEST [postgresql-1]";
        let expected = ["[77] LOG:  checkpoint starting", "more of it", "without a date"];
        assert_eq!(shown, expected.map(|text| format!("{head} {text}")));
    }

    #[test]
    fn a_redis_writes_its_date_behind_the_process() {
        let log = "77:M 28 Aug 2026 08:20:30.123 * Ready to accept connections tcp\n";
        let shown: Vec<String> = dated(log, "redis-1", Utc::now()).iter().map(Line::shown).collect();
        assert_eq!(
            shown,
            ["2026-08-28 10:20:30.123 +0200 CEST [redis-1] 77:M * Ready to accept connections tcp"]
        );
    }
}
