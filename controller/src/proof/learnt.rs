//! What a climb says of a backup. Pure.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::backup::accounting::Rule;
use crate::backup::ladder::{Climb, Halt, Recorded, Seal, rows_document, rows_of, rows_of_document};
use crate::backup::toc::Toc;
use crate::runtime::chain::Chain;
use crate::store::{Rung, Verdict};

/// What a climb says of a backup.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Learnt {
    /// This is what it is.
    Fact(Box<Verdict>),
    /// Nothing, for this reason: a fault of ours or of the line.
    Nothing(String),
}

/// By whom, with what, and when it was looked at.
#[derive(Debug, Clone)]
pub(super) struct Look<'a> {
    pub tools: &'a Value,
    /// Host and port of the server, where the plan names it.
    pub server: Option<&'a str>,
    pub at: DateTime<Utc>,
    pub by: &'a str,
    /// The fingerprint of the plan's questions.
    pub asked: &'a str,
}

/// What a climb is held against: the digest of the dump as it was first seen. Where that was not kept, its rows: beside a digest
/// they say nothing more, and a release that counts otherwise would blame a backup that has not changed. Suspicion is reckoned
/// apart, over all backups.
pub(super) fn recorded(known: &Verdict) -> Recorded {
    let undigested = known.dump_sha256.is_none();
    Recorded {
        download_sha256: known.sha256.clone().filter(|_| undigested),
        dump_sha256: known.dump_sha256.clone(),
        rows: known.counts.as_ref().filter(|_| undigested).and_then(rows_of_document),
    }
}

/// The versions of what a climb was made with, and of what it was dumped from and with.
pub(super) fn versions(climb: &Climb, restorer: &str, server: Option<&str>) -> Value {
    let mut versions = json!({ "pg_restore": restorer });
    if let Some(server) = server {
        versions["server"] = json!(server);
    }
    if let Some(toc) = &climb.toc {
        versions["dumpedFrom"] = json!(toc.server_version);
        versions["pg_dump"] = json!(toc.dump_version);
    }
    versions
}

/// The verdict on a backup that was `known` so far.
pub(super) fn learnt(known: &Verdict, climb: &Climb, look: &Look<'_>) -> Learnt {
    if !climb.is_conclusive() {
        return Learnt::Nothing(trouble(climb, look.server));
    }
    let sealed = sealed(climb);
    let sound = climb.halt.is_none() && sealed;
    let blamed = climb.halt.as_ref().filter(|halt| halt.blames_backup());
    let message = match (&climb.halt, sealed) {
        (Some(halt), _) => Some(Chain(halt).to_string()),
        (None, false) => Some(Halt::Unsealed.to_string()),
        (None, true) => None,
    };
    // What could not be read to its end may have been the platform's bad hour: it is no measure for what is served later.
    let received = climb.received.as_ref().filter(|_| climb.rung >= Rung::Readable);
    // A digest stays the one of the first look: what has changed since stays changed.
    let first = |known: &Option<String>, now: Option<&String>| known.clone().or_else(|| now.cloned());
    Learnt::Fact(Box::new(Verdict {
        rung: if climb.rung == Rung::Asserted && !sealed { Rung::Restored } else { climb.rung },
        refused: blamed.map(|halt| halt.reason().to_owned()),
        message,
        sha256: first(&known.sha256, received.map(|received| &received.download_sha256)),
        dump_sha256: first(&known.dump_sha256, received.map(|received| &received.dump_sha256)),
        tools: look.tools.clone(),
        checked_at: look.at,
        checked_by: Some(look.by.to_owned()),
        settled: true,
        sound,
        proven_at: sound.then_some(look.at),
        counts: climb.counts.as_ref().map(|counts| rows_document(&rows_of(counts))),
        schema_sha256: climb.counts.as_ref().map(|counts| counts.schema_sha256.clone()),
        extensions: climb.toc.as_ref().map(extensions),
        reached: Some(reached(climb)),
        checks: checks(climb, look),
        questions_sha256: climb.asked.then(|| look.asked.to_owned()),
        ..known.clone()
    }))
}

/// Whether something vouches for the bytes beside a digest that we took of them ourselves, after whatever had happened.
fn sealed(climb: &Climb) -> bool {
    let (Some(received), Some(toc)) = (&climb.received, &climb.toc) else { return false };
    Seal::of(received, toc, &Recorded::default()).is_some()
}

fn reached(climb: &Climb) -> Value {
    let seconds =
        climb.reached.iter().map(|(rung, took)| (rung.name().to_owned(), json!(took.as_secs_f64())));
    Value::Object(seconds.collect())
}

/// What the dump needs of any server that it is restored on.
fn extensions(toc: &Toc) -> Vec<String> {
    toc.of_kind("EXTENSION").map(|entry| entry.name.clone()).collect()
}

/// A sentence each about what was looked at.
fn checks(climb: &Climb, look: &Look<'_>) -> Option<Value> {
    let structure = climb.structure.as_ref().map(|seen| ("structure".to_owned(), json!(seen.to_string())));
    let migrations = climb.migrations.as_ref().map(|seen| ("migrations".to_owned(), json!(seen.to_string())));
    let server = climb.server.filter(|majors| majors.differ());
    let server = server.map(|majors| ("server".to_owned(), json!(majors.to_string())));
    let restored = look.server.filter(|_| climb.rung >= Rung::Restored);
    let place = restored.map(|at| {
        let version = look.tools["server"].as_str().unwrap_or_default();
        (
            "place".to_owned(),
            json!(format!("restored on {at}, the server that the plan names, PostgreSQL {version}")),
        )
    });
    // A server of ours is given the roles; a recovery leaves such policies out as well.
    let left_out =
        climb.account.as_ref().and_then(|account| account.benign().get(&Rule::RoleMissing).copied());
    let roles = restored.and(left_out).map(|entries| {
        let told =
            format!("{entries} entries of policies were left out, whose roles that server does not have");
        ("roles".to_owned(), json!(told))
    });
    let looked: serde_json::Map<String, Value> =
        structure.into_iter().chain(migrations).chain(server).chain(place).chain(roles).collect();
    (!looked.is_empty()).then_some(Value::Object(looked))
}

fn trouble(climb: &Climb, server: Option<&str>) -> String {
    let why = climb.halt.as_ref().map(|halt| Chain(halt).to_string()).unwrap_or_default();
    if climb.unoffered.is_empty() {
        return why;
    }
    let lacking = climb.unoffered.join(", ");
    let whose = match server {
        Some(at) => format!("the server that the plan names ({at}), or its user,"),
        None => "this machine's PostgreSQL".to_owned(),
    };
    format!("{whose} does not offer {lacking}, so the restore could not be judged: {why}")
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::backup::Refusal;
    use crate::backup::archive::sniff::DumpHeader;
    use crate::backup::archive::{Packing, Received};
    use crate::backup::checks::{Ahead, DataOutcome, MigrationLevel, Unasked};
    use crate::backup::contents::Counts;
    use crate::backup::ladder::Majors;

    fn now() -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::days(100)
    }

    fn climbed(rung: Rung, halt: Option<Halt>) -> Climb {
        Climb { rung, halt, ..Climb::begin() }
    }

    /// Up to the top, `packed` this way.
    fn whole(packing: Packing) -> Climb {
        let header = DumpHeader { version: (1, 14, 0), int_bytes: 4, offset_bytes: 8 };
        let (download_sha256, dump_sha256) = ("d1".to_owned(), "d2".to_owned());
        let (download_bytes, dump_bytes) = (10, 20);
        let received = Received {
            download_bytes,
            download_sha256,
            dump_bytes,
            dump_sha256,
            member: None,
            packing,
            header,
        };
        let text = String::new;
        let toc = Toc {
            database: text(),
            archive_version: text(),
            server_version: text(),
            dump_version: text(),
            compression: "-1".to_owned(),
            created_at: text(),
            entries_total: 0,
            entries: Vec::new(),
        };
        Climb {
            received: Some(received),
            toc: Some(toc),
            counts: Some(Counts::default()),
            ..climbed(Rung::Asserted, None)
        }
    }

    fn of(known: &Verdict, climb: &Climb) -> Learnt {
        let tools = json!({ "server": "16.3" });
        learnt(known, climb, &Look { tools: &tools, server: None, at: now(), by: "test", asked: "q" })
    }

    fn fact(known: &Verdict, climb: &Climb) -> Verdict {
        match of(known, climb) {
            Learnt::Fact(verdict) => *verdict,
            Learnt::Nothing(why) => panic!("nothing was learnt: {why}"),
        }
    }

    #[test]
    fn at_the_top_it_is_proven_with_the_date_and_the_digests() {
        let verdict = fact(&Verdict::default(), &whole(Packing::GzipTar));
        assert_eq!((verdict.rung, verdict.proven_at, verdict.settled), (Rung::Asserted, Some(now()), true));
        assert_eq!((verdict.sha256.as_deref(), verdict.dump_sha256.as_deref()), (Some("d1"), Some("d2")));
        assert_eq!((verdict.refused, verdict.message), (None, None));
    }

    #[test]
    fn a_digest_that_we_took_ourselves_does_not_vouch_for_what_was_before() {
        let known = Verdict { dump_sha256: Some("d2".into()), ..Verdict::default() };
        let verdict = fact(&known, &whole(Packing::Bare));
        assert_eq!((verdict.rung, verdict.sound, verdict.proven_at), (Rung::Restored, false, None));
        assert!(verdict.settled && verdict.refused.is_none(), "nothing is wrong with it that could be seen");
        assert!(verdict.message.is_some_and(|why| why.contains("neither a recorded digest nor checksums")));
    }

    #[test]
    fn rows_are_held_against_those_on_record_where_no_digest_is() {
        let counts = Some(json!([["public", "orders", 7]]));
        let known = Verdict { counts, sha256: Some("d1".into()), ..Verdict::default() };
        let held = recorded(&known);
        let refused = held.check_rows(&Counts::default()).map_err(|refusal| refusal.reason());
        assert_eq!((refused, held.download_sha256.as_deref()), (Err("count-differs"), Some("d1")));
        let held = recorded(&Verdict { dump_sha256: Some("d2".into()), ..known });
        assert_eq!((held.rows, held.download_sha256, held.dump_sha256.as_deref()), (None, None, Some("d2")));
    }

    #[test]
    fn a_fault_of_the_backup_is_a_refusal_and_keeps_the_first_digest() {
        let known = Verdict { sha256: Some("a".into()), dump_sha256: Some("b".into()), ..Verdict::default() };
        let halt = Halt::Refused(Refusal::DigestDiffers { layer: crate::backup::refusal::Layer::Member });
        let climb =
            Climb { received: whole(Packing::GzipTar).received, ..climbed(Rung::Downloaded, Some(halt)) };
        let verdict = fact(&known, &climb);
        assert_eq!((verdict.rung, verdict.refused.as_deref()), (Rung::Downloaded, Some("digest-differs")));
        assert_eq!(verdict.dump_sha256.as_deref(), Some("b"), "or the next look would find nothing");
        assert!(!verdict.sound);
    }

    #[test]
    fn what_could_not_be_read_is_no_measure_for_what_is_served_later() {
        let cut = Halt::Refused(Refusal::DataMissing { entry: "TABLE DATA a".into() });
        let received = whole(Packing::GzipTar).received;
        let climb = Climb { received: received.clone(), ..climbed(Rung::Intact, Some(cut)) };
        let bad_hour = fact(&Verdict::default(), &climb);
        assert_eq!((bad_hour.refused.as_deref(), &bad_hour.dump_sha256), (Some("data-missing"), &None));
        assert_eq!(recorded(&bad_hour), Recorded::default());
        assert_eq!(fact(&bad_hour, &whole(Packing::GzipTar)).dump_sha256.as_deref(), Some("d2"));
        let incomplete = Some(Halt::Incomplete("3 entries".into()));
        let whole_and_refused = Climb { received, ..climbed(Rung::Readable, incomplete) };
        let refused = fact(&Verdict::default(), &whole_and_refused);
        assert_eq!(
            refused.dump_sha256.as_deref(),
            Some("d2"),
            "a lesser look knows it again, and clears nothing"
        );
    }

    #[test]
    fn questions_that_cannot_be_asked_refuse_nothing_and_those_that_the_machine_failed_are_asked_again() {
        let unasked = |unasked| {
            let (found, expected) = ("an error".to_owned(), "a value".to_owned());
            let outcome =
                DataOutcome { name: "a".into(), holds: false, unasked: Some(unasked), found, expected };
            let halt = Some(Halt::Unasked(vec![outcome]));
            Climb { halt, asked: true, rung: Rung::Restored, ..whole(Packing::GzipTar) }
        };
        let verdict = fact(&Verdict::default(), &unasked(Unasked::Question { absent: true }));
        assert_eq!((verdict.rung, verdict.refused, verdict.sound), (Rung::Restored, None, false));
        assert_eq!((verdict.settled, verdict.questions_sha256.as_deref()), (true, Some("q")));
        assert!(verdict.message.is_some_and(|why| why.contains("correct dataChecks")));
        let Learnt::Nothing(_) = of(&Verdict::default(), &unasked(Unasked::Machine)) else {
            panic!("a verdict")
        };
    }

    #[test]
    fn a_fault_of_ours_or_of_the_line_says_nothing_of_the_backup() {
        let line = Refusal::Transfer { at: 5, source: "reset".into() };
        let told = of(&Verdict::default(), &climbed(Rung::Listed, Some(Halt::Refused(line))));
        assert_eq!(told, Learnt::Nothing("the download failed after 5 bytes: reset".into()));
        let lacking = Climb {
            unoffered: vec!["the extension postgis".into()],
            ..climbed(Rung::Readable, Some(Halt::Incomplete("3 entries".into())))
        };
        let Learnt::Nothing(why) = of(&Verdict::default(), &lacking) else { panic!("a verdict") };
        assert!(why.contains("does not offer the extension postgis"), "{why}");
        let whole_and_lacking = climbed(Rung::Readable, Some(Halt::Incomplete("3 entries".into())));
        assert!(fact(&Verdict::default(), &whole_and_lacking).refused.is_some());
    }

    #[test]
    fn a_server_that_the_plan_names_is_told_and_what_it_lacks_says_nothing_of_the_backup() {
        let tools = json!({ "server": "16.3" });
        let look =
            Look { tools: &tools, server: Some("db.example.org:5432"), at: now(), by: "test", asked: "q" };
        let Learnt::Fact(verdict) = learnt(&Verdict::default(), &whole(Packing::GzipTar), &look) else {
            panic!("no verdict")
        };
        let told = verdict.checks.expect("it was told");
        assert_eq!(
            told["place"],
            "restored on db.example.org:5432, the server that the plan names, PostgreSQL 16.3"
        );
        let lacking = Climb {
            unoffered: vec!["the making of the extension \"postgis\"".into()],
            ..climbed(Rung::Readable, Some(Halt::Incomplete("3 entries".into())))
        };
        let Learnt::Nothing(why) = learnt(&Verdict::default(), &lacking, &look) else { panic!("a verdict") };
        assert!(why.contains("(db.example.org:5432)") && why.contains("could not be judged"), "{why}");
    }

    #[test]
    fn a_server_of_another_major_is_told_and_one_too_old_says_nothing_of_the_backup() {
        let tried = |dumped, halt| Climb {
            server: Some(Majors { dumped: Some(dumped), here: 16 }),
            halt,
            ..whole(Packing::GzipTar)
        };
        let told = fact(&Verdict::default(), &tried(15, None)).checks.expect("it was told");
        let sentence = "restored in PostgreSQL 16, and dumped from PostgreSQL 15";
        assert_eq!(told, json!({ "server": sentence }));
        assert_eq!(fact(&Verdict::default(), &tried(16, None)).checks, None);
        let older = tried(17, Some(Halt::ServerOlder { dumped: 17, here: 16 }));
        let Learnt::Nothing(why) = of(&Verdict::default(), &older) else { panic!("a verdict") };
        assert!(why.ends_with("install the package postgresql-17"), "{why}");
    }

    #[test]
    fn a_verdict_holds_the_versions_of_all_that_took_part() {
        let mut climb = whole(Packing::GzipTar);
        if let Some(toc) = &mut climb.toc {
            (toc.server_version, toc.dump_version) = ("15.4".to_owned(), "16.2".to_owned());
        }
        let all = json!({ "pg_restore": "16.1", "server": "15.18", "dumpedFrom": "15.4", "pg_dump": "16.2" });
        assert_eq!(versions(&climb, "16.1", Some("15.18")), all);
    }

    #[test]
    fn code_that_is_too_old_is_no_fault_of_the_backup_and_proves_nothing() {
        let ahead = Ahead {
            app: "shop".into(),
            label: "orders".into(),
            migration: "0002_more".into(),
            newest: "0001_initial".into(),
        };
        let migrations = MigrationLevel::Compared {
            judged: 1,
            ahead: vec![ahead.clone()],
            unknown: vec![],
            foreign: vec![],
            kept: std::collections::BTreeMap::new(),
        };
        let halt = Some(Halt::Ahead(vec![ahead]));
        let climb =
            Climb { rung: Rung::Restored, halt, migrations: Some(migrations), ..whole(Packing::GzipTar) };
        let verdict = fact(&Verdict::default(), &climb);
        assert_eq!((verdict.rung, verdict.refused, verdict.sound), (Rung::Restored, None, false));
        assert!(verdict.settled && verdict.message.is_some_and(|why| why.contains("orders 0002_more")));
        let told = verdict.checks.expect("it was looked at");
        assert!(told["migrations"].as_str().is_some_and(|told| told.contains("ahead")), "{told}");
    }

    #[test]
    fn what_it_is_held_against_is_the_dump_as_it_was_first_seen() {
        let known = Verdict { sha256: Some("a".into()), ..Verdict::default() };
        assert_eq!(recorded(&known).download_sha256.as_deref(), Some("a"));
        let known = Verdict { dump_sha256: Some("b".into()), ..known };
        assert_eq!(recorded(&known).download_sha256, None, "the platform may pack it anew");
        assert_eq!(recorded(&known).dump_sha256.as_deref(), Some("b"));
    }
}
