//! What a run works with, and which of the installed majors a dump is tried with.

use reprise_cluster::{Binaries, ClusterError};
use sha2::{Digest as _, Sha256};
use tokio::sync::OnceCell;

use super::ProofError;
use super::policy::Policy;
use super::run::Prover;
use super::source::Source;
use super::throwaway::OLDEST;
use crate::backup::checks::{Code, DataCheck, planned};
use crate::backup::toc::{Toc, major_of};
use crate::backup::tools::ToolsError;
use crate::backup::{PgTools, Refusal, majors};
use crate::store::Verdict;

/// What a run works with.
pub(super) struct Bench {
    pub policy: Policy,
    pub source: Source,
    pub questions: Vec<DataCheck>,
    /// The questions' fingerprint, for the verdicts.
    pub asked: String,
    pub code: OnceCell<Code>,
    /// Every `pg_restore` of this machine, and every server, the newest first.
    restorers: Vec<PgTools>,
    servers: Vec<Binaries>,
}

impl Prover<'_> {
    pub(super) async fn bench(&self) -> Result<Bench, ProofError> {
        let source = &self.spec.source;
        let platform = self.tools.platform(&source.region)?;
        let questions = planned(&self.spec.data_checks);
        Ok(Bench {
            policy: Policy::of(&self.spec.proof),
            source: Source::find(platform, &source.app, &source.addon).await?,
            asked: fingerprint(&questions),
            questions,
            code: OnceCell::new(),
            restorers: PgTools::installed().await,
            servers: able(Binaries::installed()),
        })
    }
}

impl Bench {
    /// The server for a dump of this major.
    pub(super) fn server(&self, dumped: Option<u32>) -> Result<&Binaries, ProofError> {
        let installed: Vec<u32> = self.servers.iter().map(Binaries::major).collect();
        let wanted = majors::server(&installed, dumped);
        let looked = || format!("/usr/lib/postgresql and PATH, of version {OLDEST} or newer");
        let none = || ClusterError::NoBinaries { looked: looked() };
        Ok(self.servers.iter().find(|one| Some(one.major()) == wanted).ok_or_else(none)?)
    }

    /// The `pg_restore` for a dump, and for a server of the major `given`; the newest for a dump that is still to be read.
    pub(super) fn restorer(&self, toc: Option<&Toc>, given: Option<u32>) -> Result<&PgTools, ProofError> {
        let installed: Vec<u32> = self.restorers.iter().map(PgTools::major).collect();
        let written_by = toc.and_then(|toc| major_of(&toc.dump_version));
        let wanted = majors::restorer(&installed, written_by, given);
        let source = || std::io::Error::other(ToolsError::Absent);
        let none = || ProofError::Tools(Refusal::Tool { tool: "pg_restore", source: source() });
        self.restorers.iter().find(|one| Some(one.major()) == wanted).ok_or_else(none)
    }
}

/// The servers that throwaway databases can be made in.
fn able(mut installed: Vec<Binaries>) -> Vec<Binaries> {
    installed.retain(|one| one.major() >= OLDEST);
    installed
}

/// What the plan's questions are, all of them: other questions are another proof.
fn fingerprint(questions: &[DataCheck]) -> String {
    hex::encode(Sha256::digest(serde_json::json!(questions).to_string()))
}

/// The major of the server that the newest judged dump came from: the next one's most likely too.
pub(super) fn last_dumped(rows: &[Verdict]) -> Option<u32> {
    let told = |row: &Verdict| major_of(row.tools.get("dumpedFrom")?.as_str()?);
    let judged = rows.iter().filter_map(|row| Some((row.checked_at, told(row)?)));
    judged.max_by_key(|(at, _)| *at).map(|(_, major)| major)
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};
    use serde_json::json;

    use super::*;
    use crate::backup::checks::Expectation;

    #[test]
    fn a_server_that_is_too_old_for_a_throwaway_database_is_not_chosen() {
        let at = |version: &str| Binaries { dir: "/nowhere".into(), version: version.to_owned() };
        let able = able(["15.18", "13.1", "12.22", "9.6"].map(at).to_vec());
        assert_eq!(able.iter().map(Binaries::major).collect::<Vec<_>>(), [15, 13]);
    }

    #[test]
    fn other_questions_have_another_fingerprint() {
        let question = |sql: &str| DataCheck {
            name: "people".to_owned(),
            sql: sql.to_owned(),
            expectation: Expectation::Present,
        };
        let of = |sql| fingerprint(&[question(sql)]);
        assert_eq!(of("SELECT 1"), of("SELECT 1"));
        assert!(of("SELECT 1") != of("SELECT 2") && of("SELECT 1") != fingerprint(&[]));
    }

    #[test]
    fn the_major_that_was_seen_last_is_the_likely_one() {
        let judged = |days, tools| Verdict {
            tools,
            checked_at: DateTime::UNIX_EPOCH + TimeDelta::days(days),
            ..Verdict::default()
        };
        let rows = [
            judged(2, json!({ "dumpedFrom": "16.2" })),
            judged(3, json!({ "dumpedFrom": "17.5 (Debian 17.5-1)" })),
            judged(4, json!({ "pg_restore": "18.1" })),
        ];
        assert_eq!(last_dumped(&rows), Some(17));
        assert_eq!(last_dumped(&rows[2..]), None);
    }
}
