//! The table that `make test` shows.

use std::io::{self, Write};

use reprise::store::Rung;

use crate::case::Case;
use crate::run::{Outcome, Verdict};

pub(crate) fn rung(rung: Rung) -> &'static str {
    match rung {
        Rung::Listed => "listed",
        Rung::Downloaded => "downloaded",
        Rung::Intact => "intact",
        Rung::Readable => "readable",
        Rung::Restored => "restored",
        Rung::Asserted => "asserted",
    }
}

fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Right => "ok",
        Verdict::FalseSuccess => "FALSE SUCCESS",
        Verdict::FalseFailure => "FALSE FAILURE",
        Verdict::WrongReason => "WRONG REASON",
        Verdict::Untidy => "UNTIDY",
    }
}

pub(crate) fn print(out: &mut impl Write, rows: &[(&Case, Outcome)]) -> io::Result<()> {
    let parts = [("broken", false), ("harmless", true)];
    for (title, harmless) in parts {
        writeln!(
            out,
            "\n{title:<52} {:<14} {:<10} {:<10} {:<20} verdict",
            "evidence", "expected", "reached", "reason"
        )?;
        for (case, outcome) in rows.iter().filter(|(case, _)| case.harmless == harmless) {
            let (expected, reached) = (rung(case.rung), rung(outcome.rung));
            let reason = if outcome.reason.is_empty() { "-" } else { outcome.reason };
            writeln!(
                out,
                "  {:<50} {:<14} {expected:<10} {reached:<10} {reason:<20} {}",
                case.name,
                case.evidence(),
                verdict(outcome.verdict)
            )?;
            if outcome.verdict != Verdict::Right {
                writeln!(
                    out,
                    "      made: {}\n      wanted: {:?}, told: {}",
                    case.made, case.reasons, outcome.sentence
                )?;
            }
        }
    }
    Ok(())
}

pub(crate) fn print_sum(out: &mut impl Write, rows: &[(&Case, Outcome)], seconds: f64) -> io::Result<()> {
    let harmless = rows.iter().filter(|(case, _)| case.harmless).count();
    let count = |wanted| rows.iter().filter(|(_, outcome)| outcome.verdict == wanted).count();
    writeln!(
        out,
        "\n{} broken and {harmless} harmless dumps in {seconds:.1} s: {} false successes, {} false failures, {} otherwise wrong",
        rows.len() - harmless,
        count(Verdict::FalseSuccess),
        count(Verdict::FalseFailure),
        count(Verdict::WrongReason) + count(Verdict::Untidy),
    )
}
