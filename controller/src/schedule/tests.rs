//! Due times on the days that cron lines get wrong, and what must hold of every line.

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use reprise_crds::Period;
use reprise_crds::plan::ScheduleSpec;

use super::{Schedule, ScheduleError};

fn spec(cron: &str, zone: &str, jitter: u32) -> ScheduleSpec {
    ScheduleSpec { cron: cron.into(), time_zone: zone.into(), jitter: Period::seconds(jitter) }
}

fn paris(cron: &str) -> Schedule {
    Schedule::parse(&spec(cron, "Europe/Paris", 0), "apilos").expect("a schedule")
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect("a date")
}

/// The next `count` due times after `from`, in UTC.
fn following(schedule: &Schedule, from: &str, count: usize) -> Vec<String> {
    std::iter::successors(schedule.next(at(from)), |last| schedule.next(*last))
        .take(count)
        .map(|due| due.format("%m-%d %H:%M").to_string())
        .collect()
}

#[test]
fn a_time_that_the_spring_change_leaves_out_is_due_at_the_end_of_the_gap() {
    let nightly = paris("30 2 * * *");
    let due = following(&nightly, "2026-03-27T12:00:00Z", 4);
    assert_eq!(due, ["03-28 01:30", "03-29 01:00", "03-30 00:30", "03-31 00:30"], "03:00 in Paris, once");
    let found = nightly.due(at("2026-03-28T12:00:00Z"), at("2026-03-29T12:00:00Z"));
    assert_eq!(found, Some(at("2026-03-29T01:00:00Z")));
}

#[test]
fn a_time_that_the_autumn_change_repeats_is_due_once() {
    let nightly = paris("30 2 * * *");
    let due = following(&nightly, "2026-10-23T12:00:00Z", 4);
    assert_eq!(due, ["10-24 00:30", "10-25 00:30", "10-26 01:30", "10-27 01:30"]);
    let (first, second) = (at("2026-10-25T00:30:00Z"), at("2026-10-25T01:30:00Z"));
    assert_eq!(nightly.due(first, second), None, "02:30 on the wall again, and not due again");
    assert_eq!(nightly.due(at("2026-10-24T12:00:00Z"), second), Some(first));
}

#[test]
fn the_wall_clock_is_kept_on_both_sides_of_a_change() {
    let weekly = paris("27 1 * * 1");
    let due = following(&weekly, "2026-03-20T00:00:00Z", 3);
    assert_eq!(due, ["03-23 00:27", "03-29 23:27", "04-05 23:27"]);
    let due = following(&weekly, "2026-10-18T00:00:00Z", 2);
    assert_eq!(due, ["10-18 23:27", "10-26 00:27"]);
}

#[test]
fn each_hour_is_due_in_both_halves_of_the_overlap_and_not_in_the_gap() {
    let hourly = paris("5 * * * *");
    assert_eq!(following(&hourly, "2026-10-24T23:30:00Z", 3), ["10-25 00:05", "10-25 01:05", "10-25 02:05"]);
    assert_eq!(following(&hourly, "2026-03-29T00:00:00Z", 3), ["03-29 00:05", "03-29 01:05", "03-29 02:05"]);
}

#[test]
fn months_end_where_they_end() {
    let last = Schedule::parse(&spec("0 4 L * *", "UTC", 0), "x").expect("a schedule");
    assert_eq!(
        following(&last, "2028-01-01T00:00:00Z", 4),
        ["01-31 04:00", "02-29 04:00", "03-31 04:00", "04-30 04:00"]
    );
    let days = Schedule::parse(&spec("0 4 31 * *", "UTC", 0), "x").expect("a schedule");
    assert_eq!(
        following(&days, "2026-01-01T00:00:00Z", 3),
        ["01-31 04:00", "03-31 04:00", "05-31 04:00"],
        "a month without a 31st has none"
    );
}

#[test]
fn a_long_downtime_is_made_up_for_by_the_newest_missed_time_alone() {
    let weekly = Schedule::parse(&spec("27 1 * * 1", "UTC", 0), "x").expect("a schedule");
    let (before, now) = (at("2024-05-06T01:27:00Z"), at("2026-11-24T12:00:00Z"));
    let due = weekly.due(before, now).expect("missed");
    assert_eq!(due, at("2026-11-23T01:27:00Z"));
    assert_eq!(weekly.due(due, now), None, "then there is nothing left to make up for");
}

#[test]
fn the_interval_is_open_below_and_closed_above() {
    let daily = Schedule::parse(&spec("0 4 * * *", "UTC", 0), "x").expect("a schedule");
    let (due, before) = (at("2026-05-01T04:00:00Z"), at("2026-05-01T03:59:59.999Z"));
    assert_eq!(daily.due(before, due), Some(due));
    assert_eq!(daily.due(due, at("2026-05-01T04:00:00.5Z")), None);
    assert_eq!(daily.due(at("2026-05-01T00:00:00Z"), before), None);
    assert_eq!(daily.next(due), Some(at("2026-05-02T04:00:00Z")));
    assert_eq!(daily.next(before), Some(due));
}

#[test]
fn delays_stay_within_the_jitter_differ_between_plans_and_never_change() {
    let jitter = 3_600;
    let of = |salt: &str| Schedule::parse(&spec("0 4 * * *", "UTC", jitter), salt).expect("a schedule");
    let mut delays = Vec::new();
    for day in 1..=28 {
        let midnight = at(&format!("2026-02-{day:02}T00:00:00Z"));
        let [one, again, other] = ["apilos", "apilos", "ma-cantine"].map(|salt| of(salt).next(midnight));
        assert_eq!(one, again);
        let delay = (one.expect("due") - midnight - TimeDelta::hours(4)).num_seconds();
        assert!((0..=i64::from(jitter)).contains(&delay), "{delay}");
        delays.push((delay, one == other));
    }
    assert!(delays.iter().all(|(_, same)| !same), "two plans do not start together");
    delays.sort_unstable();
    delays.dedup();
    assert!(delays.len() > 20, "the delay changes from day to day");
    assert!(delays[0].0 < 900 && delays[delays.len() - 1].0 > 2_700, "and uses all of the jitter");
}

#[test]
fn a_jitter_longer_than_the_period_does_not_mix_up_the_runs() {
    let eager = Schedule::parse(&spec("*/10 * * * *", "UTC", 86_400), "x").expect("a schedule");
    let due = following(&eager, "2026-02-01T00:00:00Z", 20);
    let tens: Vec<&str> = due.iter().map(|due| &due[..10]).collect();
    let mut distinct = tens.clone();
    distinct.dedup();
    assert_eq!(tens, distinct, "one in each ten minutes");
}

#[test]
fn what_can_never_be_due_is_refused_with_the_reason() {
    let told = |cron: &str, zone: &str| Schedule::parse(&spec(cron, zone, 0), "x").expect_err(cron);
    assert!(matches!(told("61 * * * *", "UTC"), ScheduleError::Cron { .. }));
    assert!(matches!(told("often", "UTC"), ScheduleError::Cron { .. }));
    assert_eq!(told("0 4 * * *", "Europe/Lutetia").to_string(), "`Europe/Lutetia` is no time zone");
    assert_eq!(told("0 4 30 2 *", "UTC").to_string(), "`0 4 30 2 *` is never due");
}

/// Lines of every kind: fixed, lists, steps, days of the week and of the month.
fn lines() -> impl Strategy<Value = String> {
    let minute =
        prop_oneof![(0..60_u8).prop_map(|m| m.to_string()), Just("*/20".into()), Just("0,30".into())];
    let hour = prop_oneof![
        (0..24_u8).prop_map(|h| h.to_string()),
        Just("1,2,3".to_owned()),
        Just("*".to_owned()),
        Just("*/6".to_owned())
    ];
    let day = prop_oneof![
        4 => Just("* * *".to_owned()),
        2 => (0..7_u8).prop_map(|d| format!("* * {d}")),
        1 => (1..=31_u8).prop_map(|d| format!("{d} * *")),
    ];
    (minute, hour, day).prop_map(|(minute, hour, day)| format!("{minute} {hour} {day}"))
}

const ZONES: [&str; 5] = ["Europe/Paris", "UTC", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"];
/// Near both changes of Paris and of New York, and in the middle of nowhere.
const DAYS: [i64; 5] = [1_774_742_400, 1_792_886_400, 1_772_928_000, 1_793_491_200, 1_780_000_000];

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn next_grows_strictly_and_due_agrees_with_it(
        line in lines(),
        zone in prop::sample::select(&ZONES[..]),
        day in prop::sample::select(&DAYS[..]),
        millis in -172_800_000_i64..172_800_000,
        jitter in prop_oneof![Just(0_u32), 1..100_000_u32],
    ) {
        let schedule = Schedule::parse(&spec(&line, zone, jitter), "salt").expect("a schedule");
        let start = DateTime::from_timestamp_millis(day * 1_000 + millis).expect("a date");
        let mut last = start;
        for _ in 0..12 {
            let next = schedule.next(last).expect("always another one");
            prop_assert!(next > last, "{next} after {last}");
            prop_assert_eq!(schedule.due(last, next), Some(next), "due at its time");
            let before = next - TimeDelta::milliseconds(1);
            prop_assert_eq!(schedule.due(last, before), None, "nothing between two due times");
            prop_assert_eq!(schedule.due(start, before), (last > start).then_some(last), "the newest of all");
            last = next;
        }
    }
}
