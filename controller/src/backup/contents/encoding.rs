//! The encoding that a dump's text and names are in: that of its source, unless `pg_dump` was told another.

use std::borrow::Cow;

/// A dump's encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::backup) enum DumpEncoding {
    /// UTF-8, or none was told yet.
    #[default]
    Utf8,
    /// `SQL_ASCII`: nobody knows what the bytes above 127 mean, not even the server.
    Unknown,
    /// Another one.
    Other(&'static encoding_rs::Encoding),
}

impl DumpEncoding {
    /// The encoding of PostgreSQL's name for it. One that nobody here can read is taken for unknown.
    pub(in crate::backup) fn named(name: &str) -> Self {
        let label = match name {
            "UTF8" => return Self::Utf8,
            // The standard's own has nothing but control characters where this one differs.
            "LATIN1" => "windows-1252",
            "LATIN2" => "iso-8859-2",
            "LATIN3" => "iso-8859-3",
            "LATIN4" => "iso-8859-4",
            "LATIN5" => "windows-1254",
            "LATIN6" => "iso-8859-10",
            "LATIN7" => "iso-8859-13",
            "LATIN8" => "iso-8859-14",
            "LATIN9" => "iso-8859-15",
            "LATIN10" => "iso-8859-16",
            "ISO_8859_5" => "iso-8859-5",
            "ISO_8859_6" => "iso-8859-6",
            "ISO_8859_7" => "iso-8859-7",
            "ISO_8859_8" => "iso-8859-8",
            "WIN866" => "ibm866",
            "WIN874" => "windows-874",
            "KOI8R" => "koi8-r",
            "KOI8U" => "koi8-u",
            "EUC_JP" => "euc-jp",
            "EUC_KR" | "UHC" => "euc-kr",
            "EUC_CN" | "GBK" => "gbk",
            "GB18030" => "gb18030",
            "BIG5" => "big5",
            "SJIS" => "shift_jis",
            _ => match name.strip_prefix("WIN") {
                Some(page) => return Self::labelled(&format!("windows-{page}")),
                None => return Self::Unknown,
            },
        };
        Self::labelled(label)
    }

    fn labelled(label: &str) -> Self {
        encoding_rs::Encoding::for_label(label.as_bytes()).map_or(Self::Unknown, Self::Other)
    }

    /// The text that `bytes` are. What is no text in it becomes U+FFFD.
    pub(in crate::backup) fn decode(self, bytes: &[u8]) -> Cow<'_, str> {
        match self {
            Self::Utf8 | Self::Unknown => String::from_utf8_lossy(bytes),
            Self::Other(encoding) => encoding.decode_without_bom_handling(bytes).0,
        }
    }
}

/// The encoding that `SET client_encoding = 'NAME'` tells.
pub(in crate::backup) fn told_by(statement: &str) -> Option<DumpEncoding> {
    let name = statement.trim().strip_prefix("SET client_encoding = '")?.split('\'').next()?;
    Some(DumpEncoding::named(name))
}

/// Looks whether bytes without a known encoding are UTF-8 after all, in pieces of any size.
#[derive(Debug, Default)]
pub(super) struct Utf8Watch {
    /// The beginning of a character whose rest is in the next piece.
    open: Vec<u8>,
    broken: bool,
}

impl Utf8Watch {
    pub(super) fn feed(&mut self, piece: &[u8]) {
        if self.broken {
            return;
        }
        let mut joined = std::mem::take(&mut self.open);
        let bytes = if joined.is_empty() {
            piece
        } else {
            joined.extend_from_slice(piece);
            joined.as_slice()
        };
        if let Err(error) = std::str::from_utf8(bytes) {
            match error.error_len() {
                None => self.open = bytes[error.valid_up_to()..].to_vec(),
                Some(_) => self.broken = true,
            }
        }
    }

    /// Whether all of it was UTF-8.
    pub(super) fn holds(&self) -> bool {
        !self.broken && self.open.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoding_of_a_dump_is_read_by_its_name_in_postgresql() {
        let decode = |name, bytes: &[u8]| DumpEncoding::named(name).decode(bytes).into_owned();
        assert_eq!(decode("LATIN1", b"\xe9l\xe8ve"), "élève");
        assert_eq!(decode("WIN1251", b"\xcc\xe8\xf0"), "Мир");
        assert_eq!(decode("UTF8", "élève".as_bytes()), "élève");
        assert_eq!(told_by("\nSET client_encoding = 'SQL_ASCII'"), Some(DumpEncoding::Unknown));
        assert_eq!(told_by("SET standard_conforming_strings = on"), None);
    }

    #[test]
    fn characters_across_pieces_are_whole() {
        let holds = |pieces: &[&[u8]]| {
            let mut watch = Utf8Watch::default();
            for piece in pieces {
                watch.feed(piece);
            }
            watch.holds()
        };
        assert!(holds(&[b"Zo\xc3", b"\xa9 \xe2", b"\x82", b"\xac"]));
        assert!(!holds(&[b"Zo\xe9", b" Durand"]) && !holds(&[b"Zo\xc3"]));
    }
}
