//! Everything about one database backup: checking its archive, restoring it, accounting for what came back.
//!
//! The rungs of a verdict and what reaches them: *downloaded* and *intact* ([`archive`]), *readable* ([`toc`] and
//! [`contents`]), *restored* ([`restore`] and [`accounting`]), *asserted* ([`checks`]); [`ladder`] takes a backup up all
//! of them. [`objects`] checks the artifact that holds a bucket's documents.
//!
//! Nothing here asks the store, a recovery or HTTP: streams, paths and connections are handed in, facts are handed
//! back. What was asked of a tool is never taken for done: each claim rests on something that was looked at.

pub mod accounting;
pub mod archive;
pub mod checks;
pub mod contents;
pub mod doubt;
#[cfg(test)]
pub(crate) mod lab;
pub mod ladder;
pub mod majors;
pub mod objects;
mod process;
pub mod refusal;
pub mod restore;
pub mod toc;
pub mod tools;

pub use refusal::Refusal;
pub use tools::PgTools;
