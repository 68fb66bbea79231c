//! The state machine: milestones, steps, the supervisor that runs them.
//!
//! What is decided is pure ([`decide`], [`graph`], [`accept`], [`rehearsal`], [`cut`], [`status`], [`report`], and a `decide` in each step); only observing
//! and acting are asynchronous. Reconciles are short; step tasks do the work.

pub mod accept;
mod approval;
mod attempt;
mod cost;
pub mod cut;
pub mod decide;
pub mod drive;
pub mod dry_run;
pub mod error;
pub mod evidence;
mod fence;
pub mod graph;
pub mod grounds;
pub mod hand_over;
pub(crate) mod look;
pub mod outputs;
mod ownership;
pub mod patience;
pub mod pulse;
pub mod reconcile;
pub mod rehearsal;
pub mod report;
mod retry;
pub mod shown;
pub mod status;
pub mod step;
pub mod steps;
mod supervisor;
pub mod tools;
