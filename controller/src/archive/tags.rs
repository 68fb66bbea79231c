//! Tags: put back with each object that is restored, and read again on request. A store that has none, or does not let our key pair at
//! them, costs the tags and nothing else.

use std::collections::BTreeMap;
use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use super::Place;
use super::error::{ArchiveError, Result};
use crate::providers::s3::S3Error;

/// The tags of one bucket's objects, during one run or restore.
#[derive(Debug, Default)]
pub struct Tags {
    why: Mutex<Option<String>>,
    answered: AtomicBool,
    unsupported: AtomicBool,
}

impl Tags {
    /// Those of an object; `None` where the store does not tell.
    pub async fn read(
        &self,
        place: &Place,
        key: &str,
        version: Option<&str>,
    ) -> Result<Option<BTreeMap<String, String>>> {
        if self.is_over() {
            return Ok(None);
        }
        match place.s3.tags(&place.bucket, key, version).await {
            // Gone meanwhile: whoever lists it next knows.
            Err(error) if error.is_not_found() => Ok(None),
            answer => self.heard(answer, "reading an object's tags"),
        }
    }

    /// Puts those of an object.
    pub async fn put(&self, place: &Place, key: &str, tags: &BTreeMap<String, String>) -> Result<()> {
        if self.is_over() {
            return Ok(());
        }
        let put = place.s3.set_tags(&place.bucket, key, tags).await;
        self.heard(put, "tagging an object").map(drop)
    }

    /// Whether an object has these; where the store does not tell, as far as is known.
    pub async fn are(&self, place: &Place, key: &str, wanted: &BTreeMap<String, String>) -> Result<bool> {
        let seen = self.read(place, key, None).await?;
        Ok(seen.is_none_or(|seen| seen == *wanted))
    }

    /// Why some were neither put nor compared, if it is so.
    pub fn why(&self) -> Option<String> {
        self.why.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The store has none: each question costs a request.
    fn is_over(&self) -> bool {
        self.unsupported.load(Ordering::Relaxed) && !self.answered.load(Ordering::Relaxed)
    }

    fn heard<T>(&self, answer: std::result::Result<T, S3Error>, doing: &'static str) -> Result<Option<T>> {
        match answer {
            Ok(said) => {
                self.answered.store(true, Ordering::Relaxed);
                Ok(Some(said))
            }
            Err(error) if error.is_unsupported() || error.is_denied() => {
                self.unsupported.fetch_or(error.is_unsupported(), Ordering::Relaxed);
                let mut why = self.why.lock().unwrap_or_else(PoisonError::into_inner);
                why.get_or_insert_with(|| error.to_string());
                Ok(None)
            }
            Err(error) => Err(ArchiveError::outside(doing)(error)),
        }
    }
}
