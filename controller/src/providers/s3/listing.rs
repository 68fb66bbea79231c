//! A page of a list, as a store sends it. Read event by event: a key is taken letter for letter, and blanks at its ends belong to it.

use chrono::DateTime;
use quick_xml::{
    Reader,
    escape::resolve_predefined_entity,
    events::{BytesRef, Event},
};

use super::objects::{ObjectSummary, unquoted};

type Wrong = Box<dyn std::error::Error + Send + Sync>;

/// Some objects, and whether there are more.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// `None` in place of one whose key or size cannot be read.
    pub(super) objects: Vec<Option<ObjectSummary>>,
    pub(super) truncated: bool,
    pub(super) next: Option<String>,
    /// Its keys are escaped, as it says. That is asked for; a store that does it says so, and the others send them as they are.
    pub(super) escaped: bool,
}

impl Page {
    /// With keys as they are, where they are escaped.
    pub(super) fn plain(mut self) -> Self {
        for object in self.objects.iter_mut().flatten() {
            object.key = unescaped(&object.key);
        }
        self
    }

    /// The keys, as they are spelt here.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.objects.iter().flatten().map(|object| object.key.as_str())
    }
}

/// Source: S3 API "`ListObjectsV2`", `encoding-type`: as in forms, where a blank may be a plus sign.
pub(super) fn unescaped(key: &str) -> String {
    let key = key.replace('+', " ");
    // One that is no UTF-8 cannot be asked for: it costs itself, and not the list.
    percent_encoding::percent_decode_str(&key).decode_utf8_lossy().into_owned()
}

/// Whether no store that escapes keys would send this one. Pure.
pub(super) fn is_raw(key: &str) -> bool {
    let is_bare = |byte: u8| !byte.is_ascii_graphic() || b"\"<>".contains(&byte);
    let is_code =
        |rest: &str| rest.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
    key.bytes().any(is_bare) || key.split('%').skip(1).any(|rest| !is_code(rest))
}

/// What is read of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Truncated,
    Next,
    Encoding,
    Key,
    Size,
    Etag,
    Modified,
    Class,
}

impl Field {
    /// The field that an element is. Deeper ones, such as an owner's, are none.
    fn of(depth: usize, inside: bool, name: &[u8]) -> Option<Self> {
        match (depth, inside, name) {
            (2, false, b"IsTruncated") => Some(Self::Truncated),
            (2, false, b"NextContinuationToken") => Some(Self::Next),
            (2, false, b"EncodingType") => Some(Self::Encoding),
            (3, true, b"Key") => Some(Self::Key),
            (3, true, b"Size") => Some(Self::Size),
            (3, true, b"ETag") => Some(Self::Etag),
            (3, true, b"LastModified") => Some(Self::Modified),
            (3, true, b"StorageClass") => Some(Self::Class),
            _ => None,
        }
    }
}

/// An object, as far as it was read.
#[derive(Debug, Default)]
struct Entry {
    key: Option<String>,
    size: Option<u64>,
    etag: String,
    modified: Option<DateTime<chrono::Utc>>,
    class: Option<String>,
}

impl Entry {
    fn finish(self) -> Option<ObjectSummary> {
        let Self { key, size, etag, modified, class } = self;
        Some(ObjectSummary { key: key?, size: size?, etag, modified, storage_class: class })
    }
}

/// Reads the answer to `ListObjectsV2`.
pub(super) fn parse(text: &str) -> Result<Page, Wrong> {
    let mut reader = Reader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let (mut page, mut entry, mut value) = (Page::default(), None::<Entry>, String::new());
    let (mut depth, mut field, mut begun) = (0, None, false);
    loop {
        match reader.read_event()? {
            Event::Start(element) => {
                depth += 1;
                let name = element.local_name();
                match (depth, name.as_ref()) {
                    (1, b"ListBucketResult") => begun = true,
                    (1, _) => return Err("it is no list of objects".into()),
                    (2, b"Contents") => entry = Some(Entry::default()),
                    _ => {}
                }
                field = Field::of(depth, entry.is_some(), name.as_ref());
                value.clear();
            }
            Event::Text(text) if field.is_some() => value.push_str(&text.decode()?),
            Event::CData(text) if field.is_some() => value.push_str(&text.decode()?),
            Event::GeneralRef(reference) if field.is_some() => refer(&mut value, &reference)?,
            Event::End(_) => {
                if let Some(field) = field.take() {
                    keep(field, &value, &mut page, &mut entry);
                }
                if depth == 2
                    && let Some(entry) = entry.take()
                {
                    page.objects.push(entry.finish());
                }
                depth -= 1;
            }
            Event::Eof if depth == 0 && begun => return Ok(page),
            Event::Eof => return Err("it breaks off".into()),
            _ => {}
        }
    }
}

fn keep(field: Field, value: &str, page: &mut Page, entry: &mut Option<Entry>) {
    let text = || Some(value.to_owned());
    match (field, entry) {
        (Field::Truncated, _) => page.truncated = value.trim() == "true",
        (Field::Next, _) => page.next = text(),
        (Field::Encoding, _) => page.escaped = value.trim().eq_ignore_ascii_case("url"),
        (Field::Key, Some(entry)) => entry.key = text(),
        (Field::Size, Some(entry)) => entry.size = value.trim().parse().ok(),
        (Field::Etag, Some(entry)) => entry.etag = unquoted(Some(value.trim())),
        (Field::Modified, Some(entry)) => {
            entry.modified = DateTime::parse_from_rfc3339(value.trim()).ok().map(|date| date.to_utc());
        }
        (Field::Class, Some(entry)) => entry.class = text(),
        (_, None) => {}
    }
}

/// `&amp;` and `&#13;`.
pub(super) fn refer(value: &mut String, reference: &BytesRef<'_>) -> Result<(), Wrong> {
    if let Some(letter) = reference.resolve_char_ref()? {
        value.push(letter);
        return Ok(());
    }
    let name = reference.decode()?;
    value.push_str(resolve_predefined_entity(&name).ok_or_else(|| format!("nobody knows &{name};"))?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(contents: &str) -> ObjectSummary {
        let text = format!(
            "<?xml version=\"1.0\"?>\n<ListBucketResult xmlns=\"x\"><Contents>{contents}</Contents></ListBucketResult>"
        );
        let mut page = parse(&text).expect("a page");
        page.objects.remove(0).expect("an object")
    }

    #[test]
    fn a_key_is_taken_letter_for_letter() {
        let key = |text: &str| one(&format!("<Key>{text}</Key><Size>1</Size>")).key;
        assert_eq!(key("  blanks, everywhere  "), "  blanks, everywhere  ");
        assert_eq!(key("a &amp; b &lt;c&gt; &quot;d&quot; &apos;"), "a & b <c> \"d\" '");
        assert_eq!(key("line&#10;feed&#xD;return"), "line\nfeed\rreturn");
        assert_eq!(key("<![CDATA[<raw> & so]]>"), "<raw> & so");
        assert_eq!(key("é+%2F/../ü"), "é+%2F/../ü");
        assert_eq!(key(""), "");
    }

    #[test]
    fn keys_that_a_store_says_to_be_escaped_are_not_taken_as_they_are() {
        let list = |encoding: &str| {
            let text = format!(
                "<ListBucketResult><Contents><Key>a%2Bb+c/%C3%A9</Key><Size>1</Size></Contents>{encoding}</ListBucketResult>"
            );
            parse(&text).expect("a page").escaped
        };
        assert!(list("<EncodingType>url</EncodingType>"));
        assert!(!list("<EncodingType/>") && !list(""));
        assert_eq!(unescaped("a%2Bb+c/%C3%A9"), "a+b c/é");
        assert_eq!(unescaped("%E9"), "\u{FFFD}", "it costs itself, and not the list");
    }

    #[test]
    fn a_key_that_nobody_who_escapes_would_send_is_known() {
        for raw in ["é", "a b", "100%", "100%zz", "%2", "a\nb", "<a>"] {
            assert!(is_raw(raw), "{raw}");
        }
        for either in ["a+b", "a%20b", "a/b-c_d.e~f!g*h'(i)", "%C3%A9", ""] {
            assert!(!is_raw(either), "{either}");
        }
    }

    #[test]
    fn only_an_objects_own_fields_are_read() {
        let object = one(
            "<Key>k</Key><LastModified>2026-11-29T10:00:00.123Z</LastModified><ETag>&quot;e&quot;</ETag>\
             <Owner><ID>o</ID><Key>other</Key></Owner><Size>7</Size><StorageClass>GLACIER</StorageClass>\
             <RestoreStatus><Size>9</Size></RestoreStatus>",
        );
        assert_eq!((object.key.as_str(), object.size, object.etag.as_str()), ("k", 7, "e"));
        assert_eq!(object.storage_class.as_deref(), Some("GLACIER"));
        assert_eq!(object.modified.expect("a date").timestamp_subsec_millis(), 123);
    }

    #[test]
    fn what_is_no_whole_list_is_an_error() {
        for text in
            ["", "<html></html>", "<ListBucketResult><Contents><Key>k", "<ListBucketResult>", "rubbish"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(
            parse("<ListBucketResult><Contents><Key>&unknown;</Key></Contents></ListBucketResult>").is_err()
        );
        let page = parse("<ListBucketResult><IsTruncated>true</IsTruncated><Contents/></ListBucketResult>");
        let page = page.expect("a page");
        assert!(page.truncated && page.next.is_none() && matches!(page.objects.as_slice(), [None]));
    }
}
