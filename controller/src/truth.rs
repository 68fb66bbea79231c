//! Rows against objects: the keys that a restored database holds, held against the manifest of an archive run.
//!
//! Both come sorted by their bytes and are merged as they pass: exact, whatever their number, in the memory of two batches. The
//! database sorts on its own disk. A key that several rows name counts as often as there are rows.

mod merge;

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::path::PathBuf;

use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt as _, TryStreamExt as _};
use reprise_crds::plan::{ObjectKeys, ObjectivesSpec};
use sqlx::{AssertSqlSafe, PgConnection};

use crate::archive::folder::{Folder, Purpose};
use crate::archive::manifest::lines;
use crate::archive::{ArchiveError, Archiver};
use crate::backup::checks::{all_rows, quiet};
use crate::runtime::class::{Class, Classified};
use crate::store::TruthRow;
pub use merge::{Odd, Told, Truth};

/// Why rows and objects were not compared.
#[derive(Debug, thiserror::Error)]
pub enum TruthError {
    /// The database did not give the keys.
    #[error("reading the columns of objectKeys")]
    Keys(#[source] sqlx::Error),
    /// The archive did not give the manifest.
    #[error("reading the manifest of the archive run")]
    Manifest(#[from] ArchiveError),
    /// Whoever wanted to hear of each key does not take it.
    #[error("writing down a key")]
    Told(#[source] std::io::Error),
}

impl TruthError {
    /// A view of the database's own may say what it likes of a row.
    fn keys(error: sqlx::Error) -> Self {
        Self::Keys(quiet(error))
    }
}

impl Classified for TruthError {
    fn class(&self) -> Class {
        match self {
            Self::Keys(sqlx::Error::Database(_)) | Self::Told(_) => Class::Terminal,
            Self::Keys(_) => Class::Transient,
            Self::Manifest(error) => error.class(),
        }
    }
}

/// Compares what `columns` of the database hold with the run's manifest; `told` hears of each key that has no counterpart. Reads only.
/// *Repeat*: safe.
pub async fn compare(
    connection: &mut PgConnection,
    columns: &[ObjectKeys],
    archiver: &Archiver,
    run: &str,
    told: Told<'_>,
) -> Result<Truth, TruthError> {
    let folder = Folder::below(&archiver.work, Purpose::Truth)?;
    let manifest = folder.path().join("manifest");
    let (record, _) = archiver.vault.record(run).await?;
    archiver.vault.fetch_manifest(&record, &manifest).await?;
    held_against(connection, columns, manifest, told).await
}

/// The same with a manifest that is here.
async fn held_against(
    connection: &mut PgConnection,
    columns: &[ObjectKeys],
    manifest: PathBuf,
    told: Told<'_>,
) -> Result<Truth, TruthError> {
    let prefixes = columns.iter().map(|one| one.prefix.clone()).collect();
    let statement = statement(columns);
    // A view may call whatever it likes: here it only reads.
    let mut reading = all_rows(connection).await.map_err(TruthError::keys)?;
    let rows = sqlx::query_as::<_, (String, i64)>(AssertSqlSafe(statement)).fetch(&mut *reading);
    let rows = rows.map_err(TruthError::keys).boxed();
    let merged = merge::merge(rows, lines(manifest), prefixes, told).await;
    reading.rollback().await.map_err(TruthError::keys)?;
    merged
}

/// All keys in the order of their bytes, each with the number of its rows. They are compared by their bytes throughout: the columns may have
/// collations of their own, each another one, or one that takes two keys for the same.
fn statement(columns: &[ObjectKeys]) -> String {
    let each = columns.iter().map(|one| {
        let (schema, table) = one.table.split_once('.').unwrap_or(("public", &one.table));
        let (from, column) = (format!("{}.{}", quoted(schema), quoted(table)), quoted(&one.column));
        let prefix = one.prefix.replace('\'', "''");
        let key = format!("{column}::text COLLATE \"C\"");
        format!("SELECT '{prefix}'::text || {key} AS key FROM {from} WHERE {key} <> ''")
    });
    let all = each.collect::<Vec<_>>().join(" UNION ALL ");
    format!("SELECT key, count(*) FROM ({all}) AS keys GROUP BY key ORDER BY key")
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The names of runs that began within the plan's objective of `at` are not less than this; `None` where it has none.
pub fn since(at: DateTime<Utc>, objectives: &ObjectivesSpec) -> Option<String> {
    let rpo = TimeDelta::from_std(objectives.rpo?.duration()).ok()?;
    Some((at - rpo).format("%Y%m%dT%H%M%SZ").to_string())
}

/// The runs in the order in which they are tried, `newest` first by date: of those that began at `since` or later, the ones
/// with the fewest dangling rows come first, of these those that do not stand `behind` others, and of these the newest. One that was never
/// compared counts as good as the best.
pub fn ranked(
    newest: &[String],
    since: Option<&str>,
    truths: &[TruthRow],
    behind: &BTreeSet<String>,
) -> Vec<String> {
    let dangling = |run: &str| truths.iter().find(|truth| truth.run == run).map(|truth| truth.dangling);
    let (mut within, mut older): (Vec<&String>, Vec<&String>) =
        newest.iter().partition(|run| since.is_none_or(|since| run.as_str() >= since));
    let best = within.iter().filter_map(|run| dangling(run)).min().unwrap_or_default();
    within.sort_by_key(|run| (dangling(run).unwrap_or(best), behind.contains(*run), Reverse(run.as_str())));
    older.sort_by_key(|run| (behind.contains(*run), Reverse(run.as_str())));
    within.into_iter().chain(older).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn truth(run: &str, dangling: i64) -> TruthRow {
        TruthRow { run: run.to_owned(), dangling, ..TruthRow::default() }
    }

    fn ranked(newest: &[String], since: Option<&str>, truths: &[TruthRow]) -> Vec<String> {
        super::ranked(newest, since, truths, &BTreeSet::new())
    }

    #[test]
    fn of_runs_that_are_as_good_one_that_stands_behind_comes_last() {
        let (runs, behind) = (["4", "3", "2"].map(str::to_owned), BTreeSet::from(["4".to_owned()]));
        assert_eq!(super::ranked(&runs, None, &[], &behind), ["3", "2", "4"]);
        let known = [truth("4", 0), truth("3", 7), truth("2", 7)];
        assert_eq!(super::ranked(&runs, None, &known, &behind), ["4", "3", "2"]);
        assert_eq!(super::ranked(&runs, Some("5"), &[], &behind), ["3", "2", "4"]);
    }

    #[test]
    fn the_run_with_the_fewest_dangling_rows_within_the_objective_comes_first() {
        let runs = ["4", "3", "2", "1"].map(str::to_owned);
        assert_eq!(ranked(&runs, None, &[]), runs, "nothing is known");
        assert_eq!(ranked(&runs, None, &[truth("4", 7), truth("3", 0), truth("2", 0)]), ["3", "2", "1", "4"]);
        assert_eq!(ranked(&runs, None, &[truth("3", 9)]), runs, "the newest was never compared");
        let known = [truth("4", 7), truth("3", 5), truth("1", 0)];
        assert_eq!(
            ranked(&runs, Some("3"), &known),
            ["3", "4", "2", "1"],
            "an older one loses more than it saves"
        );
    }

    #[tokio::test]
    async fn keys_are_compared_by_their_bytes_whatever_the_collations_of_their_columns() {
        let lab = crate::backup::lab::lab().await;
        let collated = "
            CREATE COLLATION public.ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
            CREATE TABLE public.a (k text COLLATE public.ci); INSERT INTO public.a VALUES ('Été.pdf'), ('été.pdf');
            CREATE TABLE public.b (k text COLLATE \"POSIX\"); INSERT INTO public.b VALUES ('zoo.pdf'), ('été.pdf'), ('');";
        let mut source = lab.connect(&lab.source(collated).await).await;
        let keys = |table: &str, prefix: &str| ObjectKeys {
            table: format!("public.{table}"),
            column: "k".into(),
            prefix: prefix.into(),
        };
        let asked = AssertSqlSafe(statement(&[keys("a", ""), keys("b", "")]));
        let found: Vec<(String, i64)> = sqlx::query_as(asked).fetch_all(&mut source).await.expect("the keys");
        let found: Vec<(&str, i64)> = found.iter().map(|(key, rows)| (key.as_str(), *rows)).collect();
        assert_eq!(found, [("zoo.pdf", 1), ("Été.pdf", 1), ("été.pdf", 2)]);
    }

    #[test]
    fn names_and_prefixes_stay_what_they_are() {
        let keys =
            ObjectKeys { table: "pub\"lic.o'dd".into(), column: "k".into(), prefix: "l'été/".into() };
        let found = statement(&[keys]);
        assert!(found.contains(r#""pub""lic"."o'dd""#) && found.contains("'l''été/'"), "{found}");
    }
}
