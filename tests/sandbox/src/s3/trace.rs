//! What is learnt of one request on its way: carried in its extensions from the HTTP layer to the operation and back, because
//! only in between is it known which operation it is and who asks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use crate::world::Fault;

/// Where a request comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) std::net::IpAddr);

/// The notes on one request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trace(Arc<Mutex<Notes>>);

/// What a [`Trace`] holds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Notes {
    /// `PutObject`; empty while the signature is not yet accepted.
    pub(crate) operation: String,
    /// The access key id.
    pub(crate) caller: String,
    /// `/bucket/key`.
    pub(crate) resource: String,
    /// The fault that is being played, to its end in the HTTP layer.
    pub(crate) fault: Option<Fault>,
    /// What was in its place, before what changes it.
    pub(crate) before: Value,
    /// What it left, where its place alone does not say that.
    pub(crate) after: Option<Value>,
}

impl Trace {
    /// Notes what the request is.
    pub(crate) fn identify(&self, operation: &str, caller: &str, resource: &str) {
        let mut notes = self.notes();
        operation.clone_into(&mut notes.operation);
        caller.clone_into(&mut notes.caller);
        resource.clone_into(&mut notes.resource);
    }

    /// Notes what the request turned out to be about.
    pub(crate) fn concerns(&self, resource: String) {
        self.notes().resource = resource;
    }

    /// Who asks, as far as it is known.
    pub(crate) fn caller(&self) -> String {
        self.notes().caller.clone()
    }

    /// Notes the fault that is played on it.
    pub(crate) fn play(&self, fault: Fault) {
        self.notes().fault = Some(fault);
    }

    /// Notes what is in the place that is about to be changed.
    pub(crate) fn found(&self, before: Value) {
        self.notes().before = before;
    }

    /// Notes what the operation itself found, and left.
    pub(crate) fn changed(&self, before: Value, after: Value) {
        let mut notes = self.notes();
        (notes.before, notes.after) = (before, Some(after));
    }

    /// Everything noted so far.
    pub(crate) fn take(&self) -> Notes {
        std::mem::take(&mut self.notes())
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
