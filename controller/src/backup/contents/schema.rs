//! The digest of a dump's schema. Partitions come and go by themselves, every day where there is one a day: they are left out, and as
//! a dump tells at its end which tables are partitions, every statement is kept as a digest until then.

use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};

use super::names::{identifier, qualified};
use crate::backup::toc::on_one_line;

/// The statements that make a schema.
#[derive(Debug, Default)]
pub(super) struct Schema {
    statements: Vec<(Option<String>, [u8; 32])>,
}

impl Schema {
    /// Notes a statement that makes a part of it, and the entry that it stands in: its kind and its `SCHEMA NAME`.
    pub(super) fn statement(&mut self, text: &str, entry: Option<(&str, String)>) {
        let of = match entry {
            Some(("TABLE ATTACH" | "INDEX ATTACH", _)) => return,
            Some(("INDEX", _)) => indexed(text),
            entry => entry.map(|(_, path)| path),
        };
        self.statements.push((of, Sha256::digest(text).into()));
    }

    /// The digest of all of them but those of the partitions, each told as `SCHEMA NAME`.
    pub(super) fn digest(self, partitions: &BTreeSet<String>) -> String {
        // What belongs to a table is called `TABLE NAME`, and a space is no rare letter in a name.
        let of_partition = |path: &str| {
            let ends = path.match_indices(' ').map(|(at, _)| at).chain([path.len()]);
            ends.into_iter().any(|end| partitions.contains(&path[..end]))
        };
        let mut all = Sha256::new();
        let kept = self.statements.iter().filter(|(of, _)| !of.as_deref().is_some_and(of_partition));
        kept.for_each(|(_, digest)| all.update(digest));
        hex::encode(all.finalize())
    }
}

/// Whether it makes a part of the schema. Who owns it differs from server to server.
pub(super) fn makes_schema(statement: &str) -> bool {
    let begins =
        |word: &&str| statement.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    ["CREATE ", "ALTER "].iter().any(begins) && !statement.contains(" OWNER TO ")
}

/// The table of `CREATE UNIQUE INDEX a_x ON ONLY public.a USING …`.
fn indexed(text: &str) -> Option<String> {
    let name = text.strip_prefix("CREATE ")?.trim_start_matches("UNIQUE ").strip_prefix("INDEX ")?;
    let (_, rest) = identifier(name)?;
    let ((schema, table), _) = qualified(rest.strip_prefix(" ON ")?.trim_start_matches("ONLY "))?;
    Some(on_one_line(&format!("{} {table}", schema?)))
}
