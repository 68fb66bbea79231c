//! A week of nightly backups, made by the real `pg_dump`; the newest three are bad, each in its own way.

use chrono::{DateTime, Days, NaiveTime, TimeDelta, Utc};

use super::{EstateError, failed};
use crate::paas::SeedBackup;
use crate::sandbox::Parts;
use crate::seed::corrupt;

const NIGHTS: u64 = 7;

/// Makes the backups of the database `resource`.
pub(super) async fn make(parts: &Parts, resource: &str) -> Result<(), EstateError> {
    let file = |source| EstateError::File { what: "a backup", source };
    let dump = parts.world.folder("paas").map_err(file)?.join("seed.pgsql");
    parts.plane.databases.dump(resource, &dump).await.map_err(failed("dump the database"))?;
    // Oldest first: the order in which they were made.
    for night in (0..NIGHTS).rev() {
        let at = night_before(parts.world.clock.wall(), night);
        let archive = parts.paas.seed_backup(resource, SeedBackup { at, dump: dump.clone() }).await?;
        if let Some(spoilt) = spoilt(night, || std::fs::read(&archive)).transpose().map_err(file)? {
            std::fs::write(&archive, spoilt).map_err(file)?;
        }
    }
    std::fs::remove_file(&dump).map_err(file)?;
    Ok(parts.paas.refresh_backup_sizes(resource)?)
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
