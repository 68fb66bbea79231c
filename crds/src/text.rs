//! Scalars with a meaning: references to secrets, settings, durations, literals.
//!
//! Nothing here resolves anything: reading an environment variable or a file is the controller's business.

mod literal;
mod period;
mod reference;

pub use literal::Literal;
pub(crate) use period::PATTERN as PERIOD_PATTERN;
pub use period::{BadPeriod, Period};
pub(crate) use reference::PATTERN as REFERENCE_PATTERN;
pub use reference::{BadReference, Reference, SecretRef, Setting};
