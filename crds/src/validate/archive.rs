//! Rules about the archive.

use std::str::FromStr as _;

use super::{names, settings};
use crate::plan::{ArchiveSpec, CopyMode, RecoveryPlanSpec, ScheduleSpec};
use crate::problem::{At, Report};
use crate::text::Setting;

pub(super) fn check(plan: &RecoveryPlanSpec, at: &At, report: &mut Report) {
    let Some(archive) = &plan.archive else { return };
    let place = at.member("archive");
    settings::check(&archive.bucket, settings::word, &place.member("bucket"), report);
    settings::check(&archive.endpoint, settings::endpoint, &place.member("endpoint"), report);
    settings::check(&archive.region, names::code, &place.member("region"), report);
    match &plan.source.bucket {
        None => {
            report.add_with_hint(
                &place,
                "has nothing to copy",
                "name the production bucket at source.bucket",
            );
        }
        Some(source) if source.name == archive.bucket && source.endpoint == archive.endpoint => {
            report.add(&place.member("bucket"), "is the production bucket itself");
        }
        Some(_) => {}
    }
    let elsewhere =
        plan.source.bucket.as_ref().is_some_and(|source| differ(&source.endpoint, &archive.endpoint));
    if archive.mode == CopyMode::ServerSide && elsewhere {
        report.add_with_hint(
            &place.member("mode"),
            "needs source and archive at one endpoint: a store copies only what is its own",
            "leave it out: `stream` is the default",
        );
    }
    prefix(archive, &place, report);
    numbers(archive, &place, report);
    if let Some(schedule) = &archive.schedule {
        due(schedule, &place.member("schedule"), report);
    }
    due(&archive.dumps.schedule, &place.member("dumps").member("schedule"), report);
    if archive.dumps.retention.last == 0 {
        let at = place.member("dumps").member("retention").member("last");
        report.add(&at, "must be at least 1: the newest copy is always kept");
    }
    let recipients = place.member("recipients");
    for (index, recipient) in archive.recipients.iter().enumerate() {
        if !is_recipient(recipient) {
            report.add_with_hint(
                &recipients.item(index),
                "is no age recipient",
                "it is the line `age1…` that age-keygen prints",
            );
        }
    }
}

/// Whether both are written out and are not the same; what the daemon's environment says is known only there.
fn differ(one: &Setting, other: &Setting) -> bool {
    matches!((one.literal(), other.literal()), (Some(one), Some(other)) if one.trim_end_matches('/') != other.trim_end_matches('/'))
}

fn prefix(archive: &ArchiveSpec, at: &At, report: &mut Report) {
    let wrong = archive.prefix.as_deref().is_some_and(|prefix| {
        prefix.starts_with('/') || !prefix.ends_with('/') || prefix.contains("//") || prefix.len() > 128
    });
    if wrong {
        report.add(&at.member("prefix"), "must end with / and not begin with one");
    }
}

fn numbers(archive: &ArchiveSpec, at: &At, report: &mut Report) {
    let percent = |value: u32| !(1..=100).contains(&value);
    let guard = at.member("suspicious");
    let guards = archive.suspicious;
    for (at, wrong) in [
        (at.member("samplePercent"), percent(archive.sample_percent)),
        (guard.member("deletedPercent"), percent(guards.deleted_percent)),
        (guard.member("rewrittenPercent"), percent(guards.rewritten_percent)),
        (guard.member("scrambledPercent"), percent(guards.scrambled_percent)),
    ] {
        if wrong {
            report.add(&at, "must be 1 to 100");
        }
    }
    if archive.retention.last == 0 {
        report
            .add(&at.member("retention").member("last"), "must be at least 1: the newest run is always kept");
    }
}

pub(super) fn due(schedule: &ScheduleSpec, at: &At, report: &mut Report) {
    if croner::Cron::from_str(&schedule.cron).is_err() {
        report.add_with_hint(&at.member("cron"), "is no schedule", "five fields, for example `27 1 * * 1`");
    }
    if chrono_tz::Tz::from_str(&schedule.time_zone).is_err() {
        report.add_with_hint(&at.member("timeZone"), "is no time zone", "a name as in Europe/Paris");
    }
}

/// The shape of an X25519 recipient: bech32 in lower case.
fn is_recipient(text: &str) -> bool {
    text.len() == 62
        && text
            .strip_prefix("age1")
            .is_some_and(|rest| rest.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()))
}
