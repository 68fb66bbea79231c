//! Dumps that are broken, and dumps that only look so, built from a real PostgreSQL and judged by the code that judges
//! backups: no verdict may claim more than was seen, none may blame an honest backup, and each names its reason.
//!
//! A program of its own, so that its table shows in `make test`. Run by hand:
//! `cargo test -p reprise --test corpus -- [PART OF A NAME] [--keep FOLDER]`; the latter leaves the files there.

#![expect(clippy::expect_used, clippy::panic, reason = "tests")]

mod case;
mod cases;
mod estates;
mod lab;
mod pack;
mod run;
mod surgery;
mod table;

use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use futures::{StreamExt as _, stream};
use tokio::time::Instant;

use case::Case;
use lab::Lab;
use run::{Outcome, Verdict};

/// So many of each kind there are at least: without a case nothing is wrong with it.
const BROKEN: usize = 40;
const HARMLESS: usize = 20;

/// Cases judged at once.
const AT_ONCE: usize = 3;

/// What was asked for on the command line. What other harnesses understand is passed over.
#[derive(Debug, Default)]
struct Asked {
    filter: Option<String>,
    keep: Option<String>,
    list: bool,
}

fn asked() -> Asked {
    let mut asked = Asked::default();
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--keep" => asked.keep = words.next(),
            "--list" => asked.list = true,
            "--test-threads" | "--skip" | "--format" | "--color" => drop(words.next()),
            flag if flag.starts_with('-') => {}
            filter => asked.filter = Some(filter.to_owned()),
        }
    }
    asked
}

fn main() -> ExitCode {
    let asked = asked();
    // A filter is mostly meant for other tests: the corpus answers to the names of its cases, which have a dash.
    if asked.list || asked.filter.as_ref().is_some_and(|filter| !filter.contains('-') && filter != "corpus") {
        return ExitCode::SUCCESS;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(judge_all(&asked)).expect("a terminal")
}

async fn judge_all(asked: &Asked) -> io::Result<ExitCode> {
    let began = Instant::now();
    let lab = Lab::start().await;
    let mut cases = cases::all(&lab).await;
    if let Some(filter) = asked.filter.as_ref().filter(|filter| *filter != "corpus") {
        cases.retain(|case| case.name.contains(filter.as_str()));
    } else {
        let harmless = cases.iter().filter(|case| case.harmless).count();
        assert!(
            cases.len() - harmless >= BROKEN && harmless >= HARMLESS,
            "{harmless} of {} are harmless",
            cases.len()
        );
    }
    if let Some(folder) = &asked.keep {
        keep(Path::new(folder), &cases)?;
    }
    let shared = lab.target("").await;
    let (lab_ref, shared) = (&lab, &shared);
    let rows: Vec<(&Case, Outcome)> = stream::iter(&cases)
        .map(|case| async move { (case, run::run(lab_ref, shared, case).await) })
        .buffered(AT_ONCE)
        .collect()
        .await;
    let mut out = io::stdout().lock();
    table::print(&mut out, &rows)?;
    table::print_sum(&mut out, &rows, began.elapsed().as_secs_f64())?;
    out.flush()?;
    drop(out);
    let right = rows.iter().all(|(_, outcome)| outcome.verdict == Verdict::Right);
    lab.stop().await;
    Ok(if right { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn keep(folder: &Path, cases: &[Case]) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    cases.iter().try_for_each(|case| std::fs::write(folder.join(case.name), &case.download))
}
