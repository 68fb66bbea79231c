//! What a climb says of a backup. Pure.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::backup::ladder::{Climb, Halt, Recorded, Seal, rows_document, rows_of};
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
    pub at: DateTime<Utc>,
    pub by: &'a str,
}

/// What a climb is held against: the digest of the dump as it was first seen. Suspicion is reckoned apart, over all backups.
pub(super) fn recorded(known: &Verdict) -> Recorded {
    let download_sha256 = if known.dump_sha256.is_none() { known.sha256.clone() } else { None };
    Recorded { download_sha256, dump_sha256: known.dump_sha256.clone(), ..Recorded::default() }
}

/// The verdict on a backup that was `known` so far.
pub(super) fn learnt(known: &Verdict, climb: &Climb, look: &Look<'_>) -> Learnt {
    if !climb.is_conclusive() {
        return Learnt::Nothing(trouble(climb));
    }
    let sealed = sealed(climb);
    let sound = climb.halt.is_none() && sealed;
    let blamed = climb.halt.as_ref().filter(|halt| halt.blames_backup());
    let message = match (&climb.halt, sealed) {
        (Some(halt), _) => Some(Chain(halt).to_string()),
        (None, false) => Some(Halt::Unsealed.to_string()),
        (None, true) => None,
    };
    let received = climb.received.as_ref();
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
        reached: Some(reached(climb)),
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

fn trouble(climb: &Climb) -> String {
    let why = climb.halt.as_ref().map(|halt| Chain(halt).to_string()).unwrap_or_default();
    if climb.unoffered.is_empty() {
        return why;
    }
    format!(
        "this machine's PostgreSQL does not offer the extension{} {}, so the restore could not be judged: {why}",
        if climb.unoffered.len() == 1 { "" } else { "s" },
        climb.unoffered.join(", ")
    )
}
