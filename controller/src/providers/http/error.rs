//! How a call to a vendor can fail, when to look again, and whether it may have happened all the same. No I/O.

use std::time::Duration;

use reqwest::StatusCode;

use super::{message::ErrorBody, observe::Outcome, origin::OriginError};
use crate::runtime::class::{Class, Classified};

/// What a call does to the vendor's side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Changes nothing, or nothing that a repeat would change again: may be sent again.
    Repeatable,
    /// Changes something: when its answer is lost, the caller looks before doing it again.
    Mutating,
}

/// Where an exchange broke off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransportKind {
    /// Before anything was sent.
    Connect,
    /// While waiting for the answer.
    Timeout,
    /// Anywhere between sending and the end of the answer.
    Broken,
}

/// Why a call to a vendor gave no usable answer.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// No complete answer.
    #[error("no complete answer to {call}")]
    Transport {
        /// Which call.
        call: &'static str,
        /// Where it broke off.
        kind: TransportKind,
        /// What it may have done.
        effect: Effect,
        /// Without the URL, which may hold a signature.
        #[source]
        source: reqwest::Error,
    },
    /// The vendor answered with a status that is not success.
    #[error("{call} was answered {} ({})", status.as_u16(), body.message)]
    Status {
        /// Which call.
        call: &'static str,
        /// The status.
        status: StatusCode,
        /// What it may have done.
        effect: Effect,
        /// What the vendor said, bounded.
        body: Box<ErrorBody>,
        /// How long the vendor asks us to wait.
        retry_after: Option<Duration>,
    },
    /// The limit of the account is used up, said by other means than 429.
    #[error("{call} was put off by the account's rate limit")]
    RateLimited {
        /// Which call.
        call: &'static str,
        /// How long to wait, if told.
        retry_after: Option<Duration>,
    },
    /// A signed address is refused. No credential of ours was sent there: a fresh one may do.
    #[error("the link of {call} was refused, {} ({}): it may have expired", status.as_u16(), body.message)]
    Link {
        /// Which call.
        call: &'static str,
        /// The status.
        status: StatusCode,
        /// What was said, bounded.
        body: Box<ErrorBody>,
    },
    /// The answer could not be parsed.
    #[error("cannot read the answer to {call} at `{at}`")]
    Decode {
        /// Which call.
        call: &'static str,
        /// Path inside the answer.
        at: String,
        /// What it did.
        effect: Effect,
        /// What was wrong.
        #[source]
        source: serde_json::Error,
    },
    /// The answer was parsed but lacks what it must hold.
    #[error("the answer to {call} lacks {what}")]
    Incomplete {
        /// Which call.
        call: &'static str,
        /// What is missing.
        what: &'static str,
        /// What it did.
        effect: Effect,
    },
    /// The answer is larger than we are willing to hold.
    #[error("the answer to {call} exceeds {limit} bytes")]
    TooLarge {
        /// Which call.
        call: &'static str,
        /// The limit in bytes.
        limit: usize,
        /// What it did.
        effect: Effect,
    },
    /// The request cannot be written: an id that would change the path, a value that is no header. Nothing was sent.
    #[error("cannot write the request of {call}: {what}")]
    Request {
        /// Which call.
        call: &'static str,
        /// What is wrong.
        what: &'static str,
    },
    /// A redirect or a signed URL leads where we do not go. Nothing was sent there.
    #[error("{call} leads to an address that is not used")]
    Origin {
        /// Which call.
        call: &'static str,
        /// Why not.
        #[source]
        source: OriginError,
    },
    /// We were told to stop.
    #[error("{call} was cancelled")]
    Cancelled {
        /// Which call.
        call: &'static str,
        /// A mutating call had been sent already.
        in_doubt: bool,
    },
}

impl ProviderError {
    /// The vendor does not know the thing that was asked for.
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(StatusCode::NOT_FOUND)
    }

    /// The credentials are bad or do not suffice: about us, not about the thing that was asked for.
    pub fn is_denied(&self) -> bool {
        matches!(self.status(), Some(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN))
    }

    /// The status of the answer, if there was one that was an error.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Status { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// What the vendor said, if it answered with an error.
    pub fn body(&self) -> Option<&ErrorBody> {
        match self {
            Self::Status { body, .. } => Some(body),
            _ => None,
        }
    }

    /// A mutating call may have been carried out although its answer is lost or unreadable: list before doing it again.
    pub fn outcome_unknown(&self) -> bool {
        match self {
            Self::Transport { kind, effect, .. } => {
                *effect == Effect::Mutating && *kind != TransportKind::Connect
            }
            Self::Status { status, effect, .. } => *effect == Effect::Mutating && is_ambiguous(*status),
            Self::Decode { effect, .. } | Self::Incomplete { effect, .. } | Self::TooLarge { effect, .. } => {
                *effect == Effect::Mutating
            }
            Self::Cancelled { in_doubt, .. } => *in_doubt,
            Self::RateLimited { .. } | Self::Link { .. } | Self::Request { .. } | Self::Origin { .. } => {
                false
            }
        }
    }

    /// For the metric.
    pub(crate) fn outcome(&self) -> Outcome {
        match self {
            Self::Transport { .. } => Outcome::Transport,
            Self::Status { status, .. } => match (self.class(), status.as_u16()) {
                (Class::Throttled(_), _) => Outcome::Throttled,
                (_, 404) => Outcome::NotFound,
                (_, 401 | 403) => Outcome::Denied,
                (_, 500..) => Outcome::ServerError,
                _ => Outcome::Refused,
            },
            Self::RateLimited { .. } => Outcome::Throttled,
            Self::Link { .. } => Outcome::Denied,
            Self::Decode { .. } | Self::Incomplete { .. } | Self::TooLarge { .. } => Outcome::Unreadable,
            Self::Request { .. } | Self::Origin { .. } => Outcome::Refused,
            Self::Cancelled { .. } => Outcome::Cancelled,
        }
    }
}

/// Statuses after which the work may have been done: a gateway that lost its server, a server that broke off.
fn is_ambiguous(status: StatusCode) -> bool {
    status == StatusCode::REQUEST_TIMEOUT
        || (status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED)
}

impl Classified for ProviderError {
    /// Exhaustive on purpose: a new variant must be classified to compile.
    fn class(&self) -> Class {
        match self {
            Self::Transport { .. } | Self::Link { .. } => Class::Transient,
            Self::Status { status, retry_after, .. } => match status.as_u16() {
                429 => Class::Throttled(*retry_after),
                503 if retry_after.is_some() => Class::Throttled(*retry_after),
                // 409: something else is being done with the thing just now.
                408 | 409 | 500 | 502..=599 => Class::Transient,
                _ => Class::Terminal,
            },
            Self::RateLimited { retry_after, .. } => Class::Throttled(*retry_after),
            // A page for people in place of JSON: what stands before the service answers for it, and not for ever.
            Self::Decode { effect: Effect::Repeatable, source, .. } if !source.is_data() => Class::Transient,
            Self::Decode { .. }
            | Self::Incomplete { .. }
            | Self::TooLarge { .. }
            | Self::Request { .. }
            | Self::Origin { .. } => Class::Terminal,
            Self::Cancelled { .. } => Class::Cancelled,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::http::call::decode;

    fn status(code: u16, effect: Effect) -> ProviderError {
        ProviderError::Status {
            call: "apps.create",
            status: StatusCode::from_u16(code).unwrap(),
            effect,
            body: Box::default(),
            retry_after: None,
        }
    }

    #[test]
    fn only_a_mutating_call_can_have_an_unknown_outcome() {
        for code in 400..=599 {
            assert!(!status(code, Effect::Repeatable).outcome_unknown(), "{code}");
        }
        for code in [408, 500, 502, 503, 504, 520] {
            assert!(status(code, Effect::Mutating).outcome_unknown(), "{code}");
        }
        for code in [400, 401, 404, 409, 422, 429, 501] {
            assert!(!status(code, Effect::Mutating).outcome_unknown(), "{code}");
        }
    }

    #[test]
    fn a_page_in_place_of_json_passes_and_json_of_another_shape_does_not() {
        let read = |effect, body: &[u8]| decode::<Vec<u64>>("apps.list", effect, body).unwrap_err().class();
        for page in ["<!DOCTYPE html><html>Maintenance</html>", "Retry later", "", "[1, 2"] {
            assert_eq!(read(Effect::Repeatable, page.as_bytes()), Class::Transient, "{page}");
            assert_eq!(read(Effect::Mutating, page.as_bytes()), Class::Terminal, "{page}");
        }
        for shape in ["{}", "[\"a\"]", "null"] {
            assert_eq!(read(Effect::Repeatable, shape.as_bytes()), Class::Terminal, "{shape}");
        }
    }

    #[test]
    fn the_class_follows_the_status() {
        assert_eq!(status(429, Effect::Mutating).class(), Class::Throttled(None));
        assert_eq!(status(503, Effect::Mutating).class(), Class::Transient);
        assert_eq!(status(409, Effect::Mutating).class(), Class::Transient, "the app is busy");
        assert_eq!(status(422, Effect::Mutating).class(), Class::Terminal);
        assert_eq!(status(301, Effect::Repeatable).class(), Class::Terminal);
    }
}
