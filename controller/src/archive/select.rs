//! Which run is meant.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use super::Archiver;
use super::copies::own_first;
use super::error::{ArchiveError, Result};
use crate::store::ArchiveRow;

/// Which run is meant; nothing said: the newest that is not suspicious, of the bucket itself and not known to be damaged if there is another.
#[derive(Debug, Clone, Default)]
pub struct Which {
    /// This one.
    pub run: Option<String>,
    /// The newest that began by then.
    pub as_of: Option<DateTime<Utc>>,
}

impl Archiver {
    /// The name of the run that is meant. Runs are those that lie in the archive; what is known of them comes from our own tables, and
    /// where these know nothing, as on a new machine, from the runs' own records.
    pub async fn which(&self, which: &Which) -> Result<String> {
        let mut runs = self.vault.runs().await?;
        let rows = self.store.archives(&self.plan).await?;
        let behind = self.behind(&runs, &rows).await;
        while let Some(run) = choose(&runs, &rows, &behind, which) {
            let is_known = which.run.is_some() || rows.iter().any(|row| row.run == run);
            if is_known || !self.is_suspicious(&run).await? {
                return Ok(run);
            }
            runs.retain(|other| *other != run);
        }
        Err(ArchiveError::Refused {
            why: match (&which.run, &which.as_of) {
                (Some(run), _) => format!("the archive has no run {run}"),
                (None, Some(at)) => format!("the archive has no usable run that began by {at}"),
                (None, None) => "the archive has no usable run".to_owned(),
            },
            advice: "see `reprise archive list`; a suspicious run is taken if it is named with --run",
        })
    }

    /// By its own record. One that cannot be read says nothing: whoever uses the run is told.
    async fn is_suspicious(&self, run: &str) -> Result<bool> {
        match self.vault.record(run).await {
            Ok((record, _)) => Ok(!record.suspicious.is_empty()),
            Err(ArchiveError::Damaged { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// A damaged run comes after all that are whole: where there is no other, most of it is better than nothing. Pure. Runs come oldest first.
fn choose(runs: &[String], rows: &[ArchiveRow], behind: &BTreeSet<String>, which: &Which) -> Option<String> {
    if let Some(run) = &which.run {
        return runs.iter().find(|known| *known == run).cloned();
    }
    let by = which.as_of.map(|at| at.format("%Y%m%dT%H%M%SZ~").to_string());
    let row = |run: &String| rows.iter().find(|row| row.run == *run);
    let usable =
        |run: &&String| by.as_ref().is_none_or(|by| *run <= by) && row(run).is_none_or(|row| !row.suspicious);
    let is_whole = |run: &&String| row(run).is_none_or(|row| row.damaged.is_none());
    let newest = own_first(runs.iter().rev().filter(usable).cloned().collect(), behind);
    newest.iter().find(is_whole).or_else(|| newest.first()).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::a_row;

    fn row(run: &str, suspicious: bool, damaged: Option<&str>) -> ArchiveRow {
        ArchiveRow { suspicious, damaged: damaged.map(str::to_owned), ..a_row(run) }
    }

    #[test]
    fn the_newest_sound_run_is_meant_unless_another_is_named() {
        let runs: Vec<String> =
            ["20261101T010000Z-a", "20261108T010000Z-a", "20261115T010000Z-a"].map(str::to_owned).to_vec();
        let rows = [row(&runs[2], true, None), row(&runs[1], false, None)];
        let copies = BTreeSet::from([runs[2].clone()]);
        let chosen = super::choose(&runs, &[], &copies, &Which::default());
        assert_eq!(chosen.as_ref(), Some(&runs[1]), "the bucket's own");
        let choose = |runs: &[String], rows: &[ArchiveRow], which: &Which| {
            super::choose(runs, rows, &BTreeSet::new(), which)
        };
        let at = |text: &str| Which { as_of: Some(text.parse().unwrap()), ..Which::default() };
        assert_eq!(choose(&runs, &[], &Which::default()).as_ref(), Some(&runs[2]));
        assert_eq!(choose(&runs, &rows, &Which::default()).as_ref(), Some(&runs[1]));
        assert_eq!(
            choose(&runs, &[row(&runs[2], false, Some("x"))], &Which::default()).as_ref(),
            Some(&runs[1])
        );
        let damaged = |run: &String| row(run, false, Some("x"));
        let all = [row(&runs[2], true, None), damaged(&runs[1]), damaged(&runs[0])];
        assert_eq!(choose(&runs, &all, &Which::default()).as_ref(), Some(&runs[1]), "there is no other");
        assert_eq!(choose(&runs, &all[..2], &Which::default()).as_ref(), Some(&runs[0]), "there is another");
        assert_eq!(
            choose(&runs[2..], &all, &Which::default()),
            None,
            "a suspicious one is named or not taken"
        );
        assert_eq!(choose(&runs, &rows, &at("2026-11-08T01:00:00Z")).as_ref(), Some(&runs[1]));
        assert_eq!(choose(&runs, &rows, &at("2026-11-08T00:59:59Z")).as_ref(), Some(&runs[0]));
        assert_eq!(choose(&runs, &rows, &at("2026-10-01T00:00:00Z")), None);
        let named = Which { run: Some(runs[2].clone()), ..Which::default() };
        assert_eq!(choose(&runs, &rows, &named).as_ref(), Some(&runs[2]));
    }
}
