//! What the last drill proves today, and how long a recovery would take at today's sizes. Both are computed from the records
//! again and again and kept in the plan's status: the condition `Proven`, and `prediction`.

mod fingerprint;
mod keep;
mod predict;

pub use keep::watch;
