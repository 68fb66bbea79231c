//! One case: some bytes, what is known of them, and how far they may come.

use reprise::backup::checks::DataCheck;
use reprise::backup::ladder::{Recorded, Rows};
use reprise::store::Rung;

/// The room that the caller of a check has for a dump.
const ROOM: u64 = 64 << 20;

#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// How it is made.
    pub(crate) made: &'static str,
    /// Whether an honest backup is in it.
    pub(crate) harmless: bool,
    /// Whether it must be blamed for what stops it, so that a recovery passes over it and nobody tries it again; else it must not be.
    pub(crate) blamed: bool,
    pub(crate) download: Vec<u8>,
    /// Whether the line fails at the end of these bytes.
    pub(crate) line_fails: bool,
    /// The length that the server announced.
    pub(crate) announced: Option<u64>,
    pub(crate) recorded: Recorded,
    /// The rows of the backup before.
    pub(crate) before: Option<Rows>,
    pub(crate) room: u64,
    /// What the superuser does in the target first.
    pub(crate) prepare: &'static str,
    pub(crate) questions: Vec<DataCheck>,
    /// The highest rung it may reach, and must.
    pub(crate) rung: Rung,
    /// Why it may go no further; of several the decoder decides. None at the top.
    pub(crate) reasons: &'static [&'static str],
}

impl Case {
    /// A backup that has lost something.
    pub(crate) fn broken(name: &'static str, made: &'static str, download: Vec<u8>) -> Self {
        Self {
            name,
            made,
            harmless: false,
            blamed: true,
            announced: Some(download.len() as u64),
            download,
            line_fails: false,
            recorded: Recorded::default(),
            before: None,
            room: ROOM,
            prepare: "",
            questions: Vec::new(),
            rung: Rung::Asserted,
            reasons: &[],
        }
    }

    /// An odd one that has lost nothing: it reaches the top.
    pub(crate) fn harmless(name: &'static str, made: &'static str, download: Vec<u8>) -> Self {
        Self { harmless: true, blamed: false, ..Self::broken(name, made, download) }
    }

    /// Where it ends, and why.
    pub(crate) fn stops(self, rung: Rung, reasons: &'static [&'static str]) -> Self {
        Self { rung, reasons, ..self }
    }

    /// What stops it is the line's fault or the machine's, or cannot be seen in it.
    pub(crate) fn unblamed(self) -> Self {
        Self { blamed: false, ..self }
    }

    pub(crate) fn recorded(self, recorded: Recorded) -> Self {
        Self { recorded, ..self }
    }

    pub(crate) fn before(self, rows: Rows) -> Self {
        Self { before: Some(rows), ..self }
    }

    pub(crate) fn announced(self, bytes: usize) -> Self {
        Self { announced: Some(bytes as u64), ..self }
    }

    pub(crate) fn prepare(self, prepare: &'static str) -> Self {
        Self { prepare, ..self }
    }

    /// What is known of it beside its bytes.
    pub(crate) fn evidence(&self) -> String {
        let Recorded { download_sha256, dump_sha256, rows } = &self.recorded;
        let known = [
            ("digest", download_sha256.is_some() || dump_sha256.is_some()),
            ("rows", rows.is_some()),
            ("previous rows", self.before.is_some()),
            ("plan's check", !self.questions.is_empty()),
        ];
        let known: Vec<_> = known.iter().filter(|(_, known)| *known).map(|(what, _)| *what).collect();
        if known.is_empty() { "none".to_owned() } else { known.join(", ") }
    }
}
