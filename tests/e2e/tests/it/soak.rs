//! Days that nobody thought of: every seed draws its own mixture of faults and its own deaths of the daemon. Each of them is one that
//! passes, so each recovery and each drill has to come to its end, with everything there once, or nothing. `SOAK=100-140 make soak` plays
//! those days; a day that fails is played again by its number.

use std::ops::RangeInclusive;

use reprise_e2e::plan::Plan;
use reprise_e2e::records::{Request, poll};
use reprise_e2e::stage::{Stage, play};
use serde_json::{Value, json};

use crate::drill;
use crate::evidence::recovered;

/// What is played without being asked for.
const DAYS: RangeInclusive<u64> = 14..=14;
/// Rules a day.
const RULES: u64 = 24;
/// Requests that change something, up to which a daemon dies: a recovery makes about as many.
const DEEDS: u64 = 90;

/// Draws the same for the same seed (`SplitMix64`, which its author Sebastiano Vigna gave to the public domain).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[usize::try_from(self.below(all.len() as u64)).expect("an index")]
    }
}

/// Services and methods that a recovery needs. A method of an object store is a call of its own.
const PLACES: [(&str, &str); 18] = [
    ("scalingo", "GET"),
    ("scalingo", "POST"),
    ("scalingo", "PUT"),
    ("scalingo", "PATCH"),
    ("scalingo", "DELETE"),
    ("database-api", "GET"),
    ("database-api", "POST"),
    ("alwaysdata", "GET"),
    ("alwaysdata", "POST"),
    ("alwaysdata", "PATCH"),
    ("github", "GET"),
    ("github-blob", "GET"),
    ("s3-source", "PutObject"),
    ("s3-source", "CreateBucket"),
    ("s3-source", "ListObjectsV2"),
    ("s3-archive", "GetObject"),
    ("s3-archive", "ListObjectsV2"),
    ("s3-source", "HeadObject"),
];

/// A fault that passes. What a service refuses by its own rules, and what changes what is said, is for a person.
fn fault(dice: &mut Dice) -> Value {
    match dice.below(14) {
        0 => json!({"kind": "drop_before"}),
        1 | 2 => json!({"kind": "drop_after"}),
        3 => json!({"kind": "reset", "after": dice.below(2) == 0}),
        4 => json!({"kind": "half_body", "fraction": 0.3}),
        5 => json!({"kind": "truncate", "bytes": dice.below(40)}),
        6 => json!({"kind": "slow_body", "bytes_per_second": 20_000 + dice.below(100_000)}),
        7 => json!({"kind": "html_page", "status": dice.of(&[502, 503, 504, 500])}),
        8 => json!({"kind": "status", "status": dice.of(&[500, 502, 503, 504, 408])}),
        9 => json!({"kind": "status", "status": 429, "retry_after": dice.below(3)}),
        10 => json!({"kind": "throttle", "per_second": 8.0}),
        11 => json!({"kind": "stale_read"}),
        12 => json!({"kind": "expire_token"}),
        _ => json!({"kind": "latency_uniform", "min_ms": 50, "max_ms": 1_500}),
    }
}

fn rule(dice: &mut Dice) -> Value {
    let (service, method) = *dice.of(&PLACES);
    let fault = fault(dice);
    // Only a GET can be answered as before, and only the platform has tokens that end by themselves.
    let odd = fault["kind"] == "stale_read" && method != "GET"
        || fault["kind"] == "expire_token" && !matches!(service, "scalingo" | "database-api");
    let fault = if odd { json!({"kind": "drop_before"}) } else { fault };
    let (skip, times) = (dice.below(6), 1 + dice.below(4));
    // A token that is refused although it was made just now is for a person.
    let times = if fault["kind"] == "expire_token" { 1 } else { times };
    json!({"service": service, "method": method, "skip": skip, "times": times, "fault": fault})
}

fn days() -> RangeInclusive<u64> {
    std::env::var("SOAK").map_or(DAYS, |text| {
        let (first, last) = text.split_once('-').expect("SOAK=FIRST-LAST");
        first.parse().expect("a number")..=last.parse().expect("a number")
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recovery_gets_through_days_that_nobody_thought_of() {
    for day in days() {
        play(day, async |stage: &mut Stage| {
            let mut dice = faults(stage, day).await;
            let request = stage.bad_day(&Plan::example()).await;
            through_deaths(stage, &request, &mut dice).await;
            stage.daemon.records().succeeded(&request).await;
            stage.world.mend();
            recovered(stage, &request).await;
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drill_leaves_nothing_behind_on_days_that_nobody_thought_of() {
    for day in days() {
        play(day, async |stage: &mut Stage| {
            stage.daemon.start().await;
            stage.daemon.apply(&Plan::example()).await;
            let before = drill::standing(stage);
            let mut dice = faults(stage, day).await;
            let request = drill::file(stage).await;
            through_deaths(stage, &request, &mut dice).await;
            stage.daemon.records().succeeded(&request).await;
            stage.world.mend();
            drill::nothing_is_left(stage, &request, &before).await;
        })
        .await;
    }
}

/// Puts the day's faults in place.
async fn faults(stage: &Stage, day: u64) -> Dice {
    let mut dice = Dice(day);
    let rules: Vec<Value> = (0..RULES).map(|_| rule(&mut dice)).collect();
    eprintln!("day {day}: {}", json!(rules));
    stage.world.control("faults", &json!(rules)).await;
    dice
}

/// Kills the daemon twice, each time as soon as so many things were done, or all is over.
async fn through_deaths(stage: &mut Stage, request: &Request, dice: &mut Dice) {
    let before = stage.world.journal().len();
    let mut deaths =
        [dice.below(DEEDS), dice.below(DEEDS)].map(|deeds| usize::try_from(deeds).expect("a count"));
    deaths.sort_unstable();
    for deeds in deaths {
        let due = async || {
            let phase = stage.daemon.records().standing(request).await.phase;
            let over = matches!(phase.as_str(), "Succeeded" | "Failed");
            (over || stage.world.journal().len() >= before + deeds).then_some(())
        };
        poll(due).await.expect("as many deeds, or the end");
        stage.daemon.kill().await;
        stage.daemon.start().await;
    }
}
