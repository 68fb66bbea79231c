//! Kube-like machinery: work queue, lease, reconcile loop, backoff, clock, tasks. Knows nothing of recoveries.

pub mod chain;
pub mod class;
