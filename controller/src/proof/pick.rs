//! Which backup is taken up next. Pure.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use super::policy::{LONGEST_REST, Policy};
use crate::store::{Rung, Verdict};

/// Why a backup is taken up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// It is not known how far it gets.
    New,
    /// It failed the plan's questions, and these are others now.
    Corrected,
    /// It was refused once, which may have been the platform's bad hour.
    Doubt,
    /// It was proven long ago, and backups rot.
    Sample,
    /// A run of the archive was completed since, which its rows were never held against.
    Archived,
    /// Somebody asked for it.
    Asked,
}

/// The next one of `rows` (newest first) that is due and was not `tried` in this run. `asked` is the fingerprint of the plan's questions of
/// now; `draw` draws one of so many.
pub(super) fn next<'a>(
    rows: &'a [Verdict],
    now: DateTime<Utc>,
    policy: &Policy,
    asked: &str,
    tried: &BTreeSet<String>,
    draw: impl FnOnce(usize) -> usize,
) -> Option<(&'a Verdict, Why)> {
    let open: Vec<&Verdict> =
        present(rows).filter(|row| !tried.contains(&row.backup)).filter(|row| rested(row, now)).collect();
    if let Some(new) = open.iter().find(|row| !row.settled) {
        return Some((new, Why::New));
    }
    if let Some(corrected) = open.iter().find(|row| failed_others(row, asked)) {
        return Some((corrected, Why::Corrected));
    }
    let long_since = |row: &Verdict| row.checked_at + policy.doubt <= now || row.checked_at > now;
    let doubtful = |row: &&&Verdict| row.refused.is_some() && row.climbs < 2 && long_since(row);
    if let Some(doubtful) = open.iter().find(doubtful) {
        return Some((doubtful, Why::Doubt));
    }
    sample(rows, &open, now, policy, draw).map(|row| (row, Why::Sample))
}

/// The newest good backup, if the archive's newest sound run was `completed` since it was looked at: a recovery
/// would choose among runs of which one was never held against its rows. `compared` tells which were.
pub(super) fn overtaken<'a>(
    rows: &'a [Verdict],
    completed: Option<(&str, DateTime<Utc>)>,
    now: DateTime<Utc>,
    compared: impl Fn(&str) -> bool,
) -> Option<&'a Verdict> {
    let good = good(rows)?;
    let (run, at) = completed?;
    (at > good.checked_at && rested(good, now) && !compared(run)).then_some(good)
}

/// What comes first: one that is new, and newer than the good one that was overtaken; then that one; then all else.
pub(super) fn sooner<'a>(
    next: Option<(&'a Verdict, Why)>,
    overtaken: Option<&'a Verdict>,
) -> Option<(&'a Verdict, Why)> {
    let newer = |good: &Verdict| next.filter(|(row, why)| *why == Why::New && row.taken_at > good.taken_at);
    overtaken.map_or(next, |good| newer(good).or(Some((good, Why::Archived))))
}

/// The newest that is proven, and above suspicion.
pub(super) fn good(rows: &[Verdict]) -> Option<&Verdict> {
    present(rows).find(|row| row.rung == Rung::Asserted && row.refused.is_none())
}

/// Whether a run that has taken up so many may end before all is done.
pub(super) fn enough(rows: &[Verdict], tried: usize, policy: &Policy) -> bool {
    let good = present(rows).any(|row| row.sound && row.refused.is_none());
    tried >= policy.most || (tried >= policy.per_run && good)
}

/// The backups that are due and were not tried.
pub(super) fn left(rows: &[Verdict], now: DateTime<Utc>, asked: &str, tried: &BTreeSet<String>) -> usize {
    let due = |row: &&Verdict| (!row.settled || failed_others(row, asked)) && rested(row, now);
    present(rows).filter(due).filter(|row| !tried.contains(&row.backup)).count()
}

/// Whether it failed other questions than those that are `asked` now, or such as could not be asked. Which ones a refusal was for is not
/// known of every old one.
fn failed_others(row: &Verdict, asked: &str) -> bool {
    let others = row.questions_sha256.as_deref() != Some(asked);
    let unproven = row.refused.is_none() && !row.sound && row.questions_sha256.is_some();
    row.settled && others && (unproven || row.refused.as_deref() == Some("check-failed"))
}

/// Whether it may be tried again. Nothing rests beyond the longest rest: what says so was dated by a clock that was ahead.
fn rested(row: &Verdict, now: DateTime<Utc>) -> bool {
    row.retry_at.is_none_or(|at| at <= now || at > now + LONGEST_REST)
}

/// The database's backups that the platform lists.
pub(super) fn present(rows: &[Verdict]) -> impl Iterator<Item = &Verdict> {
    rows.iter().filter(|row| row.kind == "database" && row.gone_at.is_none())
}

/// Whether another backup than `known` has answered the questions as it should: what they ask for was there then.
pub(super) fn answered(rows: &[Verdict], known: &Verdict, asked: &str) -> bool {
    let others = rows.iter().filter(|row| row.kind == "database" && row.backup != known.backup);
    others.filter(|row| row.sound).any(|row| row.questions_sha256.as_deref() == Some(asked))
}

/// How the message begins of a backup whose bytes answered the questions once, and not when they were asked again ([`Halt::Unsteady`]).
///
/// [`Halt::Unsteady`]: crate::backup::ladder::Halt::Unsteady
const HELD: &str = "the plan's checks held for these very bytes before";

/// Whether the very bytes of `known` have answered the questions as they should. That they are the same is seen before any is asked.
pub(super) fn held(known: &Verdict, asked: &str) -> bool {
    let once = known.sound || known.message.as_deref().is_some_and(|message| message.starts_with(HELD));
    once && known.refused.is_none()
        && known.questions_sha256.as_deref() == Some(asked)
        && known.dump_sha256.is_some()
}

/// One that was not looked at for long, unless another one was looked at again lately.
fn sample<'a>(
    rows: &'a [Verdict],
    open: &[&'a Verdict],
    now: DateTime<Utc>,
    policy: &Policy,
    draw: impl FnOnce(usize) -> usize,
) -> Option<&'a Verdict> {
    let long_ago = now - policy.sample_every;
    // One that was looked at in a time to come was looked at by a clock that was ahead.
    let fresh = |row: &Verdict| row.checked_at > long_ago && row.checked_at <= now;
    let lately = present(rows).any(|row| row.climbs > 1 && fresh(row));
    let old: Vec<&&Verdict> = open.iter().filter(|row| !fresh(row)).collect();
    if lately || old.is_empty() {
        return None;
    }
    old.get(draw(old.len())).map(|row| **row)
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use reprise_crds::plan::ProofSpec;

    use super::*;

    fn now() -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::days(100)
    }

    fn policy() -> Policy {
        Policy::of(&ProofSpec::default())
    }

    fn row(backup: &str) -> Verdict {
        Verdict { kind: "database".into(), backup: backup.into(), checked_at: now(), ..Verdict::default() }
    }

    fn proven(backup: &str, hours: i64) -> Verdict {
        let checked_at = now() - TimeDelta::hours(hours);
        Verdict { settled: true, sound: true, rung: Rung::Asserted, climbs: 1, checked_at, ..row(backup) }
    }

    fn refused(backup: &str, hours: i64) -> Verdict {
        Verdict {
            sound: false,
            rung: Rung::Listed,
            refused: Some("gzip-cut".into()),
            ..proven(backup, hours)
        }
    }

    fn picked(rows: &[Verdict], tried: &[&str]) -> Option<(String, Why)> {
        let tried = tried.iter().map(|name| (*name).to_owned()).collect();
        next(rows, now(), &policy(), "q", &tried, |_| 0).map(|(row, why)| (row.backup.clone(), why))
    }

    #[test]
    fn what_held_once_has_held_also_when_it_was_told_twice_that_it_does_not() {
        let asked = || Some("q".to_owned());
        let dump_sha256 = Some("d".to_owned());
        let proven = Verdict { sound: true, questions_sha256: asked(), dump_sha256, ..row("a") };
        assert!(held(&proven, "q") && !held(&proven, "other"));
        let message = Some(crate::backup::ladder::Halt::Unsteady(Vec::new()).to_string());
        let told = Verdict { sound: false, message, ..proven.clone() };
        assert!(held(&told, "q"), "{told:?}");
        let refused = Verdict { sound: false, refused: Some("check-failed".to_owned()), ..proven };
        assert!(!held(&refused, "q"));
    }

    #[test]
    fn the_newest_that_is_not_known_comes_first() {
        let rows = [proven("c", 1), row("b"), row("a")];
        assert_eq!(picked(&rows, &[]), Some(("b".into(), Why::New)));
        assert_eq!(picked(&rows, &["b"]), Some(("a".into(), Why::New)));
        assert_eq!(picked(&rows, &["b", "a"]), None);
    }

    #[test]
    fn one_that_is_gone_or_rests_is_left_alone() {
        let gone = Verdict { gone_at: Some(now()), ..row("c") };
        let rests = Verdict { retry_at: Some(now() + TimeDelta::minutes(1)), ..row("b") };
        assert_eq!(picked(&[gone, rests, row("a")], &[]), Some(("a".into(), Why::New)));
    }

    #[test]
    fn a_refusal_is_looked_at_once_more_and_then_believed() {
        assert_eq!(picked(&[refused("a", 0)], &[]), None, "not at once");
        assert_eq!(picked(&[refused("a", 2)], &[]), Some(("a".into(), Why::Doubt)));
        assert_eq!(picked(&[Verdict { climbs: 2, ..refused("a", 2) }], &[]), None);
    }

    #[test]
    fn what_failed_other_questions_is_asked_those_of_now() {
        let failed = |asked: Option<&str>| Verdict {
            refused: Some("check-failed".into()),
            questions_sha256: asked.map(str::to_owned),
            climbs: 2,
            ..refused("a", 0)
        };
        let again = Some(("a".to_owned(), Why::Corrected));
        assert_eq!(picked(&[failed(Some("typo"))], &[]), again);
        assert_eq!(picked(&[failed(None)], &[]), again, "of an earlier release");
        assert_eq!(picked(&[failed(Some("q"))], &[]), None, "they are the same");
        assert_eq!(left(&[failed(Some("typo"))], now(), "q", &BTreeSet::new()), 1);
        let unasked = Verdict { sound: false, questions_sha256: Some("typo".into()), ..proven("a", 0) };
        assert_eq!(picked(&[unasked], &[]), again);
        let proven = Verdict { questions_sha256: Some("typo".into()), ..proven("a", 0) };
        assert_eq!(picked(&[proven, refused("b", 0)], &[]), None, "what was proven stays so");
    }

    #[test]
    fn what_the_questions_found_in_others_or_in_the_same_bytes_is_known() {
        let proven = |backup: &str, asked: &str| Verdict {
            kind: "database".into(),
            backup: backup.into(),
            sound: true,
            dump_sha256: Some("d".into()),
            questions_sha256: Some(asked.into()),
            ..Verdict::default()
        };
        let (a, b) = (proven("a", "q"), proven("b", "typo"));
        let rows = [a.clone(), b.clone()];
        assert!(answered(&rows, &b, "q") && !answered(&rows, &a, "q"));
        assert!(held(&a, "q") && !held(&b, "q") && !held(&Verdict { sound: false, ..a }, "q"));
    }

    #[test]
    fn old_ones_are_drawn_one_a_day() {
        let rows = [proven("c", 30), proven("b", 40), proven("a", 3)];
        assert_eq!(picked(&rows, &[]), Some(("c".into(), Why::Sample)));
        let drawn = next(&rows, now(), &policy(), "q", &BTreeSet::new(), |count| count - 1);
        assert_eq!(drawn.map(|(row, _)| row.backup.as_str()), Some("b"));
        let again = Verdict { climbs: 2, ..proven("d", 1) };
        assert_eq!(picked(&[again, proven("b", 40)], &[]), None, "another was looked at again lately");
    }

    #[test]
    fn what_a_clock_that_was_ahead_has_dated_is_taken_up_again() {
        let years = now() + TimeDelta::days(1500);
        let proven = Verdict { checked_at: years, climbs: 2, ..proven("b", 0) };
        assert_eq!(picked(&[proven.clone(), row("a")], &["a"]), Some(("b".into(), Why::Sample)));
        let refused = Verdict { checked_at: years, ..refused("a", 0) };
        assert_eq!(picked(&[refused], &[]), Some(("a".into(), Why::Doubt)));
        let rests = Verdict { retry_at: Some(years), ..row("a") };
        assert_eq!(picked(std::slice::from_ref(&rests), &[]), Some(("a".into(), Why::New)));
        assert_eq!(left(&[rests], now(), "q", &BTreeSet::new()), 1);
    }

    #[test]
    fn a_run_of_the_archive_that_came_after_the_proof_is_held_against_it() {
        let rows = [refused("c", 1), proven("b", 5), proven("a", 30)];
        let due = |hours, compared: bool| {
            let at = now() - TimeDelta::hours(hours);
            overtaken(&rows, Some(("run", at)), now(), |_| compared).map(|row| row.backup.as_str())
        };
        assert_eq!(due(4, false), Some("b"), "the newest good one");
        assert_eq!(due(4, true), None);
        assert_eq!(due(6, false), None, "what could not be compared then is not tried for ever");
        assert_eq!(overtaken(&rows, None, now(), |_| false), None);
        let suspicious = Verdict { rung: Rung::Restored, ..proven("b", 5) };
        let at = now() - TimeDelta::hours(4);
        let rows = [suspicious, proven("a", 30)];
        let found = overtaken(&rows, Some(("run", at)), now(), |_| false);
        assert_eq!(found.map(|row| row.backup.as_str()), Some("a"), "a recovery would take that one");
    }

    #[test]
    fn the_good_one_that_was_overtaken_waits_for_newer_ones_alone() {
        let of = |backup, days| Verdict {
            taken_at: Some(DateTime::UNIX_EPOCH + TimeDelta::days(days)),
            ..proven(backup, 5)
        };
        let (newer, good, older) = (of("c", 3), of("b", 2), of("a", 1));
        let first = |next, good| sooner(next, good).map(|(row, why)| (row.backup.as_str(), why));
        assert_eq!(first(Some((&newer, Why::New)), Some(&good)), Some(("c", Why::New)));
        assert_eq!(first(Some((&older, Why::New)), Some(&good)), Some(("b", Why::Archived)));
        assert_eq!(first(Some((&newer, Why::Sample)), Some(&good)), Some(("b", Why::Archived)));
        assert_eq!(first(Some((&older, Why::New)), None), Some(("a", Why::New)));
        assert_eq!(first(None, None), None);
    }

    #[test]
    fn a_run_goes_on_until_a_good_one_is_found_but_not_for_ever() {
        let bad = [refused("c", 0), refused("b", 0), row("a")];
        assert!(!enough(&bad, 3, &policy()));
        assert!(enough(&bad, 20, &policy()));
        let good = [refused("c", 0), proven("b", 0), row("a")];
        assert!(!enough(&good, 2, &policy()));
        assert!(enough(&good, 3, &policy()));
        assert_eq!(left(&good, now(), "q", &BTreeSet::new()), 1);
    }
}
