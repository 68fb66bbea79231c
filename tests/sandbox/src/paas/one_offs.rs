//! The one-off containers there are: what the API tells of them, over the real ones of the plane. They do not outlive the world.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::view;
use crate::plane::runner::oneoff::OneOff;

/// One of them.
#[derive(Debug, Clone)]
pub(super) struct Known {
    /// 24 hex digits.
    pub(super) id: String,
    pub(super) app_id: String,
    pub(super) index: u64,
    pub(super) command: String,
    pub(super) size: String,
    pub(super) detached: bool,
    pub(super) created_at: DateTime<Utc>,
    /// Set once its operation is done.
    pub(super) started: bool,
    pub(super) real: Arc<OneOff>,
}

impl Known {
    /// `one-off-1234`.
    pub(super) fn label(&self) -> String {
        label(self.index)
    }

    /// The vendor's JSON of it.
    pub(super) fn shown(&self) -> Value {
        json!({
            "id": self.id, "app_id": self.app_id, "type": "one-off", "type_index": self.index, "label": self.label(),
            "state": if self.started { "running" } else { "starting" }, "command": self.command,
            "created_at": view::date(self.created_at), "deleted_at": null,
            "container_size": view::container_size(&self.size),
        })
    }
}

/// The label of the one-off container of this number.
pub(super) fn label(index: u64) -> String {
    format!("one-off-{index}")
}

/// All of them, by id. Those that ended are kept a while: their exit code is asked for afterwards.
#[derive(Debug, Default)]
pub(super) struct OneOffs(Mutex<BTreeMap<String, Known>>);

impl OneOffs {
    pub(super) fn add(&self, one: Known) {
        self.all().insert(one.id.clone(), one);
    }

    pub(super) fn remove(&self, id: &str) {
        self.all().remove(id);
    }

    pub(super) fn get(&self, id: &str) -> Option<Known> {
        self.all().get(id).cloned()
    }

    /// Those of an app that have not ended, oldest first.
    pub(super) fn of_app(&self, app_id: &str) -> Vec<Known> {
        let all = self.all();
        let mut living: Vec<Known> =
            all.values().filter(|one| one.app_id == app_id && !one.real.has_ended()).cloned().collect();
        living.sort_by_key(|one| one.created_at);
        living
    }

    pub(super) fn mark_started(&self, id: &str) {
        if let Some(one) = self.all().get_mut(id) {
            one.started = true;
        }
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
