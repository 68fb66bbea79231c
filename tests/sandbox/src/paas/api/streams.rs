//! The websocket of an app's deployments: authenticated by its first message, then events until the client leaves.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State as Shared};
use axum::response::Response;
use serde_json::Value;
use tokio::sync::mpsc;

use crate::paas::session::Role;
use crate::paas::state::Deployment;
use crate::paas::{Paas, stream, view};

/// For the first message: a client that says nothing holds nothing.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two signs of life.
const PING_EVERY: Duration = Duration::from_secs(15);
/// A deployment that ended this short a while ago is still told: a fast world must not outrun a client between its two calls.
const RECENT: Duration = Duration::from_secs(10);

/// `GET /apps/:app`, upgraded.
pub(super) async fn deployments(
    Shared(paas): Shared<Arc<Paas>>,
    Path(key): Path<String>,
    upgrade: WebSocketUpgrade,
) -> Response {
    upgrade.on_upgrade(move |mut socket| async move {
        let stop = paas.world.tasks.stopping();
        tokio::select! {
            () = stop.cancelled() => {}
            () = converse(&paas, &key, &mut socket) => {}
        }
        // Told or not: the client is leaving, or we are.
        socket.send(Message::Close(None)).await.ok();
    })
}

async fn converse(paas: &Arc<Paas>, key: &str, socket: &mut WebSocket) {
    let Ok(Some(token)) = tokio::time::timeout(PATIENCE, authenticated(socket)).await else { return };
    let Some((past, mut events)) = paas.subscribe(key, &token) else { return };
    for event in past {
        if socket.send(Message::text(event.to_string())).await.is_err() {
            return;
        }
    }
    relay(socket, &mut events, &stream::ping()).await;
}

/// The token of `{"type":"auth","data":{"token":…}}`.
async fn authenticated(socket: &mut WebSocket) -> Option<String> {
    while let Some(Ok(message)) = socket.recv().await {
        let bytes = match message {
            Message::Text(text) => text.as_bytes().to_vec(),
            Message::Binary(bytes) => bytes.to_vec(),
            _ => continue,
        };
        let said: Value = serde_json::from_slice(&bytes).ok()?;
        let token = said.get("data")?.get("token")?.as_str()?;
        return (said.get("type")? == "auth").then(|| token.to_owned());
    }
    None
}

/// Sends what comes and a ping now and then, until either side ends.
pub(in crate::paas) async fn relay(
    socket: &mut WebSocket,
    events: &mut mpsc::UnboundedReceiver<String>,
    ping: &Value,
) {
    loop {
        let sent = tokio::select! {
            event = events.recv() => match event {
                Some(event) => socket.send(Message::text(event)).await,
                None => return,
            },
            said = socket.recv() => match said {
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => continue,
            },
            () = tokio::time::sleep(PING_EVERY) => socket.send(Message::text(ping.to_string())).await,
        };
        if sent.is_err() {
            return;
        }
    }
}

impl Paas {
    /// What is under way on an app, and all that follows; `None` where the token does not allow it.
    fn subscribe(&self, key: &str, token: &str) -> Option<(Vec<Value>, mpsc::UnboundedReceiver<String>)> {
        let user = self.claims_of(token).ok()?.uuid;
        let now = self.world.clock.wall();
        let recent = |one: &&Deployment| {
            let ended = one.finished_at.map(|at| (now - at).to_std().unwrap_or_default());
            ended.is_none_or(|since| since < RECENT)
        };
        let state = self.state();
        let app = state.app_for(&user, key, Role::Limited).ok()?;
        let told = app.deployments.iter().filter(recent).flat_map(|one| {
            let lines = one.output.lines().map(|line| stream::log(&one.id, line));
            let begun = stream::new(&one.id, &view::deployment(self, &state, app, one));
            std::iter::once(begun).chain(lines).chain([stream::status(&one.id, &one.status)])
        });
        Some((told.collect(), self.streams.follow(&app.id)))
    }
}
