//! Proof, day by day, that the database's backups can be restored: each is taken up the ladder of evidence
//! ([`crate::backup::ladder`]) in a throwaway database, and what was learnt is put down as its verdict.
//!
//! One run asks the platform for its list, puts every backup down as *listed*, and takes up as many as the plan allows, the
//! newest first, and more only until a good one is found. What was learnt of one backup is stored before the next one is
//! begun: a run that is cut off goes on where it was. A fault of ours or of the line is no verdict: it is tried again later,
//! and what was known stays. Recoveries come first: while one is at work, nothing is taken up by itself.
//!
//! A dump is personal data: it lies in a folder of its own (0700), one at a time, and so does the throwaway database; both
//! are wiped at the end, and at the next start if there was none. Where the plan names a server, the database lies there instead.

mod address;
mod bench;
mod disk;
mod door;
mod error;
mod folder;
mod forget;
mod keys;
mod learnt;
mod named;
mod pick;
mod policy;
mod reckon;
mod references;
mod run;
mod server;
mod source;
mod throwaway;
mod trial;

pub(crate) use door::{Door, Facts};
pub use error::ProofError;
pub use keys::KeyList;
pub use named::sweep_named;
pub use pick::Why;
pub use reckon::suspicions;
pub use run::{Prover, Summary, Taken, Which};
pub use source::Source;
pub use throwaway::sweep;
