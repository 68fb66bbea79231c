//! Kube-like machinery: work queue, lease, reconcile loop, backoff, clock, tasks. Knows nothing of recoveries.
//!
//! The rules are those of kube-runtime: one slot in the queue for a key, one run of a key at a time, an earlier request
//! moves it forward. What decides is synchronous and is given the time ([`queue::Scheduler`], [`lease::decide`],
//! [`backoff::Backoff`]); what waits is thin.

pub mod backoff;
pub mod chain;
pub mod class;
pub mod clock;
pub mod controller;
pub mod lease;
pub mod queue;
pub mod tasks;
pub mod tenure;
pub mod urgency;
