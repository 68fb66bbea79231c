//! What the archive holds already, asked by many copies at a time: whoever has the turn asks for all that wait.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use tokio::sync::{Mutex as Turn, oneshot};

use self::filter::Filter;
use crate::archive::error::Result;
use crate::archive::known::Known;
use crate::store::Store;

mod filter;

/// A content that the archive holds undamaged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Holding {
    /// It looks random.
    pub(super) noise: bool,
    /// Until when it is locked.
    pub(super) locked: Option<DateTime<Utc>>,
}

type Question = ([u8; 32], oneshot::Sender<Option<Holding>>);

/// Questions of one run. None is lost when one that had the turn is cancelled: those that it asked for ask again.
#[derive(Debug)]
pub(super) struct Lookups {
    store: Store,
    plan: String,
    known: Arc<Known>,
    /// What was asked for in this run.
    seen: Filter,
    waiting: Mutex<Vec<Question>>,
    turn: Turn<()>,
}

impl Lookups {
    pub(super) fn new(store: Store, plan: String, known: Arc<Known>) -> Self {
        let (seen, waiting) = (Filter::new(), Mutex::default());
        Self { store, plan, known, seen, waiting, turn: Turn::default() }
    }

    /// The content of this digest, if the archive holds it undamaged. One that is new is expected to be put by whoever asked.
    pub(super) async fn ask(&self, sha256: [u8; 32]) -> Result<Option<Holding>> {
        let known = self.known.contents().await?;
        if known.is_some_and(|known| !known.holds(&sha256)) && self.seen.is_new(&sha256) {
            return Ok(None);
        }
        self.look(sha256).await
    }

    /// The same of a content that is not going to be put.
    pub(super) async fn look(&self, sha256: [u8; 32]) -> Result<Option<Holding>> {
        loop {
            let (tell, mut told) = oneshot::channel();
            self.waiting().push((sha256, tell));
            let _turn = self.turn.lock().await;
            match told.try_recv() {
                Ok(holding) => return Ok(holding),
                Err(oneshot::error::TryRecvError::Empty) => self.answer().await?,
                Err(oneshot::error::TryRecvError::Closed) => continue,
            }
            if let Ok(holding) = told.try_recv() {
                return Ok(holding);
            }
        }
    }

    async fn answer(&self) -> Result<()> {
        let questions = std::mem::take(&mut *self.waiting());
        let mut digests: Vec<_> = questions.iter().map(|(sha256, _)| sha256.to_vec()).collect();
        digests.sort_unstable();
        digests.dedup();
        let held = self.store.archive_holds(&self.plan, &digests).await?;
        for (sha256, tell) in questions {
            let found = held.iter().find(|(digest, ..)| *digest == sha256);
            let found = found.map(|(_, _, noise, locked)| Holding { noise: *noise, locked: *locked });
            // Whoever asked may be gone.
            tell.send(found).ok();
        }
        Ok(())
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Question>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
