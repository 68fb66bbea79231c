//! What bytes are, by their first few: names and content types are what a server says, magic is what came.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::tarball::checksum_holds;
use crate::backup::Refusal;

/// How many bytes a decision needs at most.
pub const WINDOW: usize = 512;

const MAGIC: &[u8] = b"PGDMP";
/// Format code of `pg_dump -Fc` in the header.
const CUSTOM: u8 = 1;

/// What the first bytes of something look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Looks {
    /// A gzip stream.
    Gzip,
    /// A tar archive.
    Tar,
    /// A dump with a table of contents (custom format, or the TOC of a directory).
    Dump,
    /// An HTML page: an error or a login shown instead of a file.
    WebPage,
    /// An XML document, as object stores answer errors.
    Xml,
    /// A JSON document, as APIs answer errors.
    Json,
    /// SQL text, the plain format of `pg_dump`.
    PlainSql,
    /// A zip archive.
    Zip,
    /// An encrypted file (age or `OpenPGP`).
    Encrypted,
    /// Nothing at all.
    Nothing,
    /// None of these.
    Unknown,
}

impl Looks {
    /// What `head`, the beginning of something, looks like.
    pub fn of(head: &[u8]) -> Self {
        match head {
            [] => Self::Nothing,
            [0x1f, 0x8b, ..] => Self::Gzip,
            _ if head.starts_with(MAGIC) => Self::Dump,
            _ if head.get(257..262) == Some(b"ustar") || checksum_holds(head) => Self::Tar,
            // A tar without any entry: nothing but its end mark.
            _ if head.len() == WINDOW && head.iter().all(|byte| *byte == 0) => Self::Tar,
            _ if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") => Self::Zip,
            _ if head.starts_with(b"age-encryption.org") || head.starts_with(b"-----BEGIN ") => {
                Self::Encrypted
            }
            _ => Self::of_text(head),
        }
    }

    fn of_text(head: &[u8]) -> Self {
        let text = String::from_utf8_lossy(head);
        let text = text.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
        let starts = |prefix: &str| text.get(..prefix.len()).is_some_and(|t| t.eq_ignore_ascii_case(prefix));
        if starts("<!doctype html") || starts("<html") {
            Self::WebPage
        } else if starts("<?xml") || starts("<error") {
            Self::Xml
        } else if starts("{") || starts("[") {
            Self::Json
        } else if starts("--") || starts("SET ") || starts("\\restrict ") || starts("CREATE ") {
            Self::PlainSql
        } else {
            Self::Unknown
        }
    }

    /// The stable label for a thing of this look in the place of an archive.
    pub fn reason(self) -> &'static str {
        match self {
            Self::WebPage | Self::Xml | Self::Json => "error-page",
            Self::PlainSql => "plain-sql",
            Self::Encrypted => "encrypted",
            Self::Nothing => "empty",
            Self::Gzip | Self::Tar | Self::Dump | Self::Zip | Self::Unknown => "wrong-magic",
        }
    }
}

impl fmt::Display for Looks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip => "a gzip stream",
            Self::Tar => "a tar archive",
            Self::Dump => "a PostgreSQL dump",
            Self::WebPage => "an HTML page",
            Self::Xml => "an XML document",
            Self::Json => "a JSON document",
            Self::PlainSql => "plain SQL text",
            Self::Zip => "a zip archive",
            Self::Encrypted => "an encrypted file",
            Self::Nothing => "empty",
            Self::Unknown => "of unknown content",
        })
    }
}

/// The first fields of a custom-format dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DumpHeader {
    /// Archive version: major, minor, revision.
    pub version: (u8, u8, u8),
    /// Bytes of an integer in the archive.
    pub int_bytes: u8,
    /// Bytes of an offset in the archive.
    pub offset_bytes: u8,
}

impl DumpHeader {
    /// Reads the header at the beginning of `head`.
    pub fn parse(head: &[u8]) -> Result<Self, Refusal> {
        match *head {
            [] => Err(Refusal::DumpEmpty),
            [b'P', b'G', b'D', b'M', b'P', major, minor, revision, int_bytes, offset_bytes, format, ..] => {
                if format == CUSTOM {
                    Ok(Self { version: (major, minor, revision), int_bytes, offset_bytes })
                } else {
                    Err(Refusal::NotCustom { format })
                }
            }
            _ => Err(Refusal::HeaderCut { at: head.len() as u64 }),
        }
    }

    /// The lowest major of `pg_restore` that reads this archive version.
    ///
    /// Source: archive versions by release: 1.14 by 12, 1.15 by 16, 1.16 by 17. Beyond these only "newer" is known.
    pub fn needs_major(&self) -> u32 {
        needs_major(self.version.0, self.version.1)
    }
}

/// The lowest major of `pg_restore` that reads archive version `major.minor`.
pub fn needs_major(major: u8, minor: u8) -> u32 {
    match (major, minor) {
        (0, _) | (1, ..=13) => 11,
        (1, 14) => 12,
        (1, 15) => 16,
        (1, 16) => 17,
        _ => 19,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_page_is_told_from_an_archive() {
        assert_eq!(Looks::of(b"\n  <!DOCTYPE html><title>502</title>"), Looks::WebPage);
        assert_eq!(Looks::of(b"<?xml version=\"1.0\"?><Error/>"), Looks::Xml);
        assert_eq!(Looks::of(b"{\"error\":\"expired\"}"), Looks::Json);
        assert_eq!(Looks::of(b"--\n-- PostgreSQL database dump\n--"), Looks::PlainSql);
        assert_eq!(Looks::of(b"\x1f\x8b\x08\x00"), Looks::Gzip);
        assert_eq!(Looks::of(b"PGDMP\x01\x0e\x00"), Looks::Dump);
        assert_eq!(Looks::of(b"\xff\xfe\x00"), Looks::Unknown);
    }

    #[test]
    fn a_header_tells_the_tool_it_needs() {
        let header = DumpHeader::parse(b"PGDMP\x01\x10\x00\x04\x08\x01rest").expect("a custom header");
        assert_eq!(header.version, (1, 16, 0));
        assert_eq!(header.needs_major(), 17);
    }

    #[test]
    fn another_format_or_a_stump_is_refused() {
        let reason = |head: &[u8]| DumpHeader::parse(head).map_err(|e| e.reason());
        assert_eq!(reason(b"PGDMP\x01\x0e\x00\x04\x08\x05rest"), Err("not-custom-format"));
        assert_eq!(reason(b"PGDMP\x01\x0e"), Err("header-cut"));
        assert_eq!(reason(b""), Err("dump-empty"));
    }
}
