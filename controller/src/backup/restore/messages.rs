//! What `pg_restore --verbose` says, line by line: entries done, and errors with the entry they belong to. Pure.
//!
//! Workers share one pipe, so the beginnings of their lines may run into each other, and an error that lost its entry
//! counts against the restore. Of an error only its first line and the head of its statement
//! are kept: details and contexts quote rows, which are personal data.

use std::collections::HashSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::quotes::{RAISED, without_values};

/// Errors kept; those beyond are only counted, which is as bad for the account.
const MAX_ERRORS: usize = 1000;
const MAX_STATEMENT: usize = 120;

/// What a message begins with, but for the word that makes it an error.
const BEGINNINGS: &[&str] = &["pg_restore:", " ", "warning: ", "detail: ", "hint: "];

/// One error of `pg_restore`'s.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryError {
    /// The entry that it belongs to, if one was told.
    pub entry: Option<u32>,
    /// Its first line, without values.
    pub message: String,
    /// The head of the statement that failed, without values.
    pub statement: String,
}

impl fmt::Display for EntryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// All that `pg_restore` said in the end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The errors.
    pub errors: Vec<EntryError>,
    /// Errors that were seen in all.
    pub error_count: u64,
    /// Errors among them that a worker met.
    pub of_workers: u64,
    /// Errors that it says it passed over, if it ran to its end with some.
    pub ignored: Option<u64>,
    /// Entries that it finished.
    pub finished: u64,
}

impl Report {
    /// Errors that it counted and that could not be read, as a sentence: none of them may be forgiven.
    ///
    /// Its own count is one for each error, and one more for an error that a worker met. Measured with 15.18: 440
    /// errors, 316 of them in workers, are told as 756 by two jobs and as 440 by one.
    pub fn unparsed(&self) -> Option<String> {
        let kept = self.errors.len() as u64;
        let told = self.ignored.unwrap_or(self.error_count);
        let plausible = (kept..=kept + self.of_workers).contains(&told) && self.error_count == kept;
        (!plausible).then(|| format!("{told} errors were told and {kept} could be read"))
    }
}

/// What a server says whose memory, locks or connections give out, whose disk fails, or that takes no writes just now: parts of its messages.
///
/// Source of all three: `deadlock.c`, `md.c`, `fd.c`, `buffile.c`, `lock.c`, `aset.c`, `postmaster.c`, `postgres.c`, `utility.c` and libpq's
/// `fe-misc.c`, `fe-exec.c`, `fe-secure.c`, `fe-secure-openssl.c` of PostgreSQL 12 to 18; `objects.c` of pgbouncer.
const TROUBLE: &[&str] = &[
    "deadlock detected",
    "out of memory",
    "Cannot allocate memory",
    "Too many open files",
    "Input/output error",
    "could not write block",
    "could not read block",
    "could not extend file",
    "could not write to file",
    "could not resize shared memory segment",
    "temporary file size exceeds",
    "out of shared memory",
    "too many clients already",
    "remaining connection slots",
    "too many connections for",
    "terminating connection",
    "canceling statement due to",
    // A server that has just taken over, or is about to hand over.
    "in a read-only transaction",
    "during recovery",
    "the database system is ",
];

/// What it says whose disk is full. One that took a part of what was to be written has no word of the system's to tell.
const FULL: &[&str] = &["No space left on device", "Disk quota exceeded", ": wrote only "];
/// And what is said of a full folder of memory, as containers have it: that has nothing to do with the plan of the disk.
const OF_MEMORY: &str = "shared memory";

/// What is said of a server that is far away: by the line, or by another machine in its place that is a copy of it.
const LINE: &[&str] = &[
    "server closed the connection",
    "no connection to the server",
    "connection to server at",
    "could not receive data from server",
    "could not send data to server",
    "SSL connection has been closed",
    "SSL SYSCALL error",
    "SSL error: ",
    "server conn crashed",
];

fn is_among(list: &[&str], said: &str) -> bool {
    list.iter().any(|part| said.contains(part))
}

/// Whether this was said of a full disk at the server.
pub(super) fn is_full(said: &str) -> bool {
    is_among(FULL, said) && !said.contains(OF_MEMORY)
}

/// Whether this was said of a line that was cut.
pub(super) fn is_cut(said: &str) -> bool {
    is_among(LINE, said)
}

impl Report {
    /// The first error that is trouble of the server's own, and no fault of what was restored. A full disk before any other: all that follows
    /// may come of it.
    pub fn trouble(&self) -> Option<&EntryError> {
        let first = |is: &dyn Fn(&str) -> bool| self.errors.iter().find(|error| is(&error.message));
        first(&is_full)
            .or_else(|| first(&|said| [FULL, TROUBLE, LINE].iter().any(|list| is_among(list, said))))
    }
}

/// What a line means for the progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// This entry is finished.
    Finished(u32),
}

/// Reads the lines in their order.
#[derive(Debug, Default)]
pub struct Messages {
    report: Report,
    entry: Option<u32>,
    /// The entries that were given to workers.
    launched: HashSet<u32>,
    /// The entries that are finished.
    done: HashSet<u32>,
    /// Whether the lines that follow belong to the last error.
    in_error: bool,
    /// How many runs told at their end that they passed over errors.
    ends: u32,
}

impl Messages {
    /// Reads the next line.
    pub fn line(&mut self, line: &str) -> Option<Event> {
        let (is_error, said) = said(line);
        if is_error {
            self.error(said);
        } else if let Some(count) = said.strip_prefix("errors ignored on restore: ") {
            // Told at the end of each run of it.
            self.ends += 1;
            let before = self.report.ignored.unwrap_or(0);
            self.report.ignored = count.trim().parse::<u64>().ok().map(|count| before + count);
        } else if said.starts_with("while INITIALIZING") {
            self.entry = None;
        } else if let Some(entry) = said.strip_prefix("from TOC entry ") {
            self.entry = number(entry);
        } else if self.in_error && line.ends_with(" at RAISE") {
            // What a function says of a row may hold the row.
            if let Some(error) = self.report.errors.last_mut() {
                RAISED.clone_into(&mut error.message);
            }
        } else if let Some(statement) = line.strip_prefix("Command was: ").filter(|_| self.in_error) {
            self.in_error = false;
            if let Some(error) = self.report.errors.last_mut() {
                error.statement = head_of(statement);
            }
        }
        if let Some(id) = said.strip_prefix("launching item ").and_then(number) {
            self.launched.insert(id);
        }
        let finished = said.strip_prefix("finished item ").or_else(|| said.strip_prefix("processing item "));
        // A run for later sections passes by the earlier ones as if it did them.
        let finished = finished.and_then(number).filter(|id| self.done.insert(*id))?;
        self.report.finished += 1;
        Some(Event::Finished(finished))
    }

    /// How many runs of it came to their end with errors that they passed over.
    pub(super) fn ends(&self) -> u32 {
        self.ends
    }

    /// The last error, if there was any.
    pub(super) fn last_error(&self) -> Option<&EntryError> {
        self.report.errors.last()
    }

    /// Entries that it finished.
    pub(super) fn finished(&self) -> u64 {
        self.report.finished
    }

    /// What was said in all.
    pub fn finish(self) -> Report {
        self.report
    }

    fn error(&mut self, message: &str) {
        self.report.error_count += 1;
        self.report.of_workers += u64::from(self.entry.is_some_and(|id| self.launched.contains(&id)));
        self.in_error = self.report.errors.len() < MAX_ERRORS;
        if self.in_error {
            let message = without_values(message);
            self.report.errors.push(EntryError { entry: self.entry, message, statement: String::new() });
        }
    }
}

/// Whether a line tells an error, and what it says after all that it begins with.
///
/// A message is written in pieces: the program's name, a space, the word of its level, and the text with its line end.
/// Pieces of several workers may stand before one text; in a text, the same words are a name's.
/// Source: `pg_log_generic_v` in `src/common/logging.c`, releases 12 to 18.
fn said(line: &str) -> (bool, &str) {
    let (mut is_error, mut rest) = (false, line);
    loop {
        if let Some(after) = rest.strip_prefix("error: ").or_else(|| rest.strip_prefix("fatal: ")) {
            (is_error, rest) = (true, after);
        } else if let Some(after) = BEGINNINGS.iter().find_map(|piece| rest.strip_prefix(piece)) {
            rest = after;
        } else {
            break;
        }
    }
    match rest.split_once("pg_restore: error: ") {
        // A text longer than its buffer is written in pieces as well.
        Some((_, after)) if !is_error => (true, after),
        _ => (is_error, rest),
    }
}

fn number(text: &str) -> Option<u32> {
    text.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// The head of a statement: enough to know it again, and before any value in it.
pub(in crate::backup) fn head_of(statement: &str) -> String {
    let head = statement.split(" VALUES").next().unwrap_or(statement);
    head.chars().take(MAX_STATEMENT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = r#"pg_restore: connecting to database for restore
pg_restore: processing item 3 EXTENSION btree_gin
pg_restore: creating EXTENSION "btree_gin"
pg_restore: while PROCESSING TOC:
pg_restore: from TOC entry 3; 3079 16688 EXTENSION btree_gin (no owner)
pg_restore: error: could not execute query: ERROR:  permission denied to create extension "btree_gin"
HINT:  Must be superuser to create this extension.
Command was: CREATE EXTENSION IF NOT EXISTS btree_gin WITH SCHEMA public;


pg_restore: pg_restore:creating CONSTRAINT "public.a a_pkey"
 finished item 3851 CONSTRAINT a a_pkey
pg_restore: from TOC entry 4200; 0 16400 TABLE DATA client shop
pg_restore: error: COPY failed for table "client": ERROR:  invalid input syntax for type integer: "Zoé Durand"
CONTEXT:  COPY client, line 3, column id: "Zoé Durand"
pg_restore: error: could not execute query: ERROR:  duplicate key value violates unique constraint "c"
DETAIL:  Key (email)=(zoe@example.org) already exists.
Command was: INSERT INTO public.client VALUES (1, 'Zoé Durand');
pg_restore: warning: errors ignored on restore: 3
"#;

    fn report() -> Report {
        let mut messages = Messages::default();
        for line in SAID.lines() {
            messages.line(line);
        }
        messages.finish()
    }

    #[test]
    fn errors_find_their_entries() {
        let report = report();
        let entries: Vec<_> = report.errors.iter().map(|error| error.entry).collect();
        assert_eq!(entries, [Some(3), Some(4200), Some(4200)]);
        assert_eq!(report.errors[0].message, "permission denied to create extension \"btree_gin\"");
        assert!(report.errors[0].statement.starts_with("CREATE EXTENSION IF NOT EXISTS"));
        assert_eq!((report.ignored, report.finished, report.unparsed()), (Some(3), 2, None));
    }

    #[test]
    fn names_that_read_like_messages_are_names() {
        let mut messages = Messages::default();
        for line in [
            "pg_restore: processing item 215 TABLE error: lost",
            "pg_restore: creating TABLE \"public.error: lost\"",
            "pg_restore: creating TABLE \"public.a from TOC entry 9; finished item 8\"",
            "pg_restore: from TOC entry 215; 1259 16400 TABLE error: lost shop",
            "pg_restore: pg_restore: error: could not execute query: ERROR:  relation \"x\" does not exist",
        ] {
            messages.line(line);
        }
        let report = messages.finish();
        assert_eq!(report.errors.iter().map(|error| error.entry).collect::<Vec<_>>(), [Some(215)]);
        assert_eq!((report.error_count, report.finished), (1, 1));
    }

    #[test]
    fn no_row_of_a_table_is_kept() {
        let text = format!("{:?}", report());
        assert!(!text.contains("Durand") && !text.contains("zoe@"), "{text}");
    }

    #[test]
    fn what_a_function_raises_is_not_kept() {
        let mut messages = Messages::default();
        for line in [
            "pg_restore: from TOC entry 7; 0 16400 TABLE DATA client shop",
            "pg_restore: error: COPY failed for table \"client\": ERROR:  Zoé Durand is not welcome",
            "CONTEXT:  PL/pgSQL function public.refuse() line 1 at RAISE",
            "COPY client, line 3",
        ] {
            messages.line(line);
        }
        let report = messages.finish();
        assert_eq!(report.errors[0].message, RAISED);
    }

    #[test]
    fn trouble_of_the_server_s_own_is_told_from_faults_of_the_dump() {
        let trouble = |said: &str| {
            let mut messages = Messages::default();
            messages.line("pg_restore: from TOC entry 7; 1259 16400 INDEX a_x shop");
            messages.line(&format!("pg_restore: error: could not execute query: ERROR:  {said}"));
            messages.finish().trouble().is_some()
        };
        assert!(trouble("could not extend file \"base/5/16400\": No space left on device"));
        for cut in [
            "extend file …: wrote only 4096 of 8192 bytes at block 7",
            "write block 7 of …: wrote only 1 byte",
        ] {
            assert!(trouble(&format!("could not {cut}")), "{cut}");
        }
        assert!(trouble("could not read block 7 in file …: read only 0 of 8192 bytes"));
        assert!(trouble("temporary file size exceeds temp_file_limit (1048576kB)"));
        assert!(trouble("deadlock detected"));
        assert!(trouble("out of memory"));
        assert!(trouble("cannot execute CREATE TABLE in a read-only transaction"));
        assert!(trouble("cannot execute COPY FROM during recovery"));
        assert!(trouble("the database system is in recovery mode"));
        assert!(trouble("no connection to the server") && trouble("SSL SYSCALL error: EOF detected"));
        assert!(trouble("too many connections for role …"));
        assert!(!trouble("could not create unique index \"a_x\""));
        assert!(!trouble("relation \"a\" does not exist"));
    }

    #[test]
    fn an_error_that_was_not_read_is_not_forgotten() {
        let told = |count: u32, launched: bool| {
            let mut messages = Messages::default();
            if launched {
                messages.line("pg_restore: launching item 7 INDEX a_x");
            }
            messages.line("pg_restore: from TOC entry 7; 1259 16400 INDEX a_x shop");
            messages.line("pg_restore: error: could not execute query: ERROR:  out of memory");
            messages.line(&format!("pg_restore: warning: errors ignored on restore: {count}"));
            messages.finish().unparsed()
        };
        assert_eq!((told(1, false), told(2, true)), (None, None), "an error in a worker is told twice");
        assert!(told(2, false).is_some() && told(3, true).is_some() && told(0, false).is_some());
        let mut unread = Messages::default();
        unread.line("pg_restore: warning: errors ignored on restore: 2");
        assert!(unread.finish().unparsed().is_some());
    }
}
