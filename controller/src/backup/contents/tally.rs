//! What the statements, headings and rows of a dump add up to.

use std::collections::{BTreeMap, BTreeSet};

use super::encoding::{DumpEncoding, Utf8Watch, told_by};
use super::schema::{Schema, makes_schema};
use super::statement::{self, Name, Statement};
use super::{Counts, Policy, RelationName, SequenceValue, TableCount};
use crate::backup::toc::on_one_line;

/// What follows a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// More SQL.
    Code,
    /// Rows, from the next line on.
    Rows,
}

/// The entry whose text we are in, as its heading comment tells.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Section {
    kind: String,
    schema: String,
    name: String,
    owner: String,
}

#[derive(Debug, Default, Clone, Copy)]
struct Size {
    rows: u64,
    bytes: u64,
}

/// Adds up what the scanner tells.
#[derive(Debug, Default)]
pub(super) struct Tally {
    section: Option<Section>,
    section_has_rows: bool,
    data_sections: BTreeSet<String>,
    /// The table whose rows come by, and those that did.
    table: Option<RelationName>,
    current: Size,
    tables: BTreeMap<RelationName, Size>,
    encoding: DumpEncoding,
    encoding_known: bool,
    watch: Utf8Watch,
    schema: Schema,
    counts: Counts,
}

impl Tally {
    /// Notes text as it stood when its encoding was `known` or not.
    pub(super) fn text(&mut self, text: &[u8], known: bool) {
        self.counts.text_bytes += text.len() as u64;
        if !known {
            self.watch.feed(text);
        }
    }

    /// Whether the text at this place is in an encoding that was told.
    pub(super) fn encoding_is_known(&self) -> bool {
        self.encoding_known
    }

    pub(super) fn data_sections(&self) -> &BTreeSet<String> {
        &self.data_sections
    }

    pub(super) fn owners_with_spaces(&self) -> &BTreeSet<String> {
        &self.counts.owners_with_spaces
    }

    pub(super) fn place(&self) -> String {
        match (&self.table, &self.section) {
            (Some(table), _) => format!("the data of {table}, after {} rows", self.current.rows),
            (None, Some(section)) => format!("{} {}.{}", section.kind, section.schema, section.name),
            (None, None) => "the beginning".to_owned(),
        }
    }

    /// Notes whole rows and bytes of rows.
    pub(super) fn rows(&mut self, rows: u64, bytes: u64) {
        self.current.rows += rows;
        self.current.bytes += bytes;
    }

    /// The rows of a table are at their end. The first two bytes of the end mark were taken for data.
    pub(super) fn end_rows(&mut self) {
        let Size { rows, bytes } = std::mem::take(&mut self.current);
        if let Some(table) = self.table.take() {
            self.add(table, Size { rows, bytes: bytes.saturating_sub(2) });
        }
    }

    /// A comment between statements: one that heads an entry begins its section.
    pub(super) fn heading(&mut self, comment: &[u8]) {
        let Some(section) = Section::parse(&self.encoding.decode(comment)) else { return };
        self.end_section();
        if section.owner.contains(' ') && !self.counts.owners_with_spaces.contains(&section.owner) {
            self.counts.owners_with_spaces.insert(section.owner.clone());
        }
        if section.kind == "TABLE DATA" {
            self.data_sections.insert(format!("{} {}", section.schema, section.name));
        }
        self.section = Some(section);
    }

    /// A whole statement, without its semicolon; `groups` are its parentheses at the outermost level.
    pub(super) fn statement(&mut self, text: &[u8], groups: u64) -> Next {
        let read = self.encoding.decode(text.trim_ascii());
        if let Some(encoding) = told_by(&read) {
            self.encoding = encoding;
            self.encoding_known = encoding != DumpEncoding::Unknown;
            return Next::Code;
        }
        if makes_schema(&read) {
            self.schema.statement(&read, self.section.as_ref().map(Section::told));
        }
        match statement::read(&read) {
            Statement::Copy(schema, table) => {
                self.table = Some(self.relation(schema, table));
                return Next::Rows;
            }
            Statement::Insert { schema, table, columns, default_values } if self.in_data() => {
                let rows = if default_values { 1 } else { groups.saturating_sub(u64::from(columns)) };
                let table = self.relation(schema, table);
                self.add(table, Size { rows, bytes: text.len() as u64 });
            }
            Statement::SetValue { schema, sequence, last_value, is_called } => {
                let sequence = self.relation(schema, sequence);
                self.counts.sequences.push(SequenceValue { sequence, last_value, is_called });
            }
            Statement::Extension { name, schema } => drop(self.counts.extensions.insert(name, schema)),
            Statement::ForRoles(roles) => self.counts.roles.extend(roles),
            Statement::Policy(table, roles) => self.policy(table, roles),
            Statement::Forced(table) => drop(self.counts.forced.insert(self.named(table))),
            Statement::Partition { partition, of } => {
                let (partition, of) = (self.named(partition), self.named(of));
                self.counts.partitions.push((partition, of));
            }
            Statement::Heir => self.counts.inherits = true,
            Statement::LargeObject => self.counts.large_objects += 1,
            Statement::LargeObjectBytes(bytes) => self.counts.large_object_bytes += bytes,
            Statement::Other { not_valid: true } => self.constraint_not_valid(),
            Statement::Other { .. } | Statement::Insert { .. } => {}
        }
        Next::Code
    }

    pub(super) fn finish(mut self) -> Counts {
        self.end_section();
        self.counts.foreign_text = self.encoding == DumpEncoding::Unknown && !self.watch.holds();
        self.counts.tables = (self.tables.into_iter())
            .map(|(table, size)| TableCount { table, rows: size.rows, bytes: size.bytes })
            .collect();
        let path = |table: &RelationName| on_one_line(&format!("{} {}", table.schema, table.name));
        let partitions = self.counts.partitions.iter().map(|(partition, _)| path(partition)).collect();
        self.counts.schema_sha256 = self.schema.digest(&partitions);
        self.counts.sequences.sort_by(|a, b| a.sequence.cmp(&b.sequence));
        self.counts
    }

    fn add(&mut self, table: RelationName, size: Size) {
        self.section_has_rows = true;
        let total = self.tables.entry(table).or_default();
        total.rows += size.rows;
        total.bytes += size.bytes;
    }

    fn in_data(&self) -> bool {
        self.section.as_ref().is_some_and(|section| section.kind == "TABLE DATA")
    }

    fn constraint_not_valid(&mut self) {
        if let Some(section) = self.section.as_ref().filter(|section| section.kind.ends_with("CONSTRAINT")) {
            self.counts.not_valid.push(format!("{} {}", section.schema, section.name));
        }
    }

    fn policy(&mut self, table: Name, roles: Vec<String>) {
        self.counts.roles.extend(roles.iter().cloned());
        if let Some((_, path)) = self.section.as_ref().map(Section::told) {
            let table = self.named(table);
            self.counts.policies.insert(path, Policy { table, roles });
        }
    }

    /// A name without a schema (dumps of long ago) lives in that of its entry.
    fn relation(&self, schema: Option<String>, name: String) -> RelationName {
        let own =
            || self.section.as_ref().map_or_else(|| "public".to_owned(), |section| section.schema.clone());
        RelationName { schema: schema.unwrap_or_else(own), name }
    }

    fn named(&self, (schema, name): Name) -> RelationName {
        self.relation(schema, name)
    }

    /// A data entry without a single statement is that of an empty table, dumped as `INSERT`s.
    fn end_section(&mut self) {
        let has_rows = std::mem::take(&mut self.section_has_rows);
        if let Some(section) = self.section.take()
            && section.kind == "TABLE DATA"
            && !has_rows
        {
            let table = RelationName { schema: section.schema, name: section.name };
            self.tables.entry(table).or_default();
        }
    }
}

impl Section {
    /// ` Data for Name: NAME; Type: KIND; Schema: SCHEMA; Owner: OWNER`, where what follows is of no interest
    fn parse(comment: &str) -> Option<Self> {
        let text = comment.strip_prefix(' ')?;
        let text = text.strip_prefix("Data for ").unwrap_or(text).strip_prefix("Name: ")?;
        let (text, owner) = text.rsplit_once("; Owner:")?;
        let (text, schema) = text.rsplit_once("; Schema: ")?;
        let (name, kind) = text.rsplit_once("; Type: ")?;
        let owner = owner.split("; Tablespace: ").next().unwrap_or(owner).trim();
        Some(Self {
            kind: kind.to_owned(),
            schema: schema.to_owned(),
            name: name.to_owned(),
            owner: owner.to_owned(),
        })
    }

    /// Its kind, and its schema and name as one.
    fn told(&self) -> (&str, String) {
        (&self.kind, format!("{} {}", self.schema, self.name))
    }
}
