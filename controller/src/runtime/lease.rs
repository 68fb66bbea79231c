//! Who owns what, and until when: a lease with a fencing epoch.
//!
//! [`decide`] says what to do about a lease that was read; [`LeaseKeeper`] does it, and hands out a [`Held`] whose token
//! fires *before* anybody else can take over. Every write carries the epoch, and the store refuses an older one.
//!
//! It must not compare clocks of two machines: whether a lease of another has ended is said by the store's clock, how
//! long our own still holds by our monotonic one, counted from before the store was asked.

mod keeper;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::class::Classified;
pub use keeper::{Held, LeaseKeeper, Terms};

/// Counts the owners of one thing, from 1; it never goes back. A write with a smaller one than the store has seen comes
/// from somebody who has lost the lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub i64);

impl Epoch {
    /// The epoch of the next owner.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A lease as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Who has it.
    pub holder: String,
    /// The how-manieth owner that is.
    pub epoch: Epoch,
    /// When it ends if it is not renewed, by the store's clock.
    pub expires_at: DateTime<Utc>,
}

/// What the store knew, and its date at that moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The lease, if anybody ever had it. A released one stays, as an expired one: its epoch must not be lost.
    pub lease: Option<Lease>,
    /// The store's clock.
    pub now: DateTime<Utc>,
}

/// What to do about a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Nobody has it, or its holder is gone: take it, as the owner after `after`.
    Take {
        /// The epoch that must still be there when we take it; zero if there was none.
        after: Epoch,
    },
    /// It is ours: prolong it.
    Renew,
    /// Another has it: look again after this time.
    Wait(Duration),
}

/// Decides about the lease that `seen` shows. `held` is the epoch that this process holds, if it holds one.
///
/// A lease in our name that this process does not hold was a predecessor's: a name belongs to one process at a time, so
/// that one is gone and its lease is taken at once. One that has expired is taken anew even by its own holder: between
/// the expiry and now it was nobody's. Nobody takes one for longer than `term`: what ends later than twice that was written before the
/// store's clock was set back, and if its holder lives, the fence stops him.
pub fn decide(me: &str, held: Option<Epoch>, seen: &Seen, term: Duration) -> Decision {
    let Some(lease) = &seen.lease else { return Decision::Take { after: Epoch(0) } };
    let left = (lease.expires_at - seen.now).to_std().unwrap_or(Duration::ZERO);
    match (lease.holder == me, held == Some(lease.epoch)) {
        _ if left.is_zero() || left > 2 * term => Decision::Take { after: lease.epoch },
        (true, true) => Decision::Renew,
        (true, false) => Decision::Take { after: lease.epoch },
        (false, _) => Decision::Wait(left),
    }
}

/// Where leases are kept. Each call is one atomic statement, judged by the store's own clock; giving one up half-way
/// does no harm.
pub trait LeaseStore: Send + Sync + 'static {
    /// What a call can fail with.
    type Error: Classified + Send + Sync + 'static;

    /// Reads the lease.
    fn read(&self) -> impl Future<Output = Result<Seen, Self::Error>> + Send;

    /// Takes it for `term` as the owner after `after`, if that is still its epoch and it is expired, in our name already, or ends later than
    /// twice the term from now. `None` if somebody was faster.
    fn take(
        &self,
        me: &str,
        after: Epoch,
        term: Duration,
    ) -> impl Future<Output = Result<Option<Epoch>, Self::Error>> + Send;

    /// Prolongs it to `term` from now, if it is ours, of this epoch, and not expired. `false` if it is not.
    fn renew(
        &self,
        me: &str,
        epoch: Epoch,
        term: Duration,
    ) -> impl Future<Output = Result<bool, Self::Error>> + Send;

    /// Ends it now, if it is ours and of this epoch. The epoch stays.
    fn release(&self, me: &str, epoch: Epoch) -> impl Future<Output = Result<(), Self::Error>> + Send;
}
