//! What is left to do until a bucket holds what it should. Pure: what is wanted, what is listed.

use std::collections::HashMap;

/// An object that the bucket should hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its key in the bucket.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// The `ETag` that a true copy shows: the MD5 in hex of a plain upload, or the source's own of a store-side copy.
    pub etag: Option<String>,
}

/// An object that the bucket does hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its key.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// Its `ETag`, with or without quotes.
    pub etag: Option<String>,
}

/// What is left to do. Every wanted object is in exactly one of the first three, or counted as the same.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RefillPlan<'a> {
    /// Not there: to be put.
    pub missing: Vec<&'a Wanted>,
    /// There, and another by its length or its tag: to be put again, unless the tag turns out to be no digest.
    pub wrong: Vec<(&'a Wanted, &'a Listed)>,
    /// There with the right length, and its `ETag` cannot tell (a multipart upload): to be read and compared.
    pub unproven: Vec<(&'a Wanted, &'a Listed)>,
    /// There, and not wanted: to be told, and never deleted.
    pub extra: Vec<&'a Listed>,
    /// Objects that are as wanted.
    pub same: u64,
    /// Bytes in them.
    pub same_bytes: u64,
}

impl RefillPlan<'_> {
    /// Whether the bucket holds all that is wanted, each object proven.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.wrong.is_empty() && self.unproven.is_empty()
    }
}

/// Compares what is wanted with what is listed.
pub fn plan_refill<'a>(wanted: &'a [Wanted], listed: &'a [Listed]) -> RefillPlan<'a> {
    let mut left: HashMap<&str, &Listed> =
        listed.iter().map(|object| (object.key.as_str(), object)).collect();
    let mut plan = RefillPlan::default();
    for object in wanted {
        match left.remove(object.key.as_str()) {
            None => plan.missing.push(object),
            Some(found) if found.size != object.size => plan.wrong.push((object, found)),
            Some(found) => match same_content(object.etag.as_deref(), found.etag.as_deref()) {
                Some(true) => {
                    plan.same += 1;
                    plan.same_bytes += object.size;
                }
                Some(false) => plan.wrong.push((object, found)),
                None => plan.unproven.push((object, found)),
            },
        }
    }
    plan.extra = left.into_values().collect();
    plan.extra.sort_by(|a, b| a.key.cmp(&b.key));
    plan
}

/// Whether two tags speak of the same bytes; `None` if they cannot tell.
fn same_content(wanted: Option<&str>, found: Option<&str>) -> Option<bool> {
    let (wanted, found) = (bare(wanted?), bare(found?));
    if wanted == found {
        return Some(true);
    }
    (is_md5(&wanted) && is_md5(&found)).then_some(false)
}

fn bare(tag: &str) -> String {
    tag.trim().trim_start_matches("W/").trim_matches('"').to_ascii_lowercase()
}

/// The tag of a plain upload; that of a multipart one ends in the number of its parts.
fn is_md5(tag: &str) -> bool {
    tag.len() == 32 && tag.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "0cc175b9c0f1b6a831c399e269772661";
    const B: &str = "92eb5ffee6ae2fec3ad71c777531578f";

    fn wanted(key: &str, size: u64, etag: &str) -> Wanted {
        Wanted { key: key.into(), size, etag: Some(etag.into()) }
    }

    fn listed(key: &str, size: u64, etag: &str) -> Listed {
        Listed { key: key.into(), size, etag: Some(etag.into()) }
    }

    #[test]
    fn every_object_falls_into_its_one_place() {
        let want = [
            wanted("same", 1, A),
            wanted("gone", 1, A),
            wanted("short", 2, A),
            wanted("other", 1, A),
            wanted("parts", 1, A),
        ];
        let found = [
            listed("same", 1, &format!("\"{}\"", A.to_uppercase())),
            listed("short", 1, A),
            listed("other", 1, B),
            listed("parts", 1, &format!("{B}-2")),
            listed("stranger", 9, B),
        ];
        let plan = plan_refill(&want, &found);
        assert_eq!(plan.same, 1);
        assert_eq!(plan.missing, [&want[1]]);
        assert_eq!(plan.wrong, [(&want[2], &found[1]), (&want[3], &found[2])]);
        assert_eq!(plan.unproven, [(&want[4], &found[3])]);
        assert_eq!(plan.extra, [&found[4]]);
        assert!(!plan.is_complete());
    }

    #[test]
    fn a_copy_of_a_multipart_object_is_proven_by_its_own_tag() {
        let want = [wanted("parts", 1, &format!("{B}-2"))];
        let found = [listed("parts", 1, &format!("\"{B}-2\""))];
        assert!(plan_refill(&want, &found).is_complete());
    }
}
