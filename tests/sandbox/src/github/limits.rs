//! Rate limits, in world time: requests per hour (shown in headers) and points per minute (not shown).

use std::collections::HashMap;
use std::time::Duration;

use super::access::Caller;
use crate::window::Window;

const HOUR: Duration = Duration::from_hours(1);
const MINUTE: Duration = Duration::from_mins(1);

/// The windows of all callers.
#[derive(Debug, Default)]
pub struct Limits(HashMap<String, (Window, Window)>);

/// What the headers say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// Requests of an hour.
    pub limit: u32,
    /// Of these, used.
    pub used: u32,
    /// World time until they come back.
    pub resets_in: Duration,
}

/// Whether a request may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It may.
    Go,
    /// The hour is used up.
    Primary,
    /// Too many points in this minute; retry after so much world time.
    Secondary(Duration),
}

impl Limits {
    /// Counts one request. Reading costs one point, everything else five.
    pub fn take(&mut self, caller: &Caller, safe: bool, now: Duration) -> Decision {
        let (hour, minute) = self.windows(caller);
        if !minute.take(if safe { 1 } else { 5 }, now) {
            return Decision::Secondary(minute.resets_in(now));
        }
        if hour.take(1, now) { Decision::Go } else { Decision::Primary }
    }

    /// Gives the request back: a 304 to a known caller is free.
    pub fn give_back(&mut self, caller: &Caller) {
        self.windows(caller).0.give_back(1);
    }

    /// For the headers.
    pub fn shown(&mut self, caller: &Caller, now: Duration) -> Shown {
        let (hour, _) = self.windows(caller);
        Shown { limit: hour.limit(), used: hour.used(now), resets_in: hour.resets_in(now) }
    }

    fn windows(&mut self, caller: &Caller) -> &mut (Window, Window) {
        let hourly = match caller {
            Caller::Anonymous => 60,
            Caller::User(_) => 5_000,
        };
        let fresh = || (Window::new(hourly, HOUR), Window::new(900, MINUTE));
        self.0.entry(caller.label().to_owned()).or_insert_with(fresh)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_of_anonymous_requests_is_sixty() {
        let mut limits = Limits::default();
        let at = Duration::from_secs(10);
        assert!((0..60).all(|_| limits.take(&Caller::Anonymous, true, at) == Decision::Go));
        assert_eq!(limits.take(&Caller::Anonymous, true, at), Decision::Primary);
        let shown = limits.shown(&Caller::Anonymous, at);
        assert_eq!((shown.limit, shown.used, shown.resets_in.as_secs()), (60, 60, 3_590));
        assert_eq!(limits.take(&Caller::Anonymous, true, HOUR), Decision::Go);
    }

    #[test]
    fn writing_costs_five_points() {
        let mut limits = Limits::default();
        let grant = super::super::access::Grant {
            login: "bot".into(),
            permission: super::super::access::Permission::Write,
        };
        let caller = Caller::User(grant);
        let at = Duration::from_secs(30);
        assert!((0..180).all(|_| limits.take(&caller, false, at) == Decision::Go));
        assert_eq!(limits.take(&caller, false, at), Decision::Secondary(Duration::from_secs(30)));
    }
}
