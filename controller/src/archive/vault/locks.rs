//! Locks that are there, and not only asked for: some stores pass over what they do not know, and others over where it is asked.

use chrono::{DateTime, TimeDelta, Utc};

use super::Vault;
use crate::archive::error::{ArchiveError, Result};
use crate::providers::s3::{Keeping, Lock};

/// What became of a lock that is to last longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lasting {
    /// The object is locked until then.
    Until(DateTime<Utc>),
    /// There is no such object any more: whoever needs it puts it again.
    Gone,
}

impl Vault {
    /// Where the plan wants locks, the bucket has them. Nothing is put before that is known: a store that has never heard of locks would
    /// take them in silence. A key pair that may not ask is believed to have been given such a bucket.
    pub async fn must_lock(&self) -> Result<()> {
        if self.lock.is_none() {
            return Ok(());
        }
        match self.s3.locks(&self.bucket).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.lockless(false)),
            Err(error) if error.is_denied() => Ok(()),
            Err(error) => Err(ArchiveError::inside("looking whether objects can be locked")(error)),
        }
    }

    /// What is said of a bucket without locks; `new`: it was made with them just now, as far as the store said.
    pub(super) fn lockless(&self, new: bool) -> ArchiveError {
        let bucket = &self.bucket;
        if new {
            return ArchiveError::Refused {
                why: format!(
                    "the bucket {bucket} was made, and the store gave it no object lock, which the plan wants"
                ),
                advice: "this store has no object lock, it seems: take `lock` out of the plan, which can use the bucket then; or name \
                         another store, and delete the bucket",
            };
        }
        ArchiveError::Refused {
            why: format!("the plan wants object lock, and the bucket {bucket} has none"),
            advice: "locks are given to a bucket when it is made: name another one and run `reprise archive init`, or take \
                     `lock` out of the plan",
        }
    }

    /// Locks what was put and is not locked as it is to be kept: Ceph passes over locks that are asked for with a copy or with an upload in
    /// parts. Safe to repeat.
    pub async fn see_lock(&self, key: &str, keeping: &Keeping) -> Result<()> {
        let inside = ArchiveError::inside("locking what was put");
        let Some(lock) = keeping.lock else { return Ok(()) };
        let head = self.s3.head(&self.bucket, key).await.map_err(&inside)?;
        // A store's dates may have no fractions.
        let due = lock.until - TimeDelta::seconds(1);
        if head.and_then(|head| head.locked_until).is_some_and(|until| until >= due) {
            return Ok(());
        }
        self.s3.lock(&self.bucket, key, lock).await.map_err(inside)
    }

    /// Locks for longer what runs refer to again. A lock that is refused may be there already, and longer: then it stays. Safe to repeat.
    pub async fn lock_longer(&self, key: &str, lock: Lock) -> Result<Lasting> {
        let error = match self.s3.lock(&self.bucket, key, lock).await {
            Ok(()) => return Ok(Lasting::Until(lock.until)),
            Err(error) => error,
        };
        let failed = |error| ArchiveError::inside("extending a lock")(error).of(key);
        // A marker that hides what was deleted without its version cannot be locked at all.
        if !error.is_refused() && !error.is_unsupported() {
            return Err(failed(error));
        }
        let head = self.s3.head(&self.bucket, key).await.map_err(failed)?;
        let Some(head) = head else { return Ok(Lasting::Gone) };
        let longer = head.locked_until.filter(|until| *until >= lock.until - TimeDelta::seconds(1));
        longer.map(Lasting::Until).ok_or_else(|| failed(error))
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

    use super::*;
    use crate::providers::s3::{
        Lock, Want,
        tests::{Answer, store},
    };

    const COPIED: Answer = (200, &[], "<CopyObjectResult><ETag>e</ETag></CopyObjectResult>");

    /// What a copy that is to be locked until 2027 asks of a store that answers so, and whether it is seen to be locked.
    async fn asked(answers: Vec<Answer>) -> (Vec<String>, bool) {
        let (s3, seen, _server) = store(answers).await;
        let (endpoint, bucket, prefix) = (String::new(), "b".to_owned(), String::new());
        let vault = Vault { s3, endpoint, bucket, prefix, storage_class: None, lock: None };
        let until: DateTime<Utc> = "2027-01-01T00:00:00.5Z".parse().unwrap();
        let keeping = Keeping { storage_class: None, lock: Some(Lock { compliance: false, until }) };
        vault.s3.copy_exactly(("b", "from"), Want::default(), ("b", "to"), 5, &keeping).await.unwrap();
        let locked = vault.see_lock("to", &keeping).await.is_ok();
        let seen = seen.lock().unwrap();
        assert_eq!(seen[0].2["content-md5"], "1B2M2Y8AsgTpgAmY7PhCfg==");
        (seen.iter().map(|(method, path, ..)| format!("{method} {path}")).collect(), locked)
    }

    #[tokio::test]
    async fn a_lock_that_was_passed_over_is_put() {
        let (asked, locked) = asked(vec![COPIED, (200, &[], ""), (200, &[], "")]).await;
        assert_eq!((asked.len(), locked), (3, true), "{asked:?}");
        assert!(asked[2].starts_with("PUT /b/to?retention"), "{asked:?}");
    }

    #[tokio::test]
    async fn a_lock_that_may_not_be_put_is_not_believed_to_be_there() {
        let (_, locked) = asked(vec![COPIED, (200, &[], ""), (403, &[], "")]).await;
        assert!(!locked);
    }

    #[tokio::test]
    async fn a_lock_that_is_there_is_left() {
        let head = (200, &[("x-amz-object-lock-retain-until-date", "2027-01-01T00:00:00Z")][..], "");
        assert_eq!(asked(vec![COPIED, head]).await, (vec!["PUT /b/to".into(), "HEAD /b/to".into()], true));
    }

    #[tokio::test]
    async fn a_lock_that_is_refused_is_longer_already_or_of_what_is_gone() {
        let until: DateTime<Utc> = "2027-01-01T00:00:00.5Z".parse().unwrap();
        let lock = Lock { compliance: false, until };
        let asked = async |answers: Vec<Answer>| {
            let (s3, _seen, _server) = store(answers).await;
            let (endpoint, bucket, prefix) = (String::new(), "b".to_owned(), String::new());
            let vault = Vault { s3, endpoint, bucket, prefix, storage_class: None, lock: None };
            vault.lock_longer("objects/00", lock).await.map_err(|error| error.to_string())
        };
        let head = |until: &'static str| -> Answer {
            match until {
                "2028" => (200, &[("x-amz-object-lock-retain-until-date", "2028-01-01T00:00:00Z")], ""),
                _ => (200, &[("x-amz-object-lock-retain-until-date", "2026-01-01T00:00:00Z")], ""),
            }
        };
        assert_eq!(asked(vec![(200, &[], "")]).await, Ok(Lasting::Until(until)));
        for status in [404, 405] {
            assert_eq!(asked(vec![(status, &[], ""), (404, &[], "")]).await, Ok(Lasting::Gone), "{status}");
        }
        let longer = "2028-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(asked(vec![(403, &[], ""), head("2028")]).await, Ok(Lasting::Until(longer)));
        let told = asked(vec![(403, &[], ""), head("2026")]).await.unwrap_err();
        assert!(told.contains("objects/00"), "{told}");
    }

    #[tokio::test]
    async fn a_store_that_has_never_heard_of_locks_has_none() {
        let listing = "<ListBucketResult><Name>b</Name></ListBucketResult>";
        let none = "<Error><Code>ObjectLockConfigurationNotFoundError</Code></Error>";
        let on = "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>";
        for (status, said, locks) in
            [(200, listing, false), (404, none, false), (501, "", false), (200, on, true)]
        {
            let (s3, _seen, _server) = store(vec![(status, &[], said)]).await;
            assert_eq!(s3.locks("b").await.unwrap(), locks, "{said}");
        }
    }
}
