//! The outside: one folder a provider over one shared HTTP layer.
//!
//! Nothing outside this module speaks to a vendor. A provider never imports another, and none imports from above: they know
//! of calls, answers and errors, not of plans, steps or requests. Whether something that exists is *ours* is the caller's
//! business, so is looking before creating.

pub mod alwaysdata;
pub mod dns;
pub mod git;
pub mod github;
pub mod http;
mod open;
pub mod probe;
pub mod process;
pub mod s3;
pub mod scalingo;
pub mod ssh;

pub use http::{Http, HttpShared, Limiter, ProviderError};
