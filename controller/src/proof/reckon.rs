//! Which backups are suspicious: far fewer rows or large objects than in the one before, as after a `DELETE` without a
//! `WHERE`. Pure.
//!
//! Backups are proven newest first, so what a backup falls from may be learnt after it: suspicion is reckoned over all of
//! them, each time something was learnt. Each is held against the newest older one that is itself above suspicion. One that
//! is not asserted for another reason (the code is behind it, nothing vouches for its bytes) may be the poisoned one all the
//! same, and a recovery would take it.

use crate::backup::ladder::{Previous, Rows, rows_of_document};
use crate::store::{Rung, Verdict};

/// Every backup that was restored and not refused, and whose rows are known, with what is suspicious about it.
pub fn suspicions(rows: &[Verdict], tolerated: f64) -> Vec<(String, Option<String>)> {
    let mut known: Vec<(&Verdict, Rows)> = rows
        .iter()
        .filter(|row| row.kind == "database" && row.taken_at.is_some())
        .filter(|row| row.rung >= Rung::Restored && row.refused.is_none())
        .filter_map(|row| Some((row, rows_of_document(row.counts.as_ref()?)?)))
        .collect();
    known.sort_by_key(|(row, _)| row.taken_at);
    let mut before: Option<Previous> = None;
    let mut found = Vec::new();
    for (row, counts) in known {
        let falls = before.as_ref().map(|before| before.falls(&counts)).unwrap_or_default();
        let told: Vec<String> = falls.iter().map(ToString::to_string).collect();
        if told.is_empty() || row.accepted_by.is_some() {
            before = Some(Previous { rows: counts, tolerated });
        }
        found.push((row.backup.clone(), (!told.is_empty()).then(|| told.join("; "))));
    }
    found
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};

    use super::*;
    use crate::backup::contents::{Counts, RelationName};
    use crate::backup::ladder::{rows_document, rows_of};

    /// A sound backup of this day, with this many orders.
    fn backup(day: i64, orders: u64) -> Verdict {
        let table = RelationName { schema: "public".into(), name: "orders".into() };
        Verdict {
            kind: "database".into(),
            backup: format!("day {day}"),
            taken_at: Some(DateTime::UNIX_EPOCH + TimeDelta::days(day)),
            rung: Rung::Asserted,
            sound: true,
            counts: Some(rows_document(&Rows::from_iter([(table, orders)]))),
            ..Verdict::default()
        }
    }

    fn suspected(rows: &[Verdict]) -> Vec<String> {
        let found = suspicions(rows, 0.2);
        found.into_iter().filter_map(|(backup, why)| why.map(|_| backup)).collect()
    }

    #[test]
    fn a_fall_is_seen_in_whichever_order_the_backups_were_proven() {
        let rows = [backup(3, 990), backup(2, 10), backup(1, 1000)];
        assert_eq!(suspected(&rows), ["day 2"]);
        let (_, why) = suspicions(&rows, 0.2).swap_remove(1);
        assert_eq!(
            why.as_deref(),
            Some("all tables together fell from 1000 to 10 rows; public.orders fell from 1000 to 10 rows")
        );
    }

    /// A sound backup of this day, with a thousand rows of it and of the two days before, in a partition each.
    fn rotating(day: i64) -> Verdict {
        let name = |name: String| RelationName { schema: "public".into(), name };
        let days = (day - 2..=day).map(|day| (name(format!("log_{day}")), 1000));
        let mut rows: Rows = days.collect();
        rows.roots = rows.tables.keys().map(|part| (part.clone(), name("log".into()))).collect();
        Verdict { counts: Some(rows_document(&rows)), ..backup(day, 0) }
    }

    #[test]
    fn a_partition_that_is_dropped_every_day_is_not_suspicious() {
        assert_eq!(suspected(&[rotating(9), rotating(8), rotating(7)]), [""; 0]);
        let emptied = Verdict { counts: Some(rows_document(&Rows::default())), ..rotating(10) };
        assert_eq!(suspected(&[emptied, rotating(9)]), ["day 10"]);
    }

    #[test]
    fn one_poisoned_backup_does_not_make_the_next_one_look_well() {
        assert_eq!(suspected(&[backup(3, 9), backup(2, 10), backup(1, 1000)]), ["day 2", "day 3"]);
    }

    #[test]
    fn what_somebody_accepted_is_the_measure_from_then_on() {
        let accepted = Verdict { accepted_by: Some("eve".into()), ..backup(2, 10) };
        let rows = [backup(3, 9), accepted, backup(1, 1000)];
        assert_eq!(suspected(&rows), ["day 2"], "what it is stays told");
    }

    #[test]
    fn one_that_did_not_pass_its_checks_is_no_measure() {
        let broken = Verdict {
            sound: false,
            rung: Rung::Restored,
            refused: Some("check-failed".into()),
            ..backup(1, 1000)
        };
        assert_eq!(suspected(&[backup(2, 10), broken]), [""; 0]);
        let unread = Verdict { sound: false, rung: Rung::Readable, ..backup(1, 1000) };
        assert_eq!(suspected(&[backup(2, 10), unread]), [""; 0], "it may not come back");
    }

    #[test]
    fn one_that_the_code_is_behind_or_nothing_vouches_for_is_held_against_the_one_before() {
        // As a climb leaves it that was stopped by `Halt::Ahead` or `Halt::Unsealed`.
        let short = |day, orders| Verdict { sound: false, rung: Rung::Restored, ..backup(day, orders) };
        assert_eq!(suspected(&[short(2, 0), backup(1, 1000)]), ["day 2"]);
        assert_eq!(
            suspected(&[short(3, 0), short(2, 1000), backup(1, 1000)]),
            ["day 3"],
            "it is a measure too"
        );
    }

    #[test]
    fn large_objects_that_were_left_out_are_a_fall_too() {
        let large = |day, count| {
            let counts = Counts { large_objects: count, large_object_bytes: count * 9, ..Counts::default() };
            Verdict { counts: Some(rows_document(&rows_of(&counts))), ..backup(day, 0) }
        };
        assert_eq!(suspected(&[large(2, 0), large(1, 50)]), ["day 2"]);
        assert_eq!(suspected(&[large(2, 0), backup(1, 0)]), [""; 0], "an earlier release did not count them");
    }
}
