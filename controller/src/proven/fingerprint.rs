//! What a drill has proven something about, and what is different today. No I/O, no clock.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use reprise_crds::RecoveryPlanSpec;
use serde::Deserialize;

use crate::recovery::grounds::Grounds;
use crate::recovery::outputs::{ChosenBackup, ConfiguredApp, Outputs};
use crate::recovery::rehearsal;
use crate::recovery::step::Step;
use crate::recovery::tools::PROGRAMS;
use crate::runtime::clock::SKEW;
use crate::store::{RequestRow, StepRow};
use reprise_crds::Phase;

/// A proof outlives so long without a look at all that it stands on.
const BLIND: TimeDelta = TimeDelta::days(1);

/// All that a change of which ends a proof. What is not known is not compared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Fingerprint {
    pub grounds: Grounds,
    /// The commit of each app, by the plan's names.
    pub code: BTreeMap<String, String>,
    /// Digest of the database's schema.
    pub schema: Option<String>,
    /// A digest of what each app keeps of its variables.
    pub kept: BTreeMap<String, String>,
}

/// What a plan's proof comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Standing {
    /// `None`: what it stands on could not be compared for too long.
    pub proven: Option<bool>,
    /// Whether all that it stands on was compared and found the same.
    pub compared: bool,
    /// One word, `PascalCase`.
    pub reason: &'static str,
    pub message: String,
}

#[derive(Deserialize)]
struct Before {
    #[serde(default)]
    kept: BTreeMap<String, String>,
}

impl Fingerprint {
    /// Of what the drill found and used; `None` where its records do not tell.
    pub(super) fn of_drill(drill: &RequestRow, plan: &RecoveryPlanSpec, steps: &[StepRow]) -> Option<Self> {
        let outputs = Outputs::read(steps);
        let before: Before = outputs.find(&Step::Inventory).ok().flatten()?;
        let chosen: ChosenBackup = outputs.find(&Step::ChooseBackup).ok().flatten()?;
        let rehearsed = rehearsal::rehearsed(plan, &rehearsal::suffix(&drill.name, drill.created_at));
        let commit = |drilled: &str| {
            let app: ConfiguredApp = outputs.find(&Step::Variables(drilled.to_owned())).ok().flatten()?;
            Some(app.commit)
        };
        let apps = plan.apps.iter().zip(&rehearsed.apps);
        let code = apps.filter_map(|(app, drilled)| Some((app.name.clone(), commit(&drilled.name)?)));
        let (code, kept) = (code.collect(), before.kept);
        Some(Self { grounds: Grounds::of_drill(&outputs)?, code, schema: chosen.schema_sha256, kept })
    }

    /// What is different today, in words.
    fn changes(&self, today: &Self) -> Vec<String> {
        let mut told = Vec::new();
        let mut unless = |same: bool, what: &str| told.extend((!same).then(|| what.to_owned()));
        unless(self.grounds.plan == today.grounds.plan, "the plan");
        unless(self.grounds.secrets == today.grounds.secrets, "a secret or token");
        for (tool, version) in &today.grounds.tools {
            let same = self.grounds.tools.get(tool).is_none_or(|then| then == version);
            unless(same, &format!("{tool} (now {version})"));
        }
        for (which, print) in &today.grounds.ssh {
            let same = self.grounds.ssh.get(which).is_none_or(|then| then == print);
            unless(same, &format!("the SSH {which}"));
        }
        for (app, commit) in &today.code {
            let short = &commit[..commit.len().min(12)];
            unless(self.code.get(app) == Some(commit), &format!("the code of {app} (now {short})"));
        }
        for (app, digest) in &today.kept {
            let same = self.kept.get(app).is_none_or(|then| then == digest);
            unless(same, &format!("a kept variable of {app}"));
        }
        let schemas = self.schema.as_ref().zip(today.schema.as_ref());
        unless(schemas.is_none_or(|(then, now)| then == now), "the database's schema");
        told
    }

    /// What the drill stood on and nobody can tell of today, in words.
    fn unknown(&self, today: &Self) -> Vec<String> {
        let code = self.code.keys().filter(|app| !today.code.contains_key(*app));
        let mut told: Vec<String> = code.map(|app| format!("the code of {app}")).collect();
        let kept = self.kept.keys().filter(|app| !today.kept.contains_key(*app));
        told.extend(kept.map(|app| format!("the kept variables of {app}")));
        // What only another release asks for is not missed by this one.
        let missed =
            |tool: &&String| PROGRAMS.contains(&tool.as_str()) && !today.grounds.tools.contains_key(*tool);
        told.extend(self.grounds.tools.keys().filter(missed).map(|tool| format!("the version of {tool}")));
        if self.schema.is_some() && today.schema.is_none() {
            told.push("the database's schema".to_owned());
        }
        told
    }
}

/// What the last drill that ended proves; `drilled` is its fingerprint, `compared` when all of that was last seen to be the same.
pub(super) fn standing(
    last: Option<&RequestRow>,
    drilled: Option<&Fingerprint>,
    today: &Fingerprint,
    compared: Option<DateTime<Utc>>,
    limit: TimeDelta,
    now: DateTime<Utc>,
) -> Standing {
    let not = |reason, message: String| Standing { proven: Some(false), compared: false, reason, message };
    let Some((drill, ended)) = last.and_then(|drill| Some((drill, drill.finished_at?))) else {
        return not("NeverDrilled", "no drill has ended yet".to_owned());
    };
    let (name, date) = (&drill.name, ended.format("%Y-%m-%dT%H:%M:%SZ"));
    if drill.phase != Phase::Succeeded {
        return not("DrillFailed", format!("the last drill, {name} of {date}, failed"));
    }
    let Some(drilled) = drilled else {
        return not("Unreadable", format!("the records of the drill {name} do not say what it stood on"));
    };
    let changes = drilled.changes(today);
    if !changes.is_empty() {
        return not("Changed", format!("changed since the drill {name} of {date}: {}", changes.join(", ")));
    }
    if ended - now > SKEW {
        return not("ClockWrong", format!("the last drill, {name}, ended at {date}, which is still to come"));
    }
    if now - ended > limit {
        let days = limit.num_days();
        return not("TooOld", format!("the last drill, {name} of {date}, is older than {days} days"));
    }
    let message = format!("the drill {name} of {date} reached dns-ok, and nothing has changed since");
    let unknown = drilled.unknown(today);
    if unknown.is_empty() {
        return Standing { proven: Some(true), compared: true, reason: "Drilled", message };
    }
    let unknown = format!("{} could not be compared", unknown.join(", "));
    // What a clock that was ahead has dated says nothing.
    let last = compared.filter(|at| *at - now <= SKEW).unwrap_or(ended).max(ended);
    if now - last > BLIND {
        let last = last.format("%Y-%m-%dT%H:%M:%SZ");
        let message =
            format!("{unknown} since {last}, so nobody can tell what the drill {name} proves today");
        return Standing { proven: None, compared: false, reason: "NotCompared", message };
    }
    let message = format!("{message}, as far as can be told: {unknown}");
    Standing { proven: Some(true), compared: false, reason: "Drilled", message }
}

#[cfg(test)]
mod tests {
    use reprise_crds::Milestone;

    use super::*;
    use crate::recovery::evidence::tests::request;

    fn fingerprint() -> Fingerprint {
        Fingerprint {
            grounds: Grounds {
                plan: "p1".into(),
                secrets: "s1".into(),
                tools: BTreeMap::from([("pg_restore".into(), "15.1".into()), ("git".into(), "2.39".into())]),
                ssh: BTreeMap::from([("key".into(), "SHA256:a".into())]),
            },
            code: BTreeMap::from([("shop".into(), "c1".into())]),
            schema: Some("d1".into()),
            kept: BTreeMap::from([("shop".into(), "k1".into())]),
        }
    }

    fn seen(phase: Phase, today: &Fingerprint, days: i64) -> Standing {
        let drill = request(Milestone::DnsOk, phase);
        let now = drill.finished_at.unwrap() + TimeDelta::days(days);
        standing(Some(&drill), Some(&fingerprint()), today, None, TimeDelta::days(9), now)
    }

    #[test]
    fn a_drill_proves_until_it_is_too_old() {
        assert_eq!(seen(Phase::Succeeded, &fingerprint(), 9).proven, Some(true));
        assert_eq!(seen(Phase::Succeeded, &fingerprint(), 10).reason, "TooOld");
        assert_eq!(seen(Phase::Failed, &fingerprint(), 0).reason, "DrillFailed");
        assert!(seen(Phase::Succeeded, &fingerprint(), 0).compared);
        let ahead = seen(Phase::Succeeded, &fingerprint(), -1500);
        assert_eq!((ahead.proven, ahead.reason), (Some(false), "ClockWrong"), "it ended in a time to come");
        let never = standing(None, None, &fingerprint(), None, TimeDelta::days(9), DateTime::UNIX_EPOCH);
        assert_eq!((never.proven, never.reason), (Some(false), "NeverDrilled"));
    }

    #[test]
    fn what_cannot_be_compared_is_not_said_to_be_the_same() {
        let today = Fingerprint { code: BTreeMap::new(), schema: None, ..fingerprint() };
        let told = seen(Phase::Succeeded, &today, 0);
        assert_eq!((told.proven, told.compared), (Some(true), false));
        assert!(
            told.message.contains("the code of shop, the database's schema could not be compared"),
            "{}",
            told.message
        );
        assert!(!seen(Phase::Succeeded, &fingerprint(), 0).message.contains("could not"));
    }

    #[test]
    fn a_tool_that_is_gone_is_not_said_to_be_the_same() {
        let mut today = fingerprint();
        today.grounds.tools.remove("pg_restore");
        let told = seen(Phase::Succeeded, &today, 0);
        assert_eq!(
            (told.proven, told.compared),
            (Some(true), false),
            "it may come back with the same version"
        );
        assert!(told.message.contains("the version of pg_restore could not be compared"), "{}", told.message);
        assert_eq!(seen(Phase::Succeeded, &today, 2).reason, "NotCompared");
        let mut drilled = fingerprint();
        drilled.grounds.tools.insert("ftp".into(), "1".into());
        assert_eq!(drilled.unknown(&fingerprint()), [""; 0], "another release asked for it");
    }

    #[test]
    fn every_change_ends_it_and_is_named() {
        type Change = fn(&mut Fingerprint);
        let changes: [(Change, &str); 8] = [
            (|f| f.grounds.plan = "p2".into(), "the plan"),
            (|f| f.grounds.secrets = "s2".into(), "a secret or token"),
            (
                |f| f.grounds.tools = BTreeMap::from([("pg_restore".into(), "16".into())]),
                "pg_restore (now 16)",
            ),
            (|f| drop(f.grounds.tools.insert("git".into(), "2.40".into())), "git (now 2.40)"),
            (|f| f.kept = BTreeMap::from([("shop".into(), "k2".into())]), "a kept variable of shop"),
            (|f| f.code = BTreeMap::from([("shop".into(), "c2".into())]), "the code of shop (now c2)"),
            (|f| f.schema = Some("d2".into()), "the database's schema"),
            (|f| f.grounds.ssh = BTreeMap::from([("key".into(), "SHA256:b".into())]), "the SSH key"),
        ];
        for (change, told) in changes {
            let mut today = fingerprint();
            change(&mut today);
            let found = seen(Phase::Succeeded, &today, 1);
            assert_eq!((found.proven, found.reason), (Some(false), "Changed"));
            assert!(found.message.ends_with(&format!(": {told}")), "{}", found.message);
        }
    }

    #[test]
    fn what_cannot_be_looked_at_today_ends_nothing_for_a_day_and_is_not_known_after_it() {
        let blind = Fingerprint { code: BTreeMap::new(), ..fingerprint() };
        assert_eq!(seen(Phase::Succeeded, &blind, 1).proven, Some(true));
        let told = seen(Phase::Succeeded, &blind, 2);
        assert_eq!((told.proven, told.reason), (None, "NotCompared"));
        assert!(
            told.message.starts_with("the code of shop could not be compared since "),
            "{}",
            told.message
        );

        let drill = request(Milestone::DnsOk, Phase::Succeeded);
        let now = drill.finished_at.unwrap() + TimeDelta::days(5);
        let after = |compared| {
            standing(Some(&drill), Some(&fingerprint()), &blind, Some(compared), TimeDelta::days(9), now)
                .proven
        };
        assert_eq!(after(now - TimeDelta::hours(23)), Some(true), "it was seen yesterday");
        assert_eq!(after(now - TimeDelta::hours(25)), None);
        assert_eq!(after(now + TimeDelta::days(1500)), None, "by a clock that was ahead");
    }

    #[test]
    fn what_an_earlier_release_did_not_keep_is_no_change() {
        let mut drilled = fingerprint();
        drilled.grounds.ssh.clear();
        drilled.grounds.tools.remove("git");
        drilled.kept.clear();
        assert!(drilled.changes(&fingerprint()).is_empty());
    }
}
