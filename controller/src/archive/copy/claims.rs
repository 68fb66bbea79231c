//! What the source claims of an object, and what may be asked on that condition.

use crate::archive::format::is_md5;
use crate::providers::s3::Found;

/// The MD5 that the source claims, if its entity tag is one.
pub(super) fn claimed(found: &Found) -> Option<&str> {
    (!found.proof.is_encrypted && is_md5(&found.etag)).then_some(found.etag.as_str())
}

/// A condition that holds for what was listed; none, where the store's lists have no entity tags.
pub(super) fn condition(etag: &str) -> Option<&str> {
    Some(etag).filter(|etag| !etag.is_empty())
}

#[cfg(test)]
mod tests {
    use futures::StreamExt as _;

    use super::*;
    use crate::providers::s3::{Headers, Proof};

    #[test]
    fn a_tag_of_a_source_that_encrypts_claims_nothing() {
        let etag = "0cc175b9c0f1b6a831c399e269772661";
        let claims = |etag: &str, is_encrypted| {
            let (headers, body) = (Headers::default(), futures::stream::empty().boxed());
            let proof = Proof { checksum: None, is_encrypted };
            let (version, modified) = (None, None);
            let found = Found {
                size: 1,
                etag: etag.into(),
                version,
                modified,
                headers,
                tags: 0,
                proof,
                body,
                part_of: None,
            };
            claimed(&found).is_some()
        };
        assert!(claims(etag, false) && !claims(etag, true));
        assert!(!claims("0cc175b9c0f1b6a831c399e269772661-2", false));
        assert_eq!((condition(""), condition("e")), (None, Some("e")));
    }
}
