//! Reprise: a controller that turns a disaster-recovery runbook into a reconciled record.
//!
//! Arrows between the modules point down only:
//! `cli`, `http` → `recovery`, `schedule` → `capture`, `proof` → `archive`, `backup` → `providers`, `store` → `runtime`.

pub mod archive;
pub mod backup;
pub mod capture;
pub mod cli;
pub mod config;
pub mod draft;
pub mod freshness;
pub mod heartbeat;
pub mod http;
pub mod metrics;
pub mod preflight;
pub mod proof;
pub mod proven;
pub mod providers;
pub mod recovery;
pub mod run;
pub mod runtime;
pub mod schedule;
pub mod store;
pub mod telemetry;
pub mod truth;
