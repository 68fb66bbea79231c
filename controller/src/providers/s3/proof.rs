//! What a store says of an object's bytes: a checksum, or that its entity tag is none.

use http::HeaderMap;

/// Checksums that a store may name, the dearest to compute last.
pub(super) const NAMED: [&str; 5] = ["crc32c", "crc32", "crc64nvme", "sha1", "sha256"];

/// What the head of an answer says of the whole object's bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proof {
    /// The kind of a checksum of all bytes, and what it is.
    pub checksum: Option<(&'static str, String)>,
    /// The store encrypts with a key of its own: whatever its entity tag looks like, it is no MD5.
    pub is_encrypted: bool,
}

impl Proof {
    /// Source: S3 API, "Checking object integrity": a tag is an MD5 unless an object was sent in parts, or is encrypted by SSE-C or SSE-KMS;
    /// checksums of parts end in `-` and their number, or are called `COMPOSITE`. Garage says neither, and some keep the checksum of what
    /// was there before: of what was sent in parts only a checksum counts that is called one of all.
    pub(super) fn of(head: &HeaderMap) -> Self {
        let text = |name: &str| head.get(name).and_then(|value| value.to_str().ok());
        let whole = match text("x-amz-checksum-type") {
            Some(kind) => !kind.eq_ignore_ascii_case("COMPOSITE"),
            None => !text("etag").is_some_and(|etag| etag.contains('-')),
        };
        let checksum = NAMED.into_iter().filter(|_| whole).find_map(|name| {
            let claimed = text(&format!("x-amz-checksum-{name}"))?;
            (!claimed.contains('-')).then(|| (name, claimed.to_owned()))
        });
        let by_key = text("x-amz-server-side-encryption").is_some_and(|kind| kind.starts_with("aws:kms"));
        let is_encrypted = by_key || head.contains_key("x-amz-server-side-encryption-customer-algorithm");
        Self { checksum, is_encrypted }
    }

    /// Whether both are of the same bytes; `None` where they do not tell. Pure.
    pub fn agrees(&self, other: &Self) -> Option<bool> {
        let (ours, theirs) = (self.checksum.as_ref()?, other.checksum.as_ref()?);
        (ours.0 == theirs.0).then(|| ours.1 == theirs.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proof(headers: &[(&'static str, &'static str)]) -> Proof {
        Proof::of(
            &headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect(),
        )
    }

    #[test]
    fn only_a_checksum_of_the_whole_is_one() {
        let whole = proof(&[("x-amz-checksum-crc32", "y/Q5Jg=="), ("x-amz-checksum-type", "FULL_OBJECT")]);
        assert_eq!(whole.checksum, Some(("crc32", "y/Q5Jg==".to_owned())));
        assert_eq!(proof(&[("x-amz-checksum-crc32", "y/Q5Jg==-2")]).checksum, None);
        let parts = proof(&[("x-amz-checksum-crc32", "y/Q5Jg=="), ("x-amz-checksum-type", "COMPOSITE")]);
        assert_eq!((parts.checksum.clone(), whole.agrees(&parts)), (None, None));
        let silent = |etag| proof(&[("x-amz-checksum-crc32", "y/Q5Jg=="), ("etag", etag)]).checksum;
        assert_eq!(silent("\"0cc175b9c0f1b6a831c399e269772661-2\""), None);
        assert!(silent("\"0cc175b9c0f1b6a831c399e269772661\"").is_some());
        assert_eq!(whole.agrees(&proof(&[("x-amz-checksum-crc32", "AAAAAA==")])), Some(false));
        assert_eq!(whole.agrees(&proof(&[("x-amz-checksum-sha1", "AAAAAA==")])), None);
        assert_eq!(whole.agrees(&whole), Some(true));
    }

    #[test]
    fn a_store_that_encrypts_with_a_key_says_so() {
        assert!(proof(&[("x-amz-server-side-encryption", "aws:kms:dsse")]).is_encrypted);
        assert!(proof(&[("x-amz-server-side-encryption-customer-algorithm", "AES256")]).is_encrypted);
        // With the store's own key the tag stays an MD5.
        assert!(!proof(&[("x-amz-server-side-encryption", "AES256")]).is_encrypted);
    }
}
