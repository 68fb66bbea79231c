//! Reprise: a controller that turns a disaster-recovery runbook into a reconciled record.
//!
//! Arrows between the modules point down only:
//! `cli`, `http` → `recovery`, `schedule` → `archive`, `backup` → `providers`, `store` → `runtime`.

pub mod archive;
pub mod backup;
pub mod cli;
pub mod config;
pub mod freshness;
pub mod http;
pub mod metrics;
pub mod proof;
pub mod providers;
pub mod recovery;
pub mod run;
pub mod runtime;
pub mod schedule;
pub mod store;
pub mod telemetry;
