//! What the archive held when a run began, in little memory: a run asks for every content that it refers to, and to ask the tables
//! for each costs more than all else that an unchanged object costs.

use chrono::{DateTime, Utc};
use futures::TryStreamExt as _;
use tokio::sync::OnceCell;

use super::Archiver;
use super::error::Result;
use crate::store::Store;

/// So many contents are remembered, in 16 MiB. Of a larger archive the tables are asked.
const MOST: usize = 1 << 20;

/// Read when it is first asked for.
#[derive(Debug)]
pub(super) struct Known {
    store: Store,
    plan: String,
    due: Option<DateTime<Utc>>,
    read: OnceCell<Option<Contents>>,
}

/// The contents that were held undamaged.
#[derive(Debug, Default)]
pub(super) struct Contents {
    held: Vec<u128>,
    /// Those of them whose lock ends too early.
    due: Vec<u128>,
}

impl Known {
    pub(super) fn new(archiver: &Archiver) -> Self {
        let Archiver { store, plan, vault, clock, .. } = archiver;
        let due = vault.lock_due(clock.now());
        Self { store: store.clone(), plan: plan.clone(), due, read: OnceCell::new() }
    }

    /// What was held; `None` if that is too much to be remembered.
    pub(super) async fn contents(&self) -> Result<Option<&Contents>> {
        Ok(self.read.get_or_try_init(|| self.read()).await?.as_ref())
    }

    async fn read(&self) -> Result<Option<Contents>> {
        let mut rows = std::pin::pin!(self.store.archive_undamaged(&self.plan, MOST + 1));
        let mut contents = Contents::default();
        while let Some((digest, locked)) = rows.try_next().await? {
            contents.add(&digest, self.due.is_some_and(|due| locked.is_none_or(|locked| locked < due)));
        }
        Ok((contents.held.len() <= MOST).then(|| contents.sorted()))
    }
}

impl Contents {
    fn add(&mut self, digest: &[u8], due: bool) {
        let Some(head) = head(digest) else { return };
        self.held.push(head);
        if due {
            self.due.push(head);
        }
    }

    fn sorted(mut self) -> Self {
        self.held.sort_unstable();
        self.due.sort_unstable();
        self
    }

    /// Whether it was held.
    pub(super) fn holds(&self, digest: &[u8]) -> bool {
        head(digest).is_some_and(|head| self.held.binary_search(&head).is_ok())
    }

    /// Whether it was held, and locked for long enough.
    pub(super) fn is_settled(&self, digest: &[u8]) -> bool {
        let due = |head: &u128| self.due.binary_search(head).is_ok();
        self.holds(digest) && !head(digest).as_ref().is_some_and(due)
    }
}

/// The first half of a digest: two contents that share it are not to be found in the lifetime of anything.
fn head(digest: &[u8]) -> Option<u128> {
    digest.first_chunk().map(|head| u128::from_be_bytes(*head))
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::*;

    #[test]
    fn a_content_is_known_by_its_digest_and_settled_unless_its_lock_is_due() {
        let digest = |number: u32| Sha256::digest(number.to_le_bytes());
        let mut contents = Contents::default();
        for number in 0..1_000 {
            contents.add(&digest(number), number % 10 == 0);
        }
        let contents = contents.sorted();
        for number in 0..1_000 {
            assert!(contents.holds(&digest(number)), "{number}");
            assert_eq!(contents.is_settled(&digest(number)), number % 10 != 0, "{number}");
        }
        assert!((1_000..2_000).all(|number| !contents.holds(&digest(number))));
        assert!(!contents.is_settled(b"short"));
    }
}
