//! How a call to an object store can fail, and when to look again.

use aws_sdk_s3::{
    config::http::HttpResponse,
    error::{BoxError, ProvideErrorMetadata, SdkError},
};

use crate::{
    providers::http::{Effect, OriginError, Outcome, message::line},
    runtime::class::{Class, Classified},
};

/// Why an object store gave no usable answer. The SDK has tried again already where that can help.
#[derive(Debug, thiserror::Error)]
pub enum S3Error {
    /// The endpoint is not usable.
    #[error("cannot use the configured address of the object store")]
    Endpoint {
        /// Why.
        #[source]
        source: OriginError,
    },
    /// This machine has no certification authorities that could vouch for it, or its TLS cannot be set up.
    #[error("cannot set up TLS for the object store (Debian and Ubuntu: install ca-certificates)")]
    Tls {
        /// Why.
        #[source]
        source: BoxError,
    },
    /// Nothing was sent.
    #[error("cannot write the request of {call}")]
    Request {
        /// Which call.
        call: &'static str,
        /// Why.
        #[source]
        source: BoxError,
    },
    /// No complete answer.
    #[error("no complete answer to {call}")]
    Transport {
        /// Which call.
        call: &'static str,
        /// What it may have done.
        effect: Effect,
        /// Why.
        #[source]
        source: BoxError,
    },
    /// Other bytes came than the store says it has: the line changed them, or they have rotted there.
    #[error("the bytes of {call} have {sums}")]
    Mismatch {
        /// Which call.
        call: &'static str,
        /// Both checksums, in words.
        sums: String,
    },
    /// The store answered with an error.
    #[error("{call} was answered {status}{}{}", words(code, message), advice(*status, code))]
    Status {
        /// Which call.
        call: &'static str,
        /// The status.
        status: u16,
        /// The store's code, empty where there is no body.
        code: String,
        /// The store's words, bounded.
        message: String,
        /// What it may have done.
        effect: Effect,
    },
    /// The answer lacks what it must hold.
    #[error("the answer to {call} lacks {what}")]
    Incomplete {
        /// Which call.
        call: &'static str,
        /// What is missing.
        what: &'static str,
    },
    /// A list that is not in order cannot be compared with another one while both are read.
    #[error(
        "the store lists `{key}` after `{before}`, and not in the order of the keys' bytes, as S3 has it"
    )]
    Disordered {
        /// The key that came too late.
        key: String,
        /// The one before it.
        before: String,
    },
    /// A file of ours.
    #[error("cannot read the file for {call}")]
    File {
        /// Which call.
        call: &'static str,
        /// Why.
        #[source]
        source: BoxError,
    },
    /// We were told to stop.
    #[error("{call} was cancelled")]
    Cancelled {
        /// Which call.
        call: &'static str,
        /// A mutating call may have been sent already.
        in_doubt: bool,
    },
}

/// What helps, where that is known and in no answer.
fn advice(status: u16, code: &str) -> &'static str {
    match (status, code) {
        (_, "RequestTimeTooSkewed") => {
            "; this machine's clock is not that of the store: set it right, or have it set (NTP)"
        }
        // A `HEAD` tells it by status only.
        (301 | 307 | 308, _) | (_, "AuthorizationHeaderMalformed") => {
            "; the bucket is in another region: name that region, and its endpoint"
        }
        _ => "",
    }
}

/// What a store says that does not offer something, with whatever status.
const UNSUPPORTED: [&str; 3] =
    ["NotImplemented", "AccessControlListNotSupported", "InvalidBucketAclWithObjectOwnership"];

/// What the store said beside the status.
fn words(code: &str, message: &str) -> String {
    match (code.is_empty(), message.is_empty()) {
        (true, true) => String::new(),
        (true, false) => format!(" ({message})"),
        (false, true) => format!(" ({code})"),
        (false, false) => format!(" ({code}: {message})"),
    }
}

impl S3Error {
    pub(super) fn of<E>(call: &'static str, effect: Effect, error: SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        match &error {
            SdkError::ConstructionFailure(_) => return Self::Request { call, source: Box::new(error) },
            // A success that the SDK cannot read is none of the store's errors; one that was taken back when it had begun is.
            SdkError::ServiceError(service)
                if !service.raw().status().is_success() || service.err().code().is_some() =>
            {
                let status = service.raw().status();
                return Self::Status {
                    call,
                    status: if status.is_success() { 500 } else { status.as_u16() },
                    code: line(service.err().code().unwrap_or_default()),
                    message: line(service.err().message().unwrap_or_default()),
                    effect,
                };
            }
            _ => {}
        }
        Self::Transport { call, effect, source: Box::new(error) }
    }

    /// The store's code for what went wrong.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Status { code, .. } => Some(code),
            _ => None,
        }
    }

    /// There is no such bucket or object. A `HEAD` tells it by status only.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Status { status: 404, .. })
    }

    /// The object is in cold storage and must be thawed before it can be read.
    pub fn is_frozen(&self) -> bool {
        matches!(self.code(), Some("InvalidObjectState" | "ObjectNotInActiveTierError"))
    }

    /// The store refuses: a right is missing, or the object is locked.
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Status { status: 403, .. })
    }

    /// The store does not offer this at all, or not for this bucket.
    pub fn is_unsupported(&self) -> bool {
        matches!(self, Self::Status { status: 405 | 501, .. })
            || self.code().is_some_and(|code| UNSUPPORTED.contains(&code))
    }

    /// The store fails over this, however often it is asked: its own fault, and not that it is out of reach.
    pub fn is_broken(&self) -> bool {
        matches!(self, Self::Status { status: 500, .. }) && matches!(self.class(), Class::Transient)
    }

    /// Other bytes came than the store says that it has. Once, it may be the line; each time, they are damaged there.
    pub fn is_mismatch(&self) -> bool {
        matches!(self, Self::Mismatch { .. })
    }

    /// No whole answer came. Where the store answers all the same, and each time that it is asked, it is about what was asked for.
    pub fn is_cut(&self) -> bool {
        matches!(self, Self::Transport { .. })
    }

    /// The store refuses, for whatever reason: the same is refused again.
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::Status { status: 400..=499, .. }) && matches!(self.class(), Class::Terminal)
    }

    /// It refuses whatever is asked for with this key pair, of this bucket or at this time, and not this one object.
    pub fn is_of_all(&self) -> bool {
        const ALL: [&str; 11] = [
            "InvalidAccessKeyId",
            "SignatureDoesNotMatch",
            "AuthorizationHeaderMalformed",
            "ExpiredToken",
            "InvalidToken",
            "RequestTimeTooSkewed",
            "RequestExpired",
            "NoSuchBucket",
            "AllAccessDisabled",
            "AccountProblem",
            "PermanentRedirect",
        ];
        matches!(self, Self::Status { status: 401, .. })
            || self.code().is_some_and(|code| ALL.contains(&code))
    }

    /// Its lists are in another order than S3 has. They are sorted from now on: trying again helps.
    pub fn is_disordered(&self) -> bool {
        matches!(self, Self::Disordered { .. })
    }

    /// What it said is not what was asked for: it may not know what that is.
    pub fn is_incomplete(&self) -> bool {
        matches!(self, Self::Incomplete { .. })
    }

    /// It is another object by now than the one that was meant.
    pub fn is_changed(&self) -> bool {
        matches!(self, Self::Status { status: 412, .. })
    }

    /// The bucket's name is in use, by us or by anybody: look whether it is ours.
    pub fn is_bucket_taken(&self) -> bool {
        matches!(self.code(), Some("BucketAlreadyOwnedByYou" | "BucketAlreadyExists"))
    }

    /// A mutating call may have been carried out.
    pub fn outcome_unknown(&self) -> bool {
        match self {
            Self::Transport { effect, .. } => *effect == Effect::Mutating,
            Self::Status { effect, status, .. } => {
                *effect == Effect::Mutating && *status >= 500 && *status != 501
            }
            Self::Cancelled { in_doubt, .. } => *in_doubt,
            Self::Endpoint { .. }
            | Self::Tls { .. }
            | Self::Request { .. }
            | Self::Mismatch { .. }
            | Self::Incomplete { .. }
            | Self::Disordered { .. }
            | Self::File { .. } => false,
        }
    }

    pub(super) fn outcome(&self) -> Outcome {
        match self {
            Self::Endpoint { .. } | Self::Tls { .. } | Self::Request { .. } | Self::File { .. } => {
                Outcome::Refused
            }
            Self::Transport { .. } => Outcome::Transport,
            Self::Status { status, .. } => match (self.class(), status) {
                (Class::Throttled(_), _) => Outcome::Throttled,
                (_, 404) => Outcome::NotFound,
                (_, 401 | 403) => Outcome::Denied,
                (_, 500..) => Outcome::ServerError,
                _ => Outcome::Refused,
            },
            Self::Mismatch { .. } | Self::Incomplete { .. } | Self::Disordered { .. } => Outcome::Unreadable,
            Self::Cancelled { .. } => Outcome::Cancelled,
        }
    }
}

impl Classified for S3Error {
    fn class(&self) -> Class {
        match self {
            Self::Transport { .. } | Self::Mismatch { .. } => Class::Transient,
            Self::Status { status, code, .. } => match (*status, code.as_str()) {
                (429, _) | (_, "SlowDown" | "Throttling" | "RequestLimitExceeded" | "TooManyRequests") => {
                    Class::Throttled(None)
                }
                (408 | 500 | 502..=599, _) | (_, "RequestTimeout" | "OperationAborted") => Class::Transient,
                _ => Class::Terminal,
            },
            Self::Cancelled { .. } => Class::Cancelled,
            Self::Endpoint { .. }
            | Self::Tls { .. }
            | Self::Request { .. }
            | Self::Incomplete { .. }
            | Self::Disordered { .. }
            | Self::File { .. } => Class::Terminal,
        }
    }
}
