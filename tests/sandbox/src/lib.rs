//! A small real world to recover in.
//!
//! The vendors' *APIs* are simulated, from their documentation and never from a client's wishes; behind them stands the real
//! thing wherever there is one: `PostgreSQL`, Redis, git, SSH, TLS, DNS packets and S3 over HTTP. This crate depends on
//! neither the controller nor its kinds, so that a misreading cannot pass on both sides.

pub mod alwaysdata;
pub mod cli;
pub mod control;
pub mod dns;
pub mod doors;
pub mod estate;
pub mod exec;
mod files;
#[cfg(test)]
mod fixtures;
pub mod github;
pub mod http;
pub mod paas;
pub mod parsers;
pub mod plane;
pub mod s3;
pub mod sandbox;
pub mod seed;
pub mod window;
pub mod world;
