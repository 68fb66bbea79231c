//! Weekly runs over years, the runs that must never be lost, and what holds of every history.

use chrono::TimeDelta;
use proptest::prelude::*;

use super::*;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect("a date")
}

fn run(finished_at: DateTime<Utc>) -> Run {
    let id = finished_at.format("%Y-%m-%dT%H").to_string();
    Run {
        id,
        rank: finished_at.to_rfc3339(),
        finished_at,
        verified: false,
        suspicious: false,
        locked_until: None,
        mirrored: false,
    }
}

/// `count` runs, a week apart, the newest on Monday 23 November 2026; newest first.
fn weekly(count: i64) -> Vec<Run> {
    (0..count).map(|weeks| run(at("2026-11-23T01:30:00Z") - TimeDelta::weeks(weeks))).collect()
}

fn now() -> DateTime<Utc> {
    at("2026-11-24T00:00:00Z")
}

fn spec(last: u32, weekly: u32, monthly: u32, yearly: u32) -> RetentionSpec {
    RetentionSpec { last, weekly, monthly, yearly, ..RetentionSpec::default() }
}

fn days(decision: &Decision) -> Vec<&str> {
    decision.kept.iter().map(|kept| &kept.id[..10]).collect()
}

fn rules(decision: &Decision, day: &str) -> Vec<&'static str> {
    let kept = decision.kept.iter().find(|kept| kept.id.starts_with(day)).expect(day);
    kept.rules.iter().map(|rule| rule.name()).collect()
}

#[test]
fn each_rule_saves_its_own_and_says_so() {
    let decision = decide(&weekly(160), &spec(2, 3, 4, 3), now());
    assert_eq!(
        days(&decision),
        [
            "2026-11-23",
            "2026-11-16",
            "2026-11-09",
            "2026-10-26",
            "2026-09-28",
            "2026-08-31",
            "2025-12-29",
            "2024-12-30"
        ]
    );
    let newest = rules(&decision, "2026-11-23");
    assert_eq!(newest, ["last", "weekly", "monthly", "yearly", "newest-unsuspicious"]);
    assert_eq!(rules(&decision, "2026-11-09"), ["weekly"]);
    assert_eq!(rules(&decision, "2026-08-31"), ["monthly"]);
    assert_eq!(rules(&decision, "2024-12-30"), ["yearly"]);
    assert_eq!(decision.kept.len() + decision.pruned.len(), 160);
}

#[test]
fn weeks_are_iso_weeks_in_utc_and_cross_the_year() {
    // Sunday 3 January 2027 belongs to week 53 of 2026, as Thursday 31 December 2026 does.
    let runs: Vec<Run> =
        ["2027-01-04T00:00:00Z", "2027-01-03T23:59:59Z", "2026-12-31T04:00:00Z", "2026-12-27T04:00:00Z"]
            .map(|text| run(at(text)))
            .into();
    let decision = decide(&runs, &spec(1, 9, 0, 0), now());
    assert_eq!(days(&decision), ["2027-01-04", "2027-01-03", "2026-12-27"]);
}

#[test]
fn an_archive_that_stood_still_loses_nothing_by_it() {
    let years_later = now() + TimeDelta::weeks(300);
    let decision = decide(&weekly(4), &spec(1, 4, 0, 0), years_later);
    assert_eq!(decision.pruned, Vec::<String>::new());
}

#[test]
fn the_newest_is_kept_even_by_a_plan_that_keeps_nothing() {
    let decision = decide(&weekly(3), &spec(0, 0, 0, 0), now());
    assert_eq!(days(&decision), ["2026-11-23"]);
    assert_eq!(decide(&[], &spec(0, 0, 0, 0), now()), Decision::default());
}

#[test]
fn the_newest_verified_run_is_never_pruned() {
    let mut runs = weekly(30);
    runs[20].verified = true;
    runs[25].verified = true;
    let decision = decide(&runs, &spec(1, 0, 0, 0), now());
    assert_eq!(days(&decision), ["2026-11-23", "2026-07-06"]);
    assert_eq!(rules(&decision, "2026-07-06"), ["last-verified"]);
}

#[test]
fn nothing_is_pruned_while_the_newest_run_is_suspicious() {
    let mut runs = weekly(30);
    runs[0].suspicious = true;
    let decision = decide(&runs, &spec(1, 0, 0, 0), now());
    assert_eq!(decision.pruned, Vec::<String>::new());
    assert_eq!(rules(&decision, "2026-11-16"), ["newest-unsuspicious", "before-suspicious", "frozen"]);
    assert_eq!(rules(&decision, "2026-11-09"), ["frozen"]);
}

#[test]
fn a_suspicious_run_does_not_take_the_place_of_a_good_one() {
    let mut runs: Vec<Run> =
        ["2026-11-20T04:00:00Z", "2026-11-12T04:00:00Z", "2026-11-11T04:00:00Z", "2026-11-10T04:00:00Z"]
            .map(|text| run(at(text)))
            .into();
    runs[1].suspicious = true;
    let decision = decide(&runs, &spec(1, 2, 0, 0), now());
    assert_eq!(days(&decision), ["2026-11-20", "2026-11-11"], "the newest good one stands for its week");
    let decision = decide(&runs, &spec(2, 0, 0, 0), now());
    assert_eq!(rules(&decision, "2026-11-11"), ["before-suspicious"], "perhaps the last good copy");
}

#[test]
fn what_the_store_would_refuse_to_delete_is_kept_until_it_would_not() {
    let mut runs = weekly(3);
    runs[1].locked_until = Some(now() + TimeDelta::seconds(1));
    runs[2].locked_until = Some(now());
    let decision = decide(&runs, &spec(1, 0, 0, 0), now());
    assert_eq!(rules(&decision, "2026-11-16"), ["locked"]);
    assert_eq!(decision.pruned, [runs[2].id.clone()]);
}

#[test]
fn a_run_of_a_clock_that_was_ahead_is_not_the_newest() {
    let mut runs = weekly(3);
    runs[0].suspicious = true;
    runs[1].finished_at = now() + TimeDelta::days(2);
    let decision = decide(&runs, &spec(1, 0, 0, 0), now());
    assert!(decision.pruned.is_empty(), "the newest is suspicious, so that none goes: {decision:?}");
}

#[test]
fn a_copy_that_was_imported_since_ends_no_suspicion_and_takes_no_place_of_the_buckets_own() {
    let mut runs = weekly(4);
    runs[0].mirrored = true;
    runs[0].verified = true;
    runs[1].suspicious = true;
    let decision = decide(&runs, &spec(1, 0, 0, 0), now());
    assert!(decision.is_frozen() && decision.pruned.is_empty(), "{decision:?}");
    runs[1].suspicious = false;
    runs[2].verified = true;
    let decision = decide(&runs, &spec(1, 0, 0, 0), now());
    assert_eq!(rules(&decision, "2026-11-16"), ["newest-unsuspicious"]);
    assert_eq!(rules(&decision, "2026-11-09"), ["last-verified"]);
    assert_eq!(decision.pruned.len(), 1, "{decision:?}");
    // Where there is nothing but copies, they are what there is.
    for run in &mut runs {
        run.mirrored = true;
    }
    runs[0].suspicious = true;
    assert!(decide(&runs, &spec(1, 0, 0, 0), now()).is_frozen());
}

fn histories() -> impl Strategy<Value = Vec<Run>> {
    let one = (0..40_000_i64, any::<bool>(), prop::bool::weighted(0.2), prop::option::of(-50_000..5_000_i64));
    prop::collection::vec(one, 0..60).prop_map(|runs| {
        let run =
            |(number, (hours, verified, suspicious, locked)): (usize, (i64, bool, bool, Option<i64>))| Run {
                id: format!("run-{number}"),
                rank: (now() - TimeDelta::hours(hours)).to_rfc3339(),
                finished_at: now() - TimeDelta::hours(hours),
                verified,
                suspicious,
                locked_until: locked.map(|hours| now() + TimeDelta::hours(hours)),
                mirrored: false,
            };
        runs.into_iter().enumerate().map(run).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn of_every_history_the_right_runs_stay_and_deciding_again_changes_nothing(
        mut runs in histories(),
        last in 0..6_u32, weekly in 0..6_u32, monthly in 0..6_u32, yearly in 0..4_u32,
    ) {
        let spec = spec(last, weekly, monthly, yearly);
        let decision = decide(&runs, &spec, now());
        let kept: BTreeSet<&str> = decision.kept.iter().map(|kept| kept.id.as_str()).collect();
        prop_assert_eq!(kept.len() + decision.pruned.len(), runs.len(), "each run has one fate");
        prop_assert!(decision.pruned.iter().all(|id| !kept.contains(id.as_str())));
        prop_assert!(decision.kept.iter().all(|kept| !kept.rules.is_empty()), "and a reason to stay");
        runs.sort_by(|a, b| (b.finished_at, &b.id).cmp(&(a.finished_at, &a.id)));
        for run in runs.iter().take(usize::try_from(last.max(1)).expect("small")) {
            prop_assert!(kept.contains(run.id.as_str()), "one of the newest");
        }
        for found in [runs.iter().find(|run| run.verified), runs.iter().find(|run| !run.suspicious)] {
            prop_assert!(found.is_none_or(|run| kept.contains(run.id.as_str())));
        }
        prop_assert!(runs.first().is_none_or(|run| !run.suspicious || decision.pruned.is_empty()), "frozen");
        let rest: Vec<Run> = runs.iter().filter(|run| kept.contains(run.id.as_str())).cloned().collect();
        prop_assert_eq!(decide(&rest, &spec, now()), Decision { kept: decision.kept.clone(), pruned: vec![] });
    }
}
