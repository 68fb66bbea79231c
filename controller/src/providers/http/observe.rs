//! What the rest of the program may learn of an exchange: names and durations from closed sets, so that a metric can carry them.

use std::{fmt, sync::Arc, time::Duration};

/// How one exchange ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// 2xx or an expected redirect, body understood.
    Ok,
    /// 404: often a wanted answer.
    NotFound,
    /// 401 or 403.
    Denied,
    /// Any other refusal of the request (4xx).
    Refused,
    /// 429, or 503 with a time to wait.
    Throttled,
    /// 5xx.
    ServerError,
    /// No complete answer.
    Transport,
    /// An answer that was not understood or too large.
    Unreadable,
    /// We stopped.
    Cancelled,
}

impl Outcome {
    /// Every outcome, to create all combinations of a metric at start.
    pub const ALL: [Self; 9] = [
        Self::Ok,
        Self::NotFound,
        Self::Denied,
        Self::Refused,
        Self::Throttled,
        Self::ServerError,
        Self::Transport,
        Self::Unreadable,
        Self::Cancelled,
    ];

    /// The metric's label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::NotFound => "not_found",
            Self::Denied => "denied",
            Self::Refused => "refused",
            Self::Throttled => "throttled",
            Self::ServerError => "server_error",
            Self::Transport => "transport",
            Self::Unreadable => "unreadable",
            Self::Cancelled => "cancelled",
        }
    }
}

/// One exchange, for metrics.
#[derive(Debug, Clone, Copy)]
pub struct CallReport {
    /// The provider's name, such as `scalingo`.
    pub provider: &'static str,
    /// The call's name, such as `apps.create`.
    pub call: &'static str,
    /// How it ended.
    pub outcome: Outcome,
    /// Time spent waiting for the account's limiter.
    pub waited: Duration,
    /// Time from sending to the end of the answer.
    pub took: Duration,
}

/// Is told of every exchange.
#[derive(Clone)]
pub struct CallObserver(Arc<dyn Fn(CallReport) + Send + Sync>);

impl CallObserver {
    /// Calls `observe` after every exchange; it must not block.
    pub fn new(observe: impl Fn(CallReport) + Send + Sync + 'static) -> Self {
        Self(Arc::new(observe))
    }

    /// Tells nobody.
    pub fn silent() -> Self {
        Self::new(|_| {})
    }

    pub(crate) fn tell(&self, report: CallReport) {
        (self.0)(report);
    }
}

impl fmt::Debug for CallObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CallObserver")
    }
}
