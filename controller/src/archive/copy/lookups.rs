//! What the archive holds already, asked by many copies at a time: whoever has the turn asks for all that wait.

use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use tokio::sync::{Mutex as Turn, oneshot};

use crate::archive::error::Result;
use crate::store::Store;

/// `None`: the archive does not hold it. Else until when it is locked.
pub(super) type Holding = Option<Option<DateTime<Utc>>>;

type Question = ([u8; 32], oneshot::Sender<Holding>);

/// Questions of one run. None is lost when one that had the turn is cancelled: those that it asked for ask again.
#[derive(Debug)]
pub(super) struct Lookups<'a> {
    store: &'a Store,
    plan: &'a str,
    waiting: Mutex<Vec<Question>>,
    turn: Turn<()>,
}

impl<'a> Lookups<'a> {
    pub(super) fn new(store: &'a Store, plan: &'a str) -> Self {
        Self { store, plan, waiting: Mutex::default(), turn: Turn::default() }
    }

    /// Whether the archive holds this content undamaged.
    pub(super) async fn ask(&self, sha256: [u8; 32]) -> Result<Holding> {
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
        let held = self.store.archive_holds(self.plan, &digests).await?;
        for (sha256, tell) in questions {
            let found = held.iter().find(|(digest, ..)| *digest == sha256);
            // Whoever asked may be gone.
            tell.send(found.map(|(.., locked)| *locked)).ok();
        }
        Ok(())
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Question>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
