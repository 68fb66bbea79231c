//! What is known of a backup from elsewhere, and the one before it: the only witnesses against a change that leaves
//! valid data behind. Pure.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::backup::Refusal;
use crate::backup::archive::Received;
use crate::backup::contents::{Counts, RelationName};
use crate::backup::refusal::Layer;

/// So many rows are no queue's that happened to be empty once.
const MANY: u64 = 20;

/// Rows of each table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rows {
    /// Each table, partitions by themselves.
    pub tables: BTreeMap<RelationName, u64>,
    /// The partitions among them, each with the table that it is a part of in the end.
    pub roots: BTreeMap<RelationName, RelationName>,
}

impl FromIterator<(RelationName, u64)> for Rows {
    fn from_iter<T: IntoIterator<Item = (RelationName, u64)>>(tables: T) -> Self {
        Self { tables: tables.into_iter().collect(), roots: BTreeMap::new() }
    }
}

impl Rows {
    /// The rows of whole tables, by what these, or `others`, know of their partitions.
    fn whole<'a>(&'a self, others: &'a Self) -> BTreeMap<&'a RelationName, u64> {
        let mut whole = BTreeMap::new();
        for (table, rows) in &self.tables {
            let root = self.roots.get(table).or_else(|| others.roots.get(table)).unwrap_or(table);
            *whole.entry(root).or_default() += rows;
        }
        whole
    }
}

/// What was recorded of this backup when it was made or first seen, and of the one before it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    /// SHA-256 of the download, in hex.
    pub download_sha256: Option<String>,
    /// SHA-256 of the dump inside, in hex.
    pub dump_sha256: Option<String>,
    /// Its rows.
    pub rows: Option<Rows>,
    /// The backup before it.
    pub previous: Option<Previous>,
}

/// The rows of the backup before, and how far they may fall.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Previous {
    /// Its rows.
    pub rows: Rows,
    /// The share that may be gone before it is suspicious: 0.2 lets a fifth go.
    pub tolerated: f64,
}

/// Far fewer rows than before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fall {
    /// Where; all of the database if nowhere.
    pub table: Option<RelationName>,
    /// Rows in the backup before.
    pub before: u64,
    /// Rows in this one.
    pub now: u64,
}

impl fmt::Display for Fall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.table {
            Some(table) => write!(f, "{table} fell from {} to {} rows", self.before, self.now),
            None => write!(f, "all tables together fell from {} to {} rows", self.before, self.now),
        }
    }
}

impl Recorded {
    /// Holds the digests of what arrived against those recorded.
    pub fn check_digests(&self, received: &Received) -> Result<(), Refusal> {
        let pairs = [
            (Layer::Download, &self.download_sha256, &received.download_sha256),
            (Layer::Member, &self.dump_sha256, &received.dump_sha256),
        ];
        for (layer, recorded, found) in pairs {
            if recorded.as_ref().is_some_and(|recorded| !recorded.eq_ignore_ascii_case(found)) {
                return Err(Refusal::DigestDiffers { layer });
            }
        }
        Ok(())
    }

    /// Holds the rows of the dump against those recorded of it.
    pub fn check_rows(&self, counts: &Counts) -> Result<(), Refusal> {
        let Some(recorded) = &self.rows else { return Ok(()) };
        let found = rows_of(counts);
        let (recorded, found) = (&recorded.tables, &found.tables);
        let differs = |table: &&RelationName| recorded.get(*table) != found.get(*table);
        match recorded.keys().chain(found.keys()).find(differs) {
            None => Ok(()),
            Some(table) => Err(Refusal::CountDiffers {
                table: table.to_string(),
                recorded: recorded.get(table).copied(),
                found: found.get(table).copied(),
            }),
        }
    }

    /// Where far fewer rows are than in the backup before.
    pub fn falls(&self, counts: &Counts) -> Vec<Fall> {
        let Some(previous) = &self.previous else { return Vec::new() };
        previous.falls(&rows_of(counts))
    }
}

impl Previous {
    /// Where far fewer rows are `now`. Of single tables, those count that held one row in a hundred at least: queues and
    /// sessions come and go. One that held [`MANY`] and is empty counts whatever its share: `DELETE FROM users` is a loss beside
    /// a million orders as well. Partitions come and go too, and are counted as the one table that they are.
    pub fn falls(&self, now: &Rows) -> Vec<Fall> {
        let (rows, now) = (self.rows.whole(now), now.whole(&self.rows));
        let total: u64 = rows.values().sum();
        let share = total.div_ceil(100).max(1);
        let tables =
            rows.iter().map(|(table, before)| (*table, *before, now.get(table).copied().unwrap_or(0)));
        let tables = tables
            .filter(|(_, before, now)| *before >= share || (*before >= MANY && *now == 0))
            .filter_map(|(table, before, now)| self.fell(Some(table), before, now));
        self.fell(None, total, now.values().sum()).into_iter().chain(tables).collect()
    }

    fn fell(&self, table: Option<&RelationName>, before: u64, now: u64) -> Option<Fall> {
        #[expect(clippy::cast_precision_loss, reason = "a share of rows needs no more than 52 bits")]
        let gone = before.saturating_sub(now) as f64 > before as f64 * self.tolerated;
        gone.then(|| Fall { table: table.cloned(), before, now })
    }
}

/// The rows of each table of a dump.
pub fn rows_of(counts: &Counts) -> Rows {
    let of: BTreeMap<_, _> = counts.partitions.iter().map(|(partition, of)| (partition, of)).collect();
    // A partition may have partitions itself; in no dump that a server wrote is one a part of itself.
    let root = |partition| {
        let above = std::iter::successors(of.get(partition), |of_it| of.get(*of_it));
        above.take(of.len()).last().map(|root| (*root).clone())
    };
    let tables = counts.tables.iter().map(|count| (count.table.clone(), count.rows)).collect();
    let roots = of.keys().filter_map(|partition| Some(((*partition).clone(), root(partition)?))).collect();
    Rows { tables, roots }
}

/// Rows as they are stored: `[[schema, name, rows], …]`, those of a partition with its root: `[…, rows, [schema, name]]`.
pub fn rows_document(rows: &Rows) -> serde_json::Value {
    let one = |(table, count): (&RelationName, &u64)| match rows.roots.get(table) {
        None => serde_json::json!([table.schema, table.name, count]),
        Some(root) => serde_json::json!([table.schema, table.name, count, [root.schema, root.name]]),
    };
    rows.tables.iter().map(one).collect()
}

/// A table's rows as they are stored.
#[derive(Deserialize)]
struct Stored(String, String, u64, #[serde(default)] Option<(String, String)>);

/// Rows as they were stored; `None` if that is something else.
pub fn rows_of_document(document: &serde_json::Value) -> Option<Rows> {
    let stored: Vec<Stored> = serde_json::from_value(document.clone()).ok()?;
    let mut read = Rows::default();
    for Stored(schema, name, rows, root) in stored {
        let table = RelationName { schema, name };
        if let Some((schema, name)) = root {
            read.roots.insert(table.clone(), RelationName { schema, name });
        }
        read.tables.insert(table, rows);
    }
    Some(read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::contents::TableCount;

    fn relation(name: &str) -> RelationName {
        RelationName { schema: "public".into(), name: name.into() }
    }

    fn counts(rows: &[(&str, u64)]) -> Counts {
        let tables =
            rows.iter().map(|(name, rows)| TableCount { table: relation(name), rows: *rows, bytes: 0 });
        Counts { tables: tables.collect(), ..Counts::default() }
    }

    fn recorded(rows: &[(&str, u64)]) -> Recorded {
        let rows: Rows = rows.iter().map(|(name, rows)| (relation(name), *rows)).collect();
        Recorded {
            rows: Some(rows.clone()),
            previous: Some(Previous { rows, tolerated: 0.2 }),
            ..Recorded::default()
        }
    }

    #[test]
    fn one_row_more_or_a_table_less_is_not_what_was_recorded() {
        let recorded = recorded(&[("a", 10), ("b", 0)]);
        assert!(recorded.check_rows(&counts(&[("a", 10), ("b", 0)])).is_ok());
        for other in [&[("a", 11), ("b", 0)][..], &[("a", 10)], &[("a", 10), ("b", 0), ("c", 0)]] {
            let refused = recorded.check_rows(&counts(other)).map_err(|refusal| refusal.reason());
            assert_eq!(refused, Err("count-differs"), "{other:?}");
        }
    }

    #[test]
    fn a_fall_beyond_the_limit_is_told_by_table() {
        let recorded = recorded(&[("orders", 1000), ("sessions", 5)]);
        let told = |rows| recorded.falls(&counts(rows)).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(told(&[("orders", 805)]), [""; 0], "within the limit, and sessions are few");
        assert_eq!(
            told(&[("orders", 0), ("sessions", 5)]),
            ["all tables together fell from 1005 to 5 rows", "public.orders fell from 1000 to 0 rows"]
        );
        assert_eq!(Recorded::default().falls(&counts(&[])), []);
    }

    #[test]
    fn a_small_table_that_was_emptied_is_told_beside_a_large_one() {
        let told = |users, now| {
            let recorded = recorded(&[("orders", 1_000_000), ("users", users)]);
            recorded
                .falls(&counts(&[("orders", 1_000_000), ("users", now)]))
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
        };
        assert_eq!(told(500, 0), ["public.users fell from 500 to 0 rows"]);
        assert_eq!(told(20, 0), ["public.users fell from 20 to 0 rows"]);
        assert_eq!(told(19, 0), [""; 0], "so few come and go");
        assert_eq!(told(500, 1), [""; 0], "in small tables shares say little");
    }

    /// A dump of these partitions, each of one year, which is one of the table `all`.
    fn partitioned(rows: &[(&str, u64)]) -> Counts {
        let years = rows.iter().map(|(name, _)| (relation(name), relation("year")));
        let years = years.chain([(relation("year"), relation("all"))]);
        Counts { partitions: years.collect(), ..counts(rows) }
    }

    #[test]
    fn partitions_come_and_go_and_their_table_stays() {
        let rows = rows_of(&partitioned(&[("monday", 400), ("tuesday", 600)]));
        let told = |before: &Rows, now| {
            let falls = Previous { rows: before.clone(), tolerated: 0.2 }.falls(&rows_of(&partitioned(now)));
            falls.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(told(&rows, &[("tuesday", 500), ("wednesday", 400)]), [""; 0]);
        assert_eq!(
            told(&rows, &[("tuesday", 600), ("wednesday", 0)])[1],
            "public.all fell from 1000 to 600 rows"
        );
        // An earlier release did not note which tables are partitions.
        let rows = Rows { roots: BTreeMap::new(), ..rows };
        assert_eq!(told(&rows, &[("monday", 0), ("tuesday", 900)]), [""; 0]);
    }

    #[test]
    fn rows_read_back_as_they_were_stored() {
        let mut rows = Rows::from_iter([(RelationName { schema: "a b".into(), name: "É".into() }, 7)]);
        assert_eq!(rows_of_document(&rows_document(&rows)), Some(rows.clone()));
        rows.tables.insert(relation("y2026"), 8);
        rows.roots.insert(relation("y2026"), relation("all"));
        assert_eq!(rows_of_document(&rows_document(&rows)), Some(rows));
        assert_eq!(rows_of_document(&serde_json::json!({"x": 1})), None);
    }
}
