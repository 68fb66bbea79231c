//! The platform's backups: the list, and the bytes of one.

use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::{Stream, StreamExt as _};
use tokio::time::Instant;

use super::ProofError;
use crate::providers::http::{Download, ProviderError};
use crate::providers::scalingo::backups::{Backup, BackupStatus};
use crate::providers::scalingo::{AddonRef, Scalingo};
use crate::store::ListedBackup;

/// Where a plan's backups are.
#[derive(Debug)]
pub(super) struct Source {
    platform: Scalingo,
    addon: AddonRef,
}

impl Source {
    /// The addon `addon` of `app`, by its id or its provider's. It may be down: only its backups are wanted.
    pub(super) async fn find(platform: Scalingo, app: &str, addon: &str) -> Result<Self, ProofError> {
        let addons = platform.addons(app).await.map_err(failed("list the app's addons"))?;
        let ours = |provider: &str| provider.eq_ignore_ascii_case(addon);
        let found = addons.into_iter().find(|one| one.id == addon || ours(&one.addon_provider.id));
        let none = || ProofError::NoAddon { app: app.to_owned(), addon: addon.to_owned() };
        let addon = AddonRef { app: app.to_owned(), addon: found.ok_or_else(none)?.id };
        Ok(Self { platform, addon })
    }

    /// The finished backups.
    pub(super) async fn list(&self) -> Result<Vec<ListedBackup>, ProofError> {
        let listed =
            self.platform.backups(&self.addon).await.map_err(failed("list the database's backups"))?;
        Ok(listed.into_iter().filter(|backup| backup.status == BackupStatus::Done).map(seen).collect())
    }

    /// The bytes of one. `None` if it is listed and cannot be had.
    pub(super) async fn download(&self, backup: &str) -> Result<Option<Download>, ProviderError> {
        self.platform.download_backup(&self.addon, backup).await
    }
}

fn seen(backup: Backup) -> ListedBackup {
    ListedBackup {
        taken_at: taken_at(&backup),
        backup: backup.id,
        name: backup.name,
        size_bytes: backup.size.and_then(|size| i64::try_from(size).ok()),
    }
}

fn taken_at(backup: &Backup) -> Option<DateTime<Utc>> {
    backup.created_at.or(backup.started_at)
}

fn failed(doing: &'static str) -> impl Fn(ProviderError) -> ProofError {
    move |source| ProofError::Platform { doing, source }
}

/// The same bytes, no faster than so many in a second.
pub(super) fn paced<S, E>(body: S, most: Option<u64>) -> impl Stream<Item = Result<Bytes, E>>
where
    S: Stream<Item = Result<Bytes, E>>,
{
    let began = Instant::now();
    let mut sent: u64 = 0;
    body.then(move |piece| {
        sent += piece.as_ref().map_or(0, |piece| piece.len() as u64);
        let due = most.map(|most| began + share(sent, most));
        async move {
            if let Some(due) = due {
                tokio::time::sleep_until(due).await;
            }
            piece
        }
    })
}

#[expect(clippy::cast_precision_loss, reason = "a rate needs no more than 52 bits")]
fn share(sent: u64, most: u64) -> Duration {
    Duration::from_secs_f64(sent as f64 / most.max(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_download_is_no_faster_than_it_may_be() {
        let pieces = (0..8).map(|_| Ok::<_, std::io::Error>(Bytes::from_static(&[0; 1024])));
        let began = Instant::now();
        let got: Vec<_> = paced(futures::stream::iter(pieces.clone()), Some(2048)).collect().await;
        assert_eq!(got.len(), 8);
        let took = began.elapsed();
        assert!(took >= Duration::from_secs(4) && took < Duration::from_millis(4100), "{took:?}");
        let began = Instant::now();
        paced(futures::stream::iter(pieces), None).collect::<Vec<_>>().await;
        assert_eq!(began.elapsed(), Duration::ZERO);
    }
}
