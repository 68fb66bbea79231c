//! Walking sorted keys by prefix, delimiter and marker; shared by every listing. Pure.
//!
//! Keys that share a *common prefix* (up to the delimiter) are one item. An item at or before the marker is skipped, so the
//! last item of a page is the marker of the next one, be it a key or a common prefix.

use std::collections::BTreeMap;
use std::ops::Bound;

/// What is walked over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Walk<'a> {
    /// Only keys that begin like this.
    pub(crate) prefix: &'a str,
    /// Where common prefixes end; empty for none.
    pub(crate) delimiter: &'a str,
    /// Only items after this one.
    pub(crate) after: &'a str,
    /// At most so many items.
    pub(crate) most: usize,
}

/// One item of a page.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Item<'a, V> {
    /// A key with what belongs to it.
    Key(&'a str, &'a V),
    /// All keys that begin like this.
    Prefix(&'a str),
}

impl<V> Item<'_, V> {
    /// The name by which the next page finds its start.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Key(name, _) | Self::Prefix(name) => name,
        }
    }
}

/// A page of items, and whether there are more.
pub(crate) fn page<'a, V>(
    keys: &'a BTreeMap<String, V>,
    walk: Walk<'_>,
    shown: impl Fn(&V) -> bool,
) -> (Vec<Item<'a, V>>, bool) {
    let mut items = Vec::new();
    if walk.most == 0 {
        return (items, false);
    }
    let start =
        if walk.after >= walk.prefix { Bound::Excluded(walk.after) } else { Bound::Included(walk.prefix) };
    let mut range = keys.range::<str, _>((start, Bound::Unbounded));
    while let Some((key, value)) = range.next() {
        if !key.starts_with(walk.prefix) {
            break;
        }
        if !shown(value) {
            continue;
        }
        let common = common_prefix(key, walk);
        if common.is_some_and(|common| common <= walk.after) {
            range = keys
                .range::<str, _>((Bound::Excluded(&*beyond(common.unwrap_or_default())), Bound::Unbounded));
            continue;
        }
        if items.len() == walk.most {
            return (items, true);
        }
        match common {
            None => items.push(Item::Key(key, value)),
            Some(common) => {
                items.push(Item::Prefix(common));
                range = keys.range::<str, _>((Bound::Excluded(&*beyond(common)), Bound::Unbounded));
            }
        }
    }
    (items, false)
}

fn common_prefix<'k>(key: &'k str, walk: Walk<'_>) -> Option<&'k str> {
    if walk.delimiter.is_empty() {
        return None;
    }
    let found = key[walk.prefix.len()..].find(walk.delimiter)?;
    Some(&key[..walk.prefix.len() + found + walk.delimiter.len()])
}

/// A name after every key that begins with `prefix` (save those that go on with the very last character there is).
fn beyond(prefix: &str) -> String {
    format!("{prefix}{}", char::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(keys: &[&str], prefix: &str, delimiter: &str, after: &str, most: usize) -> (Vec<String>, bool) {
        let keys: BTreeMap<String, u8> = keys.iter().map(|key| ((*key).to_owned(), 0)).collect();
        let (items, more) = page(&keys, Walk { prefix, delimiter, after, most }, |_| true);
        (items.iter().map(|item| item.name().to_owned()).collect(), more)
    }

    #[test]
    fn a_delimiter_folds_what_lies_below() {
        let keys = ["a", "b/1", "b/2", "c/x/y", "d"];
        assert_eq!(names(&keys, "", "/", "", 10).0, ["a", "b/", "c/", "d"]);
        assert_eq!(names(&keys, "c/", "/", "", 10).0, ["c/x/"]);
    }

    #[test]
    fn a_common_prefix_as_marker_skips_all_of_it() {
        assert_eq!(names(&["b/1", "b/2", "c"], "", "/", "b/", 10).0, ["c"]);
    }

    #[test]
    fn a_full_page_that_is_the_last_is_not_truncated() {
        assert_eq!(names(&["a", "b"], "", "", "", 2), (vec!["a".into(), "b".into()], false));
        assert!(names(&["a", "b/1", "b/2"], "", "/", "", 1).1);
    }

    proptest! {
        #[test]
        fn pages_put_together_are_the_whole(
            keys in prop::collection::btree_set("[ab/é]{1,6}", 0..40),
            prefix in "[ab/]{0,2}",
            delimiter in "/?",
            most in 1_usize..5,
        ) {
            let keys: BTreeMap<String, u8> = keys.into_iter().map(|key| (key, 0)).collect();
            let of = |after: &str, most| {
                let (items, more) = page(&keys, Walk { prefix: &prefix, delimiter: &delimiter, after, most }, |_| true);
                (items.iter().map(|item| item.name().to_owned()).collect::<Vec<_>>(), more)
            };
            let (whole, _) = of("", usize::MAX);
            let (mut together, mut after) = (Vec::new(), String::new());
            loop {
                let (items, more) = of(&after, most);
                after = items.last().cloned().unwrap_or_default();
                together.extend(items);
                if !more { break }
            }
            prop_assert_eq!(together, whole);
        }
    }
}
