//! What travels with an object is looked at again after it was written: some stores take it and do not keep it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::RestoreOrder;
use super::tally::Tally;
use crate::archive::Archiver;
use crate::archive::format::Entry;
use crate::providers::s3::Headers;

/// A store that drops something drops it of each object: of so many it is seen.
const LOOKED_AT: u64 = 100;

/// What the target did not keep.
#[derive(Debug, Default)]
pub(super) struct Dress {
    looked_at: AtomicU64,
    lost: Mutex<Option<(String, Vec<&'static str>)>>,
}

impl Dress {
    /// In a sentence, of the first object that shows it.
    pub(super) fn told(&self) -> Option<String> {
        let lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        let (key, what) = lost.as_ref()?;
        Some(format!(
            "the target does not keep all that travels with objects: {} of `{key}`, for one, is not as it was written",
            what.join(", ")
        ))
    }
}

impl Archiver {
    /// Looks at an object that was just written.
    pub(super) async fn see_dress(&self, entry: &Entry, key: &str, (order, tally): (&RestoreOrder, &Tally)) {
        let wanted = entry.headers();
        let is_plain = entry.tags.is_empty() && is_plain(&wanted);
        if is_plain || tally.dress.looked_at.fetch_add(1, Ordering::Relaxed) >= LOOKED_AT {
            return;
        }
        // A target that shows nothing to this key pair has taken the object all the same.
        let Ok(Some(head)) = order.to.s3.head(&order.to.bucket, key).await else { return };
        let mut lost = dropped(&wanted, &head.metadata);
        if !entry.tags.is_empty() && matches!(tally.tags.are(&order.to, key, &entry.tags).await, Ok(false)) {
            lost.push("its tags");
        }
        if !lost.is_empty() {
            tracing::warn!(
                key,
                lost = lost.join(", "),
                "the target does not keep what travels with an object"
            );
            let mut told = tally.dress.lost.lock().unwrap_or_else(PoisonError::into_inner);
            told.get_or_insert_with(|| (key.to_owned(), lost));
        }
    }
}

/// Nothing but a media type, which each store keeps.
fn is_plain(headers: &Headers) -> bool {
    *headers == Headers { content_type: headers.content_type.clone(), ..Headers::default() }
}

/// What of `wanted` is not so. Pure.
fn dropped(wanted: &Headers, seen: &Headers) -> Vec<&'static str> {
    [
        ("Content-Type", wanted.content_type.is_none() || wanted.content_type == seen.content_type),
        ("Cache-Control", wanted.cache_control == seen.cache_control),
        ("Content-Disposition", wanted.content_disposition == seen.content_disposition),
        ("Content-Encoding", wanted.content_encoding == seen.content_encoding),
        ("Content-Language", wanted.content_language == seen.content_language),
        ("Expires", wanted.expires.is_none() || wanted.expires == seen.expires),
        (
            "the redirect",
            wanted.website_redirect.is_none() || wanted.website_redirect == seen.website_redirect,
        ),
        ("the metadata", wanted.user == seen.user),
    ]
    .into_iter()
    .filter_map(|(name, is_right)| (!is_right).then_some(name))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_target_dropped_is_named() {
        let wanted = Headers {
            content_type: Some("text/plain".into()),
            cache_control: Some("no-store".into()),
            user: [("owner".to_owned(), "a".to_owned())].into(),
            ..Headers::default()
        };
        assert_eq!(dropped(&wanted, &wanted), Vec::<&str>::new());
        let seen = Headers { content_type: wanted.content_type.clone(), ..Headers::default() };
        assert_eq!(dropped(&wanted, &seen), ["Cache-Control", "the metadata"]);
        assert!(!is_plain(&wanted) && is_plain(&seen));
        // A store names a type where none was sent.
        assert_eq!(dropped(&Headers::default(), &seen), Vec::<&str>::new());
    }
}
