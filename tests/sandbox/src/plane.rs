//! The real things behind the simulated APIs: `PostgreSQL`, Redis, SSH, git, processes and the ingress.
//!
//! Nothing here speaks a vendor's HTTP API or knows its status words; the platform drives it through the functions of
//! [`databases`], [`redis`], [`runner`] and [`ingress`], and answers its questions through [`Platform`].

pub mod authority;
pub mod databases;
pub mod ingress;
pub mod platform;
pub mod redis;
pub mod runner;
mod server_log;
pub mod ssh;
pub mod tls;

pub use platform::{Branch, LogSink, Platform, Push, Turn};
