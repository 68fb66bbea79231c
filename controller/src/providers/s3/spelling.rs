//! How a store's lists spell keys. One that is asked to escape them says whether it does, and some say so and send them as they are: then
//! `a+b` would be taken for `a b`, and an object that is there for one that vanished.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use super::{
    S3, S3Error,
    listing::{Page, is_raw, unescaped},
};

const UNKNOWN: u8 = 0;
const ESCAPED: u8 = 1;
const RAW: u8 = 2;

/// What is known of a store that says that it escapes keys. Clones know the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Spelling(Arc<AtomicU8>);

impl Spelling {
    fn known(&self) -> Option<bool> {
        match self.0.load(Ordering::Relaxed) {
            UNKNOWN => None,
            known => Some(known == ESCAPED),
        }
    }

    fn learn(&self, is_escaped: bool) -> bool {
        self.0.store(if is_escaped { ESCAPED } else { RAW }, Ordering::Relaxed);
        is_escaped
    }
}

impl S3 {
    /// The page with its keys as they are.
    pub(super) async fn spelt_out(&self, bucket: &str, page: Page) -> Result<Page, S3Error> {
        let is_escaped = page.escaped && self.escapes(bucket, &page).await?;
        Ok(if is_escaped { page.plain() } else { page })
    }

    /// Whether the store escapes keys, as it says of this page. The first one that could be meant in two ways is asked for in both.
    async fn escapes(&self, bucket: &str, page: &Page) -> Result<bool, S3Error> {
        if let Some(known) = self.spelling.known() {
            return Ok(known);
        }
        if page.keys().any(is_raw) {
            return Ok(self.spelling.learn(false));
        }
        let either = page.keys().map(|key| (unescaped(key), key)).find(|(other, key)| other != key);
        let Some((other, key)) = either else { return Ok(true) };
        if self.is_there(bucket, &other).await? {
            return Ok(self.spelling.learn(true));
        }
        // Neither, where it vanished since: the next page tells.
        Ok(!self.is_there(bucket, key).await? || self.spelling.learn(false))
    }

    /// Whether there is such an object, as far as this key pair may know.
    async fn is_there(&self, bucket: &str, key: &str) -> Result<bool, S3Error> {
        match self.head(bucket, key).await {
            Ok(head) => Ok(head.is_some()),
            Err(error) if error.is_refused() || error.is_incomplete() => Ok(false),
            Err(error) => Err(error),
        }
    }
}
