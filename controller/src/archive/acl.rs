//! Access control lists: read with each object that is copied, put back with each that is restored. A store that has none, or does not
//! show them to our key pair, costs the lists and nothing else; one that fails over single lists costs those, until the next run.

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
    /// How often it failed, however often it was asked.
    broken: u32,
    why: Option<String>,
}

/// What the store says of an object's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// This.
    List(Acl),
    /// Nothing: it has none, does not show it, or the object is gone.
    Nothing,
    /// It failed, and may not the next time.
    Failed,
}

impl Acls {
    /// The list of an object.
    pub async fn read(&self, place: &Place, key: &str, version: Option<&str>) -> Result<Told> {
        if self.is_over() {
            return Ok(Told::Nothing);
        }
        match place.s3.acl(&place.bucket, key, version).await {
            Ok(acl) => {
                self.heard().answered = true;
                Ok(Told::List(acl))
            }
            // Gone meanwhile: what was read of it is archived all the same.
            Err(error) if error.is_not_found() => Ok(Told::Nothing),
            Err(error) => self.refused(error, "reading an object's access control list"),
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
            Err(error) => self.refused(error, "granting access to an object").map(drop),
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

    fn refused(&self, error: S3Error, doing: &'static str) -> Result<Told> {
        let mut heard = self.heard();
        let told = if error.is_unsupported() || error.is_incomplete() {
            heard.refusals += PATIENCE;
            Told::Nothing
        } else if error.is_refused() {
            heard.refusals += 1;
            Told::Nothing
        } else if error.is_broken() && (heard.answered || heard.broken < PATIENCE) {
            heard.broken += 1;
            Told::Failed
        } else {
            return Err(ArchiveError::outside(doing)(error));
        };
        heard.why.get_or_insert_with(|| error.to_string());
        Ok(told)
    }

    fn heard(&self) -> std::sync::MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
