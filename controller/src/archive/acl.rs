//! Access control lists: read with each object that is copied, put back with each that is restored. A store that has none, does not
//! show them to our key pair, or fails over them again and again, costs the lists and nothing else.

use std::sync::{Mutex, PoisonError};

use super::Place;
use super::error::{ArchiveError, Result};
use crate::providers::s3::{Acl, S3Error};

/// Refusals after which nothing more is asked, where none was answered: each costs a request.
const PATIENCE: u32 = 8;

/// The access control lists of one bucket, during one run.
#[derive(Debug, Default)]
pub struct Acls(Mutex<Heard>);

#[derive(Debug, Default)]
struct Heard {
    /// The store has answered once.
    answered: bool,
    refusals: u32,
    why: Option<String>,
}

impl Acls {
    /// The list of an object; `None` where it is not known.
    pub async fn read(&self, place: &Place, key: &str, version: Option<&str>) -> Result<Option<Acl>> {
        if self.is_over() {
            return Ok(None);
        }
        match place.s3.acl(&place.bucket, key, version).await {
            Ok(acl) => {
                self.heard().answered = true;
                Ok(Some(acl))
            }
            // Gone meanwhile: what was read of it is archived all the same.
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => self.refused(error, "reading an object's access control list").map(|()| None),
        }
    }

    /// Puts the list of an object.
    pub async fn put(&self, place: &Place, key: &str, acl: &Acl) -> Result<()> {
        if self.is_over() {
            return Ok(());
        }
        match place.s3.set_acl(&place.bucket, key, acl).await {
            Ok(()) => {
                self.heard().answered = true;
                Ok(())
            }
            Err(error) => self.refused(error, "granting access to an object"),
        }
    }

    /// Why some lists were neither read nor put, if it is so.
    pub fn why(&self) -> Option<String> {
        self.heard().why.clone()
    }

    fn is_over(&self) -> bool {
        let heard = self.heard();
        !heard.answered && heard.refusals >= PATIENCE
    }

    fn refused(&self, error: S3Error, doing: &'static str) -> Result<()> {
        let none = error.is_unsupported() || error.is_incomplete();
        if !none && !error.is_denied() && !error.is_broken() {
            return Err(ArchiveError::outside(doing)(error));
        }
        let mut heard = self.heard();
        heard.refusals += if none { PATIENCE } else { 1 };
        heard.why.get_or_insert_with(|| error.to_string());
        Ok(())
    }

    fn heard(&self) -> std::sync::MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
