//! Who follows deployments, and what they are told: the vendor's events `new`, `log` and `status`.

use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};
use tokio::sync::mpsc;

/// The followers of all apps. Events are told under the lock of the state, so that nobody who subscribes misses one.
#[derive(Debug, Default)]
pub(super) struct Hub(Mutex<Vec<Follower>>);

#[derive(Debug)]
struct Follower {
    app_id: String,
    events: mpsc::UnboundedSender<String>,
}

impl Hub {
    /// Everything about the app of this id from now on.
    pub(super) fn follow(&self, app_id: &str) -> mpsc::UnboundedReceiver<String> {
        let (events, received) = mpsc::unbounded_channel();
        let follower = Follower { app_id: app_id.to_owned(), events };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(follower);
        received
    }

    /// Tells all who follow the app of this id.
    pub(super) fn tell(&self, app_id: &str, event: &Value) {
        let mut followers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        followers.retain(|follower| {
            if follower.app_id == app_id {
                follower.events.send(event.to_string()).is_ok()
            } else {
                !follower.events.is_closed()
            }
        });
    }
}

/// A deployment is there; `shown` is the whole of it.
pub(super) fn new(id: &str, shown: &Value) -> Value {
    json!({"id": id, "type": "new", "data": {"deployment": shown}})
}

/// A line of its log.
pub(super) fn log(id: &str, line: &str) -> Value {
    json!({"id": id, "type": "log", "data": {"content": format!("{line}\n")}})
}

/// Its status.
pub(super) fn status(id: &str, status: &str) -> Value {
    json!({"id": id, "type": "status", "data": {"status": status}})
}

/// Still there.
pub(super) fn ping() -> Value {
    json!({"type": "ping", "data": {}})
}
