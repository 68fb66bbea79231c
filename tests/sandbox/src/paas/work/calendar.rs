//! The world's own calendar: when the hours strike at which databases are backed up.

use std::time::Duration;

use chrono::{DateTime, Timelike, Utc};

const HOUR: u64 = 3_600;

/// Dates and hours of a world, which can be pushed forward.
#[derive(Debug, Clone, Copy)]
pub(in crate::paas) struct Calendar {
    /// The wall's date when the world's clock was at zero.
    born: DateTime<Utc>,
    /// World seconds of the day that had passed then.
    morning: u64,
}

impl Calendar {
    /// The calendar of a world that is `elapsed` old at `now`. A world as fast as the wall has the wall's hours; another one,
    /// whose hours mean nothing outside, begins at midnight, so that what it does never depends on when it was started.
    pub(in crate::paas) fn new(now: DateTime<Utc>, elapsed: Duration, speed: f64) -> Self {
        let born = now - elapsed.min(Duration::from_hours(24));
        let of_the_wall = (speed - 1.0).abs() < f64::EPSILON;
        Self { born, morning: if of_the_wall { born.num_seconds_from_midnight().into() } else { 0 } }
    }

    /// The date at world time `elapsed`.
    pub(in crate::paas) fn date(self, elapsed: Duration) -> DateTime<Utc> {
        self.born + elapsed
    }

    /// The date and hour at world time `elapsed`, by the hours that strike: they are what a schedule goes by.
    pub(in crate::paas) fn moment(self, elapsed: Duration) -> DateTime<Utc> {
        let midnight = self.born.date_naive().and_time(chrono::NaiveTime::MIN).and_utc();
        midnight + Duration::from_secs(self.morning) + elapsed
    }

    /// How many hours have struck until `elapsed`.
    pub(in crate::paas) fn strikes(self, elapsed: Duration) -> u64 {
        (self.morning + elapsed.as_secs()) / HOUR - self.morning / HOUR
    }

    /// When stroke number `stroke` (the first is 1) comes.
    pub(in crate::paas) fn time_of(self, stroke: u64) -> Duration {
        Duration::from_secs((self.morning / HOUR + stroke) * HOUR - self.morning)
    }

    /// Which hour of the day it strikes.
    pub(in crate::paas) fn hour_of(self, stroke: u64) -> u32 {
        u32::try_from((self.morning / HOUR + stroke) % 24).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(date: &str, speed: f64) -> Calendar {
        Calendar::new(date.parse().unwrap(), Duration::ZERO, speed)
    }

    #[test]
    fn a_world_as_fast_as_the_wall_has_its_hours() {
        let calendar = at("2026-11-23T21:45:00Z", 1.0);
        assert_eq!((calendar.hour_of(1), calendar.time_of(1)), (22, Duration::from_mins(15)));
        assert_eq!((calendar.hour_of(3), calendar.time_of(3)), (0, Duration::from_mins(135)));
        assert_eq!(calendar.strikes(Duration::from_mins(14)), 0);
        assert_eq!(calendar.strikes(Duration::from_mins(15)), 1);
    }

    #[test]
    fn a_faster_world_begins_at_midnight() {
        let calendar = at("2026-11-23T21:45:00Z", 60.0);
        assert_eq!((calendar.hour_of(1), calendar.time_of(1)), (1, Duration::from_hours(1)));
        assert_eq!(calendar.hour_of(24), 0);
        assert_eq!(
            calendar.moment(Duration::from_mins(90)),
            "2026-11-23T01:30:00Z".parse::<DateTime<Utc>>().unwrap()
        );
        assert_eq!(
            calendar.date(Duration::from_hours(3)),
            "2026-11-24T00:45:00Z".parse::<DateTime<Utc>>().unwrap()
        );
    }
}
