//! A lexer for the SQL of a dump, fed in pieces of any size: it tells data from statements, and statements from what
//! only looks like one inside a string, a comment or a function's body.

use std::collections::BTreeSet;

use thiserror::Error;

use super::Counts;
use super::tally::{Next, Tally};

/// So much of a statement is kept for its reading; a `COPY` with the most and longest columns fits.
const MAX_STATEMENT: usize = 256 << 10;
const MAX_COMMENT: usize = 4 << 10;

/// Why the text is not a whole dump.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ScanError {
    /// It ends where it must not.
    #[error("the SQL of the dump ends inside {inside}")]
    EndsInside {
        /// Of what.
        inside: &'static str,
    },
}

/// Where in the text we are.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// Between everything else.
    Code,
    /// After a `-` or `/` that may begin a comment.
    MaybeComment(u8),
    LineComment,
    /// Nested comments; the byte before.
    BlockComment(u32, u8),
    /// `'…'`: whether a backslash escapes, and whether one just did.
    Text {
        escapes: bool,
        escaped: bool,
    },
    /// After a quote that closes an escape string, unless another follows.
    TextEnd,
    /// `"…"`.
    Name,
    /// After a `$`: the tag so far.
    DollarTag(Vec<u8>),
    /// `$tag$…$tag$`: the whole closing tag, and how much of it was just seen.
    Dollar(Vec<u8>, usize),
    /// A line of psql's own (`\restrict …`).
    Meta,
    /// What is left of the line of a `COPY`.
    CopyHead,
    /// Data lines: at the beginning of one, after a `\`, after a `\.`, or further on.
    Row(RowAt),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RowAt {
    Start,
    Backslash,
    Dot,
    Inside,
}

/// Counts what a dump's SQL holds.
#[derive(Debug)]
pub struct Scanner {
    state: State,
    statement: Vec<u8>,
    comment: Vec<u8>,
    /// Depth of parentheses, and how many groups were opened at depth 0.
    depth: u32,
    groups: u64,
    /// The last two bytes of code, the later one last.
    last: [u8; 2],
    tally: Tally,
}

impl Default for Scanner {
    fn default() -> Self {
        Self {
            state: State::Code,
            statement: Vec::new(),
            comment: Vec::new(),
            depth: 0,
            groups: 0,
            last: *b"\n\n",
            tally: Tally::default(),
        }
    }
}

impl Scanner {
    /// Scans the next piece of text.
    pub fn feed(&mut self, piece: &[u8]) {
        let (mut at, mut told) = (0, 0);
        while let Some(rest) = piece.get(at..).filter(|rest| !rest.is_empty()) {
            let known = self.tally.encoding_is_known();
            at += match &mut self.state {
                State::Row(_) => self.rows(rest),
                State::LineComment => self.line_comment(rest),
                State::Text { .. } => self.text(rest),
                State::Name => self.name(rest),
                State::Dollar(..) => self.dollar(rest),
                State::Meta | State::CopyHead => self.rest_of_line(rest),
                State::Code
                | State::MaybeComment(_)
                | State::BlockComment(..)
                | State::DollarTag(_)
                | State::TextEnd => self.step(rest[0]),
            };
            // A statement tells the encoding of what follows it, wherever the text happens to be cut into pieces.
            if self.tally.encoding_is_known() != known {
                self.tally.text(piece.get(told..at).unwrap_or_default(), known);
                told = at;
            }
        }
        self.tally.text(piece.get(told..).unwrap_or_default(), self.tally.encoding_is_known());
    }

    /// Where it is just now, for the sentence about a dump that could not be read to its end.
    pub fn place(&self) -> String {
        self.tally.place()
    }

    /// The entries with data that came by, as `SCHEMA NAME`.
    pub fn data_sections(&self) -> &BTreeSet<String> {
        self.tally.data_sections()
    }

    /// Owners whose names have a space in them.
    pub fn owners_with_spaces(&self) -> &BTreeSet<String> {
        self.tally.owners_with_spaces()
    }

    /// What was counted, once the text is at its end.
    pub fn finish(self) -> Result<Counts, ScanError> {
        let inside = match self.state {
            State::Code | State::MaybeComment(_) | State::LineComment | State::Meta | State::TextEnd => None,
            State::Row(_) | State::CopyHead => Some("the rows of a table"),
            State::BlockComment(..) => Some("a comment"),
            State::Text { .. } | State::Name | State::DollarTag(_) | State::Dollar(..) => Some("a literal"),
        };
        if let Some(inside) = inside {
            return Err(ScanError::EndsInside { inside });
        }
        if !self.statement.trim_ascii().is_empty() {
            return Err(ScanError::EndsInside { inside: "a statement" });
        }
        Ok(self.tally.finish())
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = MAX_STATEMENT.saturating_sub(self.statement.len());
        self.statement.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.last = match *bytes {
            [] => self.last,
            [only] => [self.last[1], only],
            [.., before, last] => [before, last],
        };
    }

    /// One byte outside of literals and data.
    fn step(&mut self, byte: u8) -> usize {
        match std::mem::replace(&mut self.state, State::Code) {
            State::MaybeComment(b'-') if byte == b'-' => {
                self.comment.clear();
                self.state = State::LineComment;
            }
            State::MaybeComment(b'/') if byte == b'*' => self.state = State::BlockComment(1, 0),
            State::MaybeComment(first) => {
                self.keep(&[first]);
                return 0;
            }
            State::TextEnd if byte == b'\'' => {
                self.keep(&[byte]);
                self.state = State::Text { escapes: true, escaped: false };
            }
            State::BlockComment(depth, before) => self.block_comment(depth, before, byte),
            State::DollarTag(tag) => return self.dollar_tag(tag, byte),
            _ => self.code(byte),
        }
        1
    }

    fn code(&mut self, byte: u8) {
        match byte {
            b'-' | b'/' => self.state = State::MaybeComment(byte),
            b';' if self.depth == 0 => return self.end_statement(),
            b'\\' if self.statement.trim_ascii().is_empty() => self.state = State::Meta,
            b'\'' => {
                // Also right after a closing quote: `''` inside a literal is two literals in a row.
                let escapes = matches!(self.last, [before, b'E' | b'e'] if !is_word(before));
                self.state = State::Text { escapes, escaped: false };
            }
            b'"' => self.state = State::Name,
            b'$' if !is_word(self.last[1]) => {
                self.state = State::DollarTag(Vec::new());
                return;
            }
            b'(' => {
                self.groups += u64::from(self.depth == 0);
                self.depth += 1;
            }
            b')' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        if !matches!(self.state, State::MaybeComment(_) | State::Meta) {
            self.keep(&[byte]);
        }
    }

    fn block_comment(&mut self, depth: u32, before: u8, byte: u8) {
        self.state = match (before, byte) {
            (b'*', b'/') if depth == 1 => State::Code,
            (b'*', b'/') => State::BlockComment(depth - 1, 0),
            (b'/', b'*') => State::BlockComment(depth + 1, 0),
            _ => State::BlockComment(depth, byte),
        };
    }

    fn dollar_tag(&mut self, mut tag: Vec<u8>, byte: u8) -> usize {
        let begins = tag.is_empty() && byte.is_ascii_digit();
        if byte == b'$' {
            let closing = [b"$", tag.as_slice(), b"$"].concat();
            self.keep(&closing);
            self.state = State::Dollar(closing, 0);
            1
        } else if is_word(byte) && !begins && tag.len() < 64 {
            tag.push(byte);
            self.state = State::DollarTag(tag);
            1
        } else {
            // A parameter such as `$1`, or a lone sign: code after all.
            self.keep(b"$");
            self.keep(&tag);
            0
        }
    }

    fn dollar(&mut self, rest: &[u8]) -> usize {
        let State::Dollar(closing, seen) = &mut self.state else { return 0 };
        let mut used = 0;
        if *seen == 0 {
            used = memchr::memchr(b'$', rest).unwrap_or(rest.len());
        }
        if let Some(byte) = rest.get(used) {
            used += 1;
            if closing.get(*seen) == Some(byte) {
                *seen += 1;
            } else {
                *seen = usize::from(*byte == b'$');
            }
            if *seen == closing.len() {
                self.state = State::Code;
                self.keep(b"$");
            }
        }
        used
    }

    fn text(&mut self, rest: &[u8]) -> usize {
        let State::Text { escapes, escaped } = &mut self.state else { return 0 };
        let (escapes, was_escaped) = (*escapes, std::mem::take(escaped));
        if was_escaped {
            self.keep(&rest[..1]);
            return 1;
        }
        let end = if escapes { memchr::memchr2(b'\'', b'\\', rest) } else { memchr::memchr(b'\'', rest) };
        let Some(end) = end else {
            self.keep(rest);
            return rest.len();
        };
        self.keep(&rest[..=end]);
        self.state = match rest[end] {
            b'\\' => State::Text { escapes, escaped: true },
            _ if escapes => State::TextEnd,
            _ => State::Code,
        };
        end + 1
    }

    fn name(&mut self, rest: &[u8]) -> usize {
        let end = memchr::memchr(b'"', rest);
        let used = end.map_or(rest.len(), |end| end + 1);
        self.keep(&rest[..used]);
        if end.is_some() {
            self.state = State::Code;
        }
        used
    }

    fn line_comment(&mut self, rest: &[u8]) -> usize {
        let end = memchr::memchr(b'\n', rest);
        let text = &rest[..end.unwrap_or(rest.len())];
        let room = MAX_COMMENT.saturating_sub(self.comment.len());
        self.comment.extend_from_slice(&text[..text.len().min(room)]);
        match end {
            None => rest.len(),
            Some(end) => {
                self.state = State::Code;
                if self.statement.trim_ascii().is_empty() {
                    self.tally.heading(&self.comment);
                }
                end + 1
            }
        }
    }

    fn rest_of_line(&mut self, rest: &[u8]) -> usize {
        let Some(end) = memchr::memchr(b'\n', rest) else { return rest.len() };
        self.state = match self.state {
            State::CopyHead => State::Row(RowAt::Start),
            _ => State::Code,
        };
        end + 1
    }

    /// Data lines, many at once.
    fn rows(&mut self, rest: &[u8]) -> usize {
        let State::Row(at) = self.state else { return 0 };
        match (at, rest[0]) {
            (RowAt::Start, b'\\') => self.state = State::Row(RowAt::Backslash),
            (RowAt::Backslash, b'.') => self.state = State::Row(RowAt::Dot),
            (RowAt::Dot, b'\n') => {
                self.tally.end_rows();
                self.state = State::Code;
                return 1;
            }
            (RowAt::Start, _) => return self.whole_rows(rest),
            (RowAt::Inside | RowAt::Backslash | RowAt::Dot, _) => return self.end_of_row(rest),
        }
        self.tally.rows(0, 1);
        1
    }

    fn end_of_row(&mut self, rest: &[u8]) -> usize {
        let end = memchr::memchr(b'\n', rest);
        let used = end.map_or(rest.len(), |end| end + 1);
        self.tally.rows(u64::from(end.is_some()), used as u64);
        self.state = State::Row(if end.is_some() { RowAt::Start } else { RowAt::Inside });
        used
    }

    /// Rows that do not begin with a backslash, up to one that does or that is not whole.
    fn whole_rows(&mut self, rest: &[u8]) -> usize {
        let (mut used, mut rows) = (0, 0);
        while rest.get(used).is_some_and(|byte| *byte != b'\\') {
            let Some(end) = memchr::memchr(b'\n', &rest[used..]) else {
                self.state = State::Row(RowAt::Inside);
                used = rest.len();
                break;
            };
            rows += 1;
            used += end + 1;
        }
        self.tally.rows(rows, used as u64);
        used
    }

    fn end_statement(&mut self) {
        if self.tally.statement(&self.statement, self.groups) == Next::Rows {
            self.state = State::CopyHead;
        }
        // The buffer keeps its room for the next statement.
        self.statement.clear();
        self.groups = 0;
        self.last = *b"\n\n";
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

#[cfg(test)]
mod tests;
