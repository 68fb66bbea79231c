//! What is served over HTTP: metrics and health. (Later: the Kubernetes-style API and the console.)
//!
//! Nothing below imports this module: what happens below is told to [`crate::metrics::Metrics`] and [`health::Health`] by
//! whoever wires them together.

mod connection;
pub mod health;
pub mod server;
