//! A week of nightly backups, made by the real `pg_dump`; the newest three are bad, each in its own way.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Days, NaiveTime, TimeDelta, Utc};

use super::{EstateError, failed};
use crate::files::aside;
use crate::paas::{Deflated, SeedBackup};
use crate::sandbox::Parts;
use crate::seed::{Size, corrupt};

const NIGHTS: u64 = 7;

/// Makes the backups of the database `resource`.
pub(super) async fn make(parts: &Parts, resource: &str, size: Size) -> Result<(), EstateError> {
    let dump = dump(parts, resource, size).await?;
    let (source, now) = (dump.clone(), parts.world.clock.wall());
    let deflated = Arc::new(aside(move || Deflated::of(&source)).await.map_err(file)?);
    if size < Size::Large {
        // Oldest first: the order in which they were made.
        let nights = (0..NIGHTS).rev().map(|night| {
            let seed = SeedBackup { at: night_before(now, night), dump: Arc::clone(&deflated) };
            async move {
                let archive = parts.paas.seed_backup(resource, seed).await?;
                aside(move || spoil(&archive, &archive, night)).await.map_err(file)
            }
        });
        futures::future::try_join_all(nights).await?;
    } else {
        one_for_all(parts, resource, deflated, now).await?;
    }
    aside(move || std::fs::remove_file(dump)).await.map_err(file)?;
    Ok(parts.paas.refresh_backup_sizes(resource)?)
}

/// Gigabytes are packed once: the good archives are one file under several names, the bad ones are made of it.
async fn one_for_all(
    parts: &Parts,
    resource: &str,
    dump: Arc<Deflated>,
    now: DateTime<Utc>,
) -> Result<(), EstateError> {
    let oldest = NIGHTS - 1;
    let seed = SeedBackup { at: night_before(now, oldest), dump };
    let whole = parts.paas.seed_backup(resource, seed).await?;
    for night in (0..oldest).rev() {
        let archive = parts.paas.seed_listed_backup(resource, night_before(now, night))?;
        let whole = whole.clone();
        aside(move || spoil(&whole, &archive, night)).await.map_err(file)?;
    }
    Ok(())
}

/// A real dump of the database; one that was made of the very same content earlier will do.
async fn dump(parts: &Parts, resource: &str, size: Size) -> Result<PathBuf, EstateError> {
    let dump = parts.world.folder("paas").map_err(file)?.join("seed.pgsql");
    let databases = &parts.plane.databases;
    if let Some(earlier) = databases.dump_of_copy(resource) {
        let target = dump.clone();
        if aside(move || std::fs::copy(earlier, target)).await.is_ok() {
            return Ok(dump);
        }
    }
    let dumped = match size {
        Size::Small | Size::Medium => databases.dump(resource, &dump).await,
        Size::Large => databases.dump_fast(resource, &dump).await,
    };
    dumped.map_err(failed("dump the database"))?;
    Ok(dump)
}

fn file(source: std::io::Error) -> EstateError {
    EstateError::File { what: "a backup", source }
}

/// Makes `archive` what it is to be in this night, from a whole one, which may be itself.
fn spoil(whole: &Path, archive: &Path, night: u64) -> std::io::Result<()> {
    match spoilt(night, || std::fs::read(whole)).transpose()? {
        Some(bytes) => std::fs::write(archive, bytes),
        None if whole == archive || std::fs::hard_link(whole, archive).is_ok() => Ok(()),
        None => std::fs::copy(whole, archive).map(drop),
    }
}

/// What the archive of this night (0 = the last one) really holds, where it is bad.
fn spoilt(night: u64, whole: impl FnOnce() -> std::io::Result<Vec<u8>>) -> Option<std::io::Result<Vec<u8>>> {
    match night {
        0 => Some(whole().map(|bytes| corrupt::truncate(&bytes))),
        1 => Some(whole().map(|bytes| corrupt::flip_gzip(&bytes))),
        2 => Some(Ok(corrupt::html_page())),
        _ => None,
    }
}

/// The start of the nightly backup `nights` nights before the last one that is over.
fn night_before(now: DateTime<Utc>, nights: u64) -> DateTime<Utc> {
    let hour = NaiveTime::from_hms_opt(0, 2, 14).unwrap_or_default();
    let today = now.date_naive().and_time(hour).and_utc();
    let last = if now - today < TimeDelta::minutes(30) { today - Days::new(1) } else { today };
    last - Days::new(nights)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nights_are_over_and_a_day_apart() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        assert_eq!(night_before(at("2026-03-05T12:00:00Z"), 0), at("2026-03-05T00:02:14Z"));
        assert_eq!(night_before(at("2026-03-05T00:05:00Z"), 0), at("2026-03-04T00:02:14Z"));
        assert_eq!(night_before(at("2026-03-01T12:00:00Z"), 2), at("2026-02-27T00:02:14Z"));
    }
}
