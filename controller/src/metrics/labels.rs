//! The closed sets that labels are from.

/// How a provider's call can end, in the words of the HTTP layer.
pub(super) const CALL_OUTCOMES: &[&str] = &[
    "ok",
    "not_found",
    "denied",
    "refused",
    "throttled",
    "server_error",
    "transport",
    "unreadable",
    "cancelled",
];

/// Where a value goes that is not in its set.
pub(super) const OTHER: &str = "other";

/// The values that labels may have, from the modules that own them. `other` is added to each set.
#[derive(Debug, Clone, Copy, Default)]
pub struct Labels {
    /// What is reconciled.
    pub kinds: &'static [&'static str],
    /// Each provider's name with the names of its calls.
    pub calls: &'static [(&'static str, &'static [&'static str])],
    /// The steps of a recovery.
    pub steps: &'static [&'static str],
    /// How an attempt of a step can end.
    pub step_outcomes: &'static [&'static str],
    /// The phases of a request.
    pub phases: &'static [&'static str],
    /// The parts of an estate that a request may be about.
    pub scopes: &'static [&'static str],
    /// The milestones of a recovery.
    pub milestones: &'static [&'static str],
    /// Why a backup can be refused.
    pub refusals: &'static [&'static str],
    /// What bytes are moved.
    pub data: &'static [&'static str],
}

impl Labels {
    /// The labels of a call; one that nobody announced is `other`.
    pub(super) fn provider_call(&self, provider: &str, call: &str) -> (&'static str, &'static str) {
        match self.calls.iter().find(|(name, _)| *name == provider) {
            Some((name, calls)) => {
                (name, calls.iter().find(|known| **known == call).copied().unwrap_or(OTHER))
            }
            None => (OTHER, OTHER),
        }
    }

    /// Every pair of provider and call.
    pub(super) fn provider_calls(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let known =
            self.calls.iter().flat_map(|(provider, calls)| with_other(calls).map(|call| (*provider, call)));
        known.chain([(OTHER, OTHER)])
    }
}

/// A set with `other`.
pub(super) fn with_other(set: &'static [&'static str]) -> impl Iterator<Item = &'static str> {
    set.iter().copied().chain([OTHER])
}
