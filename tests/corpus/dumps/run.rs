//! A case through the very code that judges backups, and whether it came as far as it may.

use std::time::Duration;

use bytes::Bytes;
use chrono::DateTime;
use futures::stream;
use reprise::backup::archive::Expect;
use reprise::backup::checks::Code;
use reprise::backup::ladder::{Climb, Halt, Rows, Scratch, climb, rows_document, rows_of};
use reprise::backup::restore::Target;
use reprise::proof::suspicions;
use reprise::runtime::chain::Chain;
use reprise::store::{self, Rung};
use tokio_util::sync::CancellationToken;

use crate::case::Case;
use crate::lab::Lab;

/// How a case ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) rung: Rung,
    pub(crate) reason: &'static str,
    pub(crate) sentence: String,
    pub(crate) verdict: Verdict,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Right,
    FalseSuccess,
    FalseFailure,
    WrongReason,
    /// A file was left, or the backup was blamed for a fault that is not its own, or not blamed for its own.
    Untidy,
}

pub(crate) async fn run(lab: &Lab, shared: &Target, case: &Case) -> Outcome {
    // A database is dear: those that must not come so far share one.
    let own = if case.rung >= Rung::Readable { Some(lab.target(case.prepare).await) } else { None };
    let target = own.as_ref().unwrap_or(shared);
    let file = lab.folder.path().join(format!("case_{}", lab.number()));
    let scratch = Scratch {
        target,
        superuser: Some(&lab.superuser(target)),
        jobs: 2,
        work_dir: lab.folder.path(),
        application: "reprise-corpus",
        questions: &case.questions,
        question_limit: Duration::from_secs(10),
        structure_limit: Duration::from_secs(10),
        code: &Code::Known(Vec::new()),
    };
    let expect = Expect { download_bytes: case.announced, max_dump_bytes: case.room };
    let climbed = Box::pin(climb(
        &lab.tools,
        body(case),
        expect,
        &case.recorded,
        &file,
        scratch,
        &CancellationToken::new(),
    ))
    .await;
    let left = std::fs::remove_file(&file).is_ok();
    judge(case, &climbed, left)
}

/// The download in pieces, as a line brings it.
fn body(case: &Case) -> impl futures::Stream<Item = Result<Bytes, std::io::Error>> + use<> {
    let mut pieces: Vec<_> =
        case.download.chunks(16 << 10).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    if case.line_fails {
        pieces.push(Err(std::io::ErrorKind::ConnectionReset.into()));
    }
    stream::iter(pieces)
}

/// What is suspicious about it beside the backup before, reckoned as over all of a plan's.
fn suspicion(case: &Case, climbed: &Climb) -> Option<String> {
    let backup = |day: i64, rung, rows: &Rows| store::Verdict {
        kind: "database".to_owned(),
        backup: format!("day {day}"),
        taken_at: DateTime::from_timestamp(day * 86_400, 0),
        rung,
        counts: Some(rows_document(rows)),
        ..store::Verdict::default()
    };
    let before = backup(1, Rung::Asserted, case.before.as_ref()?);
    let refused =
        climbed.halt.as_ref().filter(|halt| halt.blames_backup()).map(|halt| halt.reason().to_owned());
    let now = backup(2, climbed.rung, &rows_of(climbed.counts.as_ref()?));
    let mut found = suspicions(&[store::Verdict { refused, ..now }, before], 0.2);
    found.retain(|(backup, _)| backup == "day 2");
    found.pop()?.1
}

fn judge(case: &Case, climbed: &Climb, file_left: bool) -> Outcome {
    let suspicious = suspicion(case, climbed);
    let stopped = climbed.halt.as_ref().map_or("", Halt::reason);
    let reason = if suspicious.is_some() { "rows-fallen" } else { stopped };
    let rung = if suspicious.is_some() { climbed.rung.min(Rung::Restored) } else { climbed.rung };
    let verdict = if rung > case.rung {
        Verdict::FalseSuccess
    } else if rung < case.rung {
        Verdict::FalseFailure
    } else if !(reason.is_empty() && case.reasons.is_empty() || case.reasons.contains(&reason)) {
        Verdict::WrongReason
    } else if file_left != climbed.received.is_some() || blamed(climbed) != case.blamed {
        Verdict::Untidy
    } else {
        Verdict::Right
    };
    let halt = climbed.halt.as_ref().map(|halt| Chain(halt).to_string());
    Outcome { rung, reason, sentence: suspicious.or(halt).unwrap_or_default(), verdict }
}

/// Whether the backup is blamed.
fn blamed(climbed: &Climb) -> bool {
    climbed.is_conclusive() && climbed.halt.as_ref().is_some_and(Halt::blames_backup)
}
