//! In which order backups are tried, given what is known of each. Pure.

use std::cmp::Reverse;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

use super::taken_at;
use crate::backup::ladder::{Rows, rows_document};
use crate::proof::suspicions;
use crate::providers::scalingo::backups::Backup;
use crate::recovery::outputs::RefusedBackup;
use crate::store::{Rung, Verdict};

/// How long a refusal is remembered of what could not be read to its end: what was wrong with the platform and not with the backup
/// may be mended by then. What was found in a dump that was read, or in its restore, is in its bytes: that stands until it is looked
/// at again.
const MEMORY: TimeDelta = TimeDelta::days(7);
/// How the reasons begin that were not seen now.
pub(super) const REMEMBERED: &str = "as of ";

/// What is known of a backup, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    /// Nothing against it.
    Open,
    /// It lost suspiciously many rows: it may be the poisoned one.
    Suspicious,
    /// It was refused lately.
    Refused,
}

/// A backup that may be chosen.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    /// As the platform lists it.
    pub backup: Backup,
    /// What is known of these very bytes.
    pub known: Option<Verdict>,
    standing: Standing,
}

/// Those with nothing against them, then the suspicious ones, then those that were refused; the newest first among each. The
/// list's own order is not trusted.
pub(super) fn rank(backups: Vec<Backup>, known: &[Verdict], now: DateTime<Utc>) -> Vec<Candidate> {
    let mut candidates: Vec<Candidate> =
        backups.into_iter().map(|backup| Candidate::new(backup, known, now)).collect();
    candidates.sort_by_key(Candidate::place);
    candidates
}

impl Candidate {
    fn new(backup: Backup, known: &[Verdict], now: DateTime<Utc>) -> Self {
        let known = known.iter().find(|row| row.kind == "database" && row.backup == backup.id);
        // Another size is another backup.
        let size = backup.size.and_then(|size| i64::try_from(size).ok());
        let same = |row: &&Verdict| size.is_none() || row.size_bytes.is_none() || row.size_bytes == size;
        let known = known.filter(same).cloned();
        let standing = known.as_ref().map_or(Standing::Open, |row| standing(row, now));
        Self { backup, known, standing }
    }

    fn place(&self) -> (Standing, Reverse<DateTime<Utc>>) {
        (self.standing, Reverse(taken_at(&self.backup)))
    }

    /// Whether it is tried before the other one.
    pub(super) fn is_better_than(&self, other: &Self) -> bool {
        self.place() <= other.place()
    }

    /// What it lost, having these `rows`, since the newest older one of the `known` that was restored and is above suspicion. Nothing
    /// where somebody said that it was meant, nor where it is tried last anyway.
    pub(super) fn fallen(&self, rows: &Rows, known: &[Verdict], tolerated: f64) -> Option<String> {
        let accepted = self.known.as_ref().is_some_and(|known| known.accepted_by.is_some());
        if self.standing != Standing::Open || accepted {
            return None;
        }
        let this = Verdict {
            kind: "database".to_owned(),
            backup: self.backup.id.clone(),
            taken_at: self.backup.created_at,
            rung: Rung::Restored,
            counts: Some(rows_document(rows)),
            ..Verdict::default()
        };
        let others = known.iter().filter(|row| row.backup != this.backup).cloned();
        let all: Vec<Verdict> = others.chain([this.clone()]).collect();
        let found = suspicions(&all, tolerated);
        found.into_iter().find_map(|(backup, why)| why.filter(|_| backup == this.backup))
    }

    /// It is suspicious, for this reason.
    pub(super) fn doubt(&mut self, why: String) {
        self.standing = Standing::Suspicious;
        self.known.get_or_insert_default().suspicious = Some(why);
    }

    /// What people call it.
    pub(super) fn name(&self) -> &str {
        self.backup.name.as_deref().unwrap_or(&self.backup.id)
    }

    /// Whether the dump is what it was when it was first seen.
    pub(super) fn is_the_same(&self, dump_sha256: &str) -> bool {
        let known = self.known.as_ref().and_then(|known| known.dump_sha256.as_deref());
        known.is_none_or(|known| known.eq_ignore_ascii_case(dump_sha256))
    }

    /// The label under which it was refused when it was looked at before.
    pub(super) fn refused_before(&self) -> Option<&str> {
        self.known.as_ref().filter(|known| known.settled)?.refused.as_deref()
    }

    /// What is suspicious about it.
    pub(super) fn suspicion(&self) -> Option<&str> {
        self.known.as_ref().filter(|_| self.standing == Standing::Suspicious)?.suspicious.as_deref()
    }

    /// How it was proven before, as the end of a sentence.
    pub(super) fn proof(&self) -> String {
        match self.known.as_ref().and_then(|known| known.proven_at) {
            Some(at) => format!("; restored and checked once before, on {}", told(at)),
            None => String::new(),
        }
    }

    /// Why it loses by what is known of it, if it does.
    pub(super) fn lost(&self) -> Option<RefusedBackup> {
        let known = self.known.as_ref()?;
        let (reason, why) = match self.standing {
            Standing::Open => return None,
            Standing::Suspicious => ("rows-fallen", known.suspicious.as_deref()),
            Standing::Refused => (known.refused.as_deref()?, known.message.as_deref()),
        };
        let why = why.unwrap_or(reason);
        Some(self.lost_by(reason, format!("{REMEMBERED}{}: {why}", told(known.checked_at))))
    }

    /// That it lost, and why.
    pub(super) fn lost_by(&self, reason: &str, message: String) -> RefusedBackup {
        RefusedBackup {
            backup: self.name().to_owned(),
            taken_at: self.backup.created_at,
            reason: reason.to_owned(),
            message,
        }
    }
}

fn standing(row: &Verdict, now: DateTime<Utc>) -> Standing {
    let remembered = row.rung >= Rung::Readable || (now - MEMORY < row.checked_at && row.checked_at <= now);
    if row.settled && row.refused.is_some() && remembered {
        Standing::Refused
    } else if row.suspicious.is_some() && row.accepted_by.is_none() {
        Standing::Suspicious
    } else {
        Standing::Open
    }
}

fn told(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::contents::RelationName;

    fn now() -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::days(100)
    }

    fn backup(day: u32) -> Backup {
        let document = serde_json::json!({
            "id": format!("id{day}"), "name": format!("day {day}"), "size": 10, "status": "done",
            "created_at": DateTime::UNIX_EPOCH + TimeDelta::days(day.into()),
        });
        serde_json::from_value(document).unwrap()
    }

    fn verdict(day: u32) -> Verdict {
        Verdict {
            kind: "database".into(),
            backup: format!("id{day}"),
            size_bytes: Some(10),
            settled: true,
            checked_at: now() - TimeDelta::days(1),
            ..Verdict::default()
        }
    }

    fn refused(day: u32) -> Verdict {
        Verdict { refused: Some("gzip-cut".into()), message: Some("cut".into()), ..verdict(day) }
    }

    fn order(days: &[u32], known: &[Verdict]) -> Vec<String> {
        let ranked = rank(days.iter().copied().map(backup).collect(), known, now());
        ranked.iter().map(|one| one.name().to_owned()).collect()
    }

    #[test]
    fn where_nothing_is_known_the_newest_comes_first() {
        assert_eq!(order(&[2, 3, 1], &[]), ["day 3", "day 2", "day 1"]);
    }

    #[test]
    fn a_suspicious_one_comes_after_all_others_and_a_refused_one_last() {
        let suspicious = Verdict { suspicious: Some("orders fell".into()), ..verdict(2) };
        assert_eq!(order(&[1, 2, 3], &[refused(3), suspicious.clone()]), ["day 1", "day 2", "day 3"]);
        let ranked = rank(vec![backup(1), backup(2), backup(3)], &[refused(3), suspicious.clone()], now());
        let lost: Vec<RefusedBackup> = ranked.iter().filter_map(Candidate::lost).collect();
        let reasons: Vec<&str> = lost.iter().map(|one| one.reason.as_str()).collect();
        assert_eq!(reasons, ["rows-fallen", "gzip-cut"]);
        assert_eq!(lost[1].message, "as of 1970-04-10T00:00:00Z: cut");
        let accepted = Verdict { accepted_by: Some("eve".into()), ..suspicious };
        assert_eq!(order(&[1, 2], &[accepted]), ["day 2", "day 1"]);
    }

    /// So many orders.
    fn orders(rows: u64) -> Rows {
        let table = RelationName { schema: "public".into(), name: "orders".into() };
        Rows::from_iter([(table, rows)])
    }

    /// A backup of this day that was proven, or restored, with so many orders.
    fn proven(day: u32, rows: u64) -> Verdict {
        Verdict {
            taken_at: Some(DateTime::UNIX_EPOCH + TimeDelta::days(day.into())),
            rung: Rung::Asserted,
            counts: Some(rows_document(&orders(rows))),
            ..verdict(day)
        }
    }

    #[test]
    fn one_that_nobody_has_proven_is_held_against_the_newest_sound_one_before_it() {
        let known = [proven(1, 900), proven(2, 1000), proven(4, 5)];
        let ranked = |known: &[Verdict]| rank(vec![backup(3)], known, now()).swap_remove(0);
        let new = ranked(&known);
        let why = new.fallen(&orders(7), &known, 0.2).expect("it fell");
        assert!(why.contains("public.orders fell from 1000 to 7 rows"), "{why}");
        assert_eq!(new.fallen(&orders(950), &known, 0.2), None);
        assert_eq!(new.fallen(&orders(7), &known[2..], 0.2), None, "there is none before it");
        let unread = Verdict { rung: Rung::Readable, ..proven(2, 1000) };
        assert_eq!(new.fallen(&orders(7), &[unread], 0.2), None, "it may not come back");
        let listed =
            Verdict { accepted_by: Some("eve".into()), suspicious: Some("it fell".into()), ..verdict(3) };
        assert_eq!(ranked(&[listed]).fallen(&orders(7), &known, 0.2), None, "it was meant");
    }

    #[test]
    fn one_that_fell_comes_after_all_that_did_not_and_before_what_was_refused() {
        let mut ranked = rank(vec![backup(3), backup(2), backup(1)], &[refused(1)], now());
        let mut newest = ranked.remove(0);
        assert!(newest.is_better_than(&ranked[0]));
        newest.doubt("orders fell".into());
        assert!(ranked[0].is_better_than(&newest) && newest.is_better_than(&ranked[1]));
        assert_eq!(newest.suspicion(), Some("orders fell"));
    }

    #[test]
    fn a_refusal_of_long_ago_or_of_other_bytes_is_forgotten() {
        let old = Verdict { checked_at: now() - TimeDelta::days(8), ..refused(2) };
        assert_eq!(order(&[1, 2], &[old]), ["day 2", "day 1"]);
        let other = Verdict { size_bytes: Some(11), ..refused(2) };
        assert_eq!(order(&[1, 2], &[other]), ["day 2", "day 1"]);
        let trouble = Verdict { settled: false, refused: None, trouble: Some("line".into()), ..verdict(2) };
        assert_eq!(order(&[1, 2], &[trouble]), ["day 2", "day 1"], "our own trouble says nothing of it");
    }

    #[test]
    fn a_fault_that_was_seen_in_a_restore_is_not_forgotten() {
        let fault =
            Verdict { rung: Rung::Readable, refused: Some("restore-incomplete".into()), ..refused(2) };
        let old = Verdict { checked_at: now() - TimeDelta::days(400), ..fault.clone() };
        assert_eq!(order(&[1, 2], &[old]), ["day 1", "day 2"]);
        let ahead = Verdict { checked_at: now() + TimeDelta::days(1500), ..refused(2) };
        assert_eq!(order(&[1, 2], &[ahead]), ["day 2", "day 1"], "nobody has looked in a time to come");
        let climbed = Verdict { refused: None, rung: Rung::Asserted, ..fault };
        assert_eq!(order(&[1, 2], &[climbed]), ["day 2", "day 1"], "a new look said otherwise");
    }

    #[test]
    fn a_dump_that_changed_since_it_was_seen_is_another_one() {
        let seen = Verdict { dump_sha256: Some("AB".into()), ..verdict(1) };
        let candidate = rank(vec![backup(1)], &[seen], now()).swap_remove(0);
        assert!(candidate.is_the_same("ab") && !candidate.is_the_same("cd"));
        assert!(rank(vec![backup(1)], &[], now())[0].is_the_same("anything"));
    }
}
