//! Puts the entries of `ListObjectVersions` into one order.
//!
//! The protocol writes versions and delete markers mixed, as they follow each other under a key, and clients that undo
//! deletions rely on it; the library knows two lists and writes one after the other.

use s3s::Body;

/// An entry of the listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry {
    Version,
    Marker,
}

/// The order of the entries, put by the operation into its answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Order(pub(crate) Vec<Entry>);

impl Order {
    /// Mixes the entries of a written listing; one that has entries of one kind only is as it should be.
    pub(crate) fn apply(&self, body: &mut Body) {
        let Some(bytes) = body.bytes() else { return };
        let mixed = std::str::from_utf8(&bytes).ok().and_then(|text| self.mix(text));
        if let Some(mixed) = mixed {
            *body = Body::from(mixed);
        }
    }

    fn mix(&self, text: &str) -> Option<String> {
        let (head, markers, rest) = run(text, "DeleteMarker")?;
        let (middle, versions, tail) = run(rest, "Version")?;
        if markers.len() + versions.len() != self.0.len() {
            return None;
        }
        let (mut markers, mut versions) = (markers.into_iter(), versions.into_iter());
        let mut mixed = String::with_capacity(text.len());
        mixed.push_str(head);
        mixed.push_str(middle);
        for entry in &self.0 {
            mixed.push_str(match entry {
                Entry::Version => versions.next()?,
                Entry::Marker => markers.next()?,
            });
        }
        mixed.push_str(tail);
        Some(mixed)
    }
}

/// The neighbouring elements called `name`, what stands before them and what after.
fn run<'a>(text: &'a str, name: &str) -> Option<(&'a str, Vec<&'a str>, &'a str)> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let (head, mut rest) = text.split_at(text.find(&open)?);
    let mut elements = Vec::new();
    while rest.starts_with(&open) {
        let (element, after) = rest.split_at(rest.find(&close)? + close.len());
        elements.push(element);
        rest = after;
    }
    Some((head, elements, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITTEN: &str = "<L><DeleteMarker>1</DeleteMarker><DeleteMarker>2</DeleteMarker><Name>b</Name>\
                           <Version><Key>3</Key></Version><Version>4</Version></L>";

    #[test]
    fn entries_of_both_kinds_are_mixed() {
        let order = Order(vec![Entry::Version, Entry::Marker, Entry::Marker, Entry::Version]);
        assert_eq!(
            order.mix(WRITTEN).unwrap(),
            "<L><Name>b</Name><Version><Key>3</Key></Version><DeleteMarker>1</DeleteMarker>\
             <DeleteMarker>2</DeleteMarker><Version>4</Version></L>"
        );
    }

    #[test]
    fn an_order_of_something_else_changes_nothing() {
        assert_eq!(Order(vec![Entry::Version]).mix(WRITTEN), None);
        assert_eq!(Order(vec![Entry::Version]).mix("<L><Version>4</Version></L>"), None);
    }
}
