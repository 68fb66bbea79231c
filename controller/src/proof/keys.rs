//! A list of every key that has no counterpart, for whoever asks for all of them. It is written as it is found: there may be a million.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Error, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use serde_json::json;

use crate::truth::Odd;

/// A file of lines of JSON, one a key. Keys may tell of people: nobody else may read it.
#[derive(Debug)]
pub struct KeyList(Mutex<State>);

#[derive(Debug)]
struct State {
    file: BufWriter<File>,
    failed: Option<ErrorKind>,
}

impl KeyList {
    /// A new file; one that is there already is left alone.
    pub fn create(path: &Path) -> Result<Self, Error> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        Ok(Self(Mutex::new(State { file: BufWriter::new(file), failed: None })))
    }

    pub(super) fn add(&self, backup: &str, run: &str, odd: Odd<'_>) -> Result<(), Error> {
        let line = match odd {
            Odd::Dangling { key, rows } => {
                json!({ "backup": backup, "run": run, "dangling": key, "rows": rows })
            }
            Odd::Orphan { key } => json!({ "backup": backup, "run": run, "orphan": key }),
        };
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let written = writeln!(state.file, "{line}");
        if let Err(error) = &written {
            state.failed = Some(error.kind());
        }
        written
    }

    /// Everything is in the file, or why not.
    pub fn finish(&self) -> Result<(), Error> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match state.failed {
            Some(kind) => Err(kind.into()),
            None => state.file.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn each_key_is_a_line_that_nobody_else_may_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let list = KeyList::create(&path).unwrap();
        list.add("b", "r", Odd::Dangling { key: "a\n\"é", rows: 2 }).unwrap();
        list.add("b", "r", Odd::Orphan { key: "z" }).unwrap();
        list.finish().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines[0], json!({ "backup": "b", "run": "r", "dangling": "a\n\"é", "rows": 2 }));
        assert_eq!((lines.len(), &lines[1]["orphan"]), (2, &json!("z")));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(KeyList::create(&path).is_err(), "what is there is not written over");
    }
}
