//! What an error means to whoever retries. It is decided where the error is made, never guessed from a message.

use std::time::Duration;

/// When to look again after a failure. It never says that the same call may be sent again: after a mutating call
/// without an answer, the next thing is to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// It may work later: look again after the backoff.
    Transient,
    /// We were told to slow down: look again after what was asked, but not before the backoff.
    Throttled(Option<Duration>),
    /// It fails until something is changed by a person.
    Terminal,
    /// We stopped it ourselves: no failure.
    Cancelled,
}

impl Class {
    /// Every label, for metrics that exist from the start.
    pub const LABELS: [&'static str; 4] = ["transient", "throttled", "terminal", "cancelled"];

    /// The class as a log field or metric label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Throttled(_) => "throttled",
            Self::Terminal => "terminal",
            Self::Cancelled => "cancelled",
        }
    }

    /// What the other side asked us to wait, if it did.
    pub const fn retry_after(self) -> Option<Duration> {
        match self {
            Self::Throttled(asked) => asked,
            Self::Transient | Self::Terminal | Self::Cancelled => None,
        }
    }
}

/// An error that knows its class. Implement it with a `match` without `_`, so that a new variant must be classified.
pub trait Classified: std::error::Error {
    /// The class of this error.
    fn class(&self) -> Class;
}

#[cfg(test)]
mod tests {
    use super::Class;

    #[test]
    fn every_class_has_its_label_in_the_list() {
        let all = [Class::Transient, Class::Throttled(None), Class::Terminal, Class::Cancelled];
        assert_eq!(all.map(Class::label), Class::LABELS);
    }
}
