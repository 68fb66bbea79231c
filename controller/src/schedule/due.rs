//! When a job is due. Pure: dates in, dates out.
//!
//! A due time is a time of the cron line plus a delay that is drawn from the plan's name and that very time, so every daemon
//! and every restart computes the same. The delay ends before the line's next time: due times never change places.

use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest as _, Sha256};

use super::Schedule;

impl Schedule {
    /// The latest due time in `(after, until]`: however many were missed, they are made up for by one run, the newest.
    pub fn due(&self, after: DateTime<Utc>, until: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.latest(until).filter(|due| *due > after)
    }

    /// The first due time later than `after`.
    pub fn next(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        // The line's last time may still be waiting for its delay to pass.
        let delayed = self.line_before(after, true).map(|line| self.delayed(line)).filter(|due| *due > after);
        delayed.or_else(|| self.line_after(after).map(|line| self.delayed(line)))
    }

    /// Whether there is any due time at all.
    pub(super) fn ever(&self) -> bool {
        self.line_after(DateTime::UNIX_EPOCH).is_some()
    }

    /// The latest due time that is not later than `until`.
    fn latest(&self, until: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let line = self.line_before(until, true)?;
        let due = self.delayed(line);
        if due <= until {
            return Some(due);
        }
        self.line_before(line, false).map(|earlier| self.delayed(earlier))
    }

    /// The cron line's first time after `at`.
    fn line_after(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let from = whole(at)?.with_timezone(&self.zone);
        self.cron.find_next_occurrence(&from, false).ok().map(|found| found.to_utc())
    }

    /// The cron line's last time before `at`, or at it if it may be that one.
    fn line_before(&self, at: DateTime<Utc>, inclusive: bool) -> Option<DateTime<Utc>> {
        let from = whole(at)?.with_timezone(&self.zone);
        self.cron.find_previous_occurrence(&from, inclusive).ok().map(|found| found.to_utc())
    }

    /// A time of the line with its delay: 0 to `jitter`, in whole seconds, and earlier than the line's next time.
    fn delayed(&self, line: DateTime<Utc>) -> DateTime<Utc> {
        let room = self.line_after(line).map_or(i64::MAX, |next| (next - line).num_seconds() - 1);
        let longest = u64::try_from(room).unwrap_or(0).min(self.jitter.as_secs());
        if longest == 0 {
            return line;
        }
        let delay = self.draw(line) % (longest + 1);
        i64::try_from(delay)
            .ok()
            .and_then(TimeDelta::try_seconds)
            .and_then(|delay| line.checked_add_signed(delay))
            .unwrap_or(line)
    }

    /// A number that belongs to this salt and this time, the same in every process and release.
    fn draw(&self, line: DateTime<Utc>) -> u64 {
        let mut hash = Sha256::new();
        hash.update(self.salt.as_bytes());
        hash.update([0]);
        hash.update(line.timestamp().to_be_bytes());
        hash.finalize().iter().take(8).fold(0, |number, byte| (number << 8) | u64::from(*byte))
    }
}

/// The second that `at` lies in; cron knows nothing smaller.
fn whole(at: DateTime<Utc>) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(at.timestamp(), 0)
}
