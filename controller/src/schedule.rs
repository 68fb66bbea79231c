//! Schedules: when jobs are due, and the loop that starts them.
//!
//! Due times are computed by [`Schedule`], purely, from a plan's cron line in the plan's own time zone; the loop in
//! [`runner`] only asks it, on our own [`crate::runtime::clock::Clock`], what has come due since the last run on record.
//! A scheduler library would add nothing but the tick: tokio-cron-scheduler keeps its jobs in memory, polls the wall clock
//! past the seam that tests and the simulated world use, and freezes a zone's offset when a job is created, so that its due
//! times could not be used anyway.

pub mod drill;
mod due;
mod error;
pub mod job;
pub mod proof;
mod run;
pub mod runner;
#[cfg(test)]
mod tests;

use std::str::FromStr as _;
use std::time::Duration;

use chrono_tz::Tz;
use croner::Cron;
use reprise_crds::plan::ScheduleSpec;

pub use error::ScheduleError;

/// A cron line that was understood, with its time zone and its delay.
///
/// A fixed time of day that a spring change leaves out is due at the end of the gap; one that an autumn change repeats is due
/// once, at its first instant. A line that names several times of a day (`0 1,2 * * *`, `*/20 * * * *`) follows the clock on
/// the wall instead, as in every cron: it is not due in the gap and due in both halves of the overlap.
#[derive(Debug, Clone)]
pub struct Schedule {
    cron: Cron,
    zone: Tz,
    jitter: Duration,
    salt: String,
}

impl Schedule {
    /// Reads what a plan says. `salt` decides the delays: with a salt of its own, each plan starts at another moment, and
    /// always at the same one.
    pub fn parse(spec: &ScheduleSpec, salt: &str) -> Result<Self, ScheduleError> {
        let cron = Cron::from_str(&spec.cron).map_err(|source| ScheduleError::cron(&spec.cron, &source))?;
        let zone =
            Tz::from_str(&spec.time_zone).map_err(|_| ScheduleError::TimeZone(spec.time_zone.clone()))?;
        let schedule = Self { cron, zone, jitter: spec.jitter.duration(), salt: salt.to_owned() };
        if schedule.ever() { Ok(schedule) } else { Err(ScheduleError::Never(spec.cron.clone())) }
    }
}
