//! A rare document that lists things, as a store sends it: the fields of its root, and a row for each thing. The name of the root does
//! not matter; values are taken letter for letter.

use std::collections::BTreeMap;

use quick_xml::{Reader, events::Event};

use super::listing::refer;

type Wrong = Box<dyn std::error::Error + Send + Sync>;
type Fields = BTreeMap<String, String>;

/// A document.
#[derive(Debug, Default)]
pub(super) struct Rows {
    /// What the root says of all of them.
    pub(super) fields: Fields,
    /// What each thing is, and its own fields.
    pub(super) rows: Vec<(String, Fields)>,
}

impl Rows {
    /// Whether more follow.
    pub(super) fn is_truncated(&self) -> bool {
        self.fields.get("IsTruncated").is_some_and(|more| more.trim() == "true")
    }

    /// A field of the root, if it says anything.
    pub(super) fn field(&self, name: &str) -> Option<String> {
        self.fields.get(name).filter(|value| !value.is_empty()).cloned()
    }
}

/// Reads a document whose things lie right below its root. What lies deeper than a thing's own fields is passed over.
pub(super) fn parse(text: &str) -> Result<Rows, Wrong> {
    let mut reader = Reader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let (mut found, mut names, mut row, mut value) =
        (Rows::default(), Vec::new(), Fields::new(), String::new());
    loop {
        match reader.read_event()? {
            Event::Start(element) => {
                names.push(String::from_utf8_lossy(element.local_name().as_ref()).into_owned());
                value.clear();
            }
            Event::Text(text) => value.push_str(&text.decode()?),
            Event::CData(text) => value.push_str(&text.decode()?),
            Event::GeneralRef(reference) => refer(&mut value, &reference)?,
            Event::End(_) => {
                let name = names.pop().unwrap_or_default();
                match names.len() {
                    2 => drop(row.insert(name, std::mem::take(&mut value))),
                    1 if row.is_empty() => drop(found.fields.insert(name, std::mem::take(&mut value))),
                    1 => found.rows.push((name, std::mem::take(&mut row))),
                    0 => return Ok(found),
                    _ => value.clear(),
                }
            }
            Event::Eof => return Err("it breaks off".into()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_and_fields_are_told_apart_and_values_kept_as_they_are() {
        let text = "<?xml version=\"1.0\"?>\n<Any xmlns=\"x\">\n <IsTruncated>true</IsTruncated>\n <Next/>\n <Thing>\n  <Key> a &amp; b </Key>\
                    <Owner><Key>other</Key></Owner>\n </Thing>\n <Marker><Key>c</Key></Marker>\n</Any>";
        let found = parse(text).unwrap();
        assert!(found.is_truncated() && found.field("Next").is_none());
        let rows: Vec<_> =
            found.rows.iter().map(|(kind, row)| (kind.as_str(), row["Key"].as_str())).collect();
        assert_eq!(rows, [("Thing", " a & b "), ("Marker", "c")]);
    }

    #[test]
    fn what_breaks_off_is_an_error() {
        for text in ["", "rubbish", "<Any><Thing><Key>a</Key></Thing>", "<Any>&unknown;</Any>"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
