//! What is known of a backup from elsewhere, and the rows of the one before it: the only witnesses against a change that
//! leaves valid data behind. Pure.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::backup::Refusal;
use crate::backup::archive::Received;
use crate::backup::contents::{Counts, RelationName};
use crate::backup::refusal::Layer;

/// So many rows are no queue's that happened to be empty once.
const MANY: u64 = 20;

/// Rows of each table, and the large objects beside them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rows {
    /// Each table, partitions by themselves.
    pub tables: BTreeMap<RelationName, u64>,
    /// The partitions among them, each with the table that it is a part of in the end.
    pub roots: BTreeMap<RelationName, RelationName>,
    /// Large objects; `None` where an earlier release counted the rows.
    pub large_objects: Option<LargeObjects>,
}

/// How many large objects there are, and of what size.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LargeObjects {
    /// So many.
    pub count: u64,
    /// Bytes in all of them.
    pub bytes: u64,
}

impl FromIterator<(RelationName, u64)> for Rows {
    fn from_iter<T: IntoIterator<Item = (RelationName, u64)>>(tables: T) -> Self {
        Self { tables: tables.into_iter().collect(), ..Self::default() }
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

/// What was recorded of this backup when it was made or first seen.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    /// SHA-256 of the download, in hex.
    pub download_sha256: Option<String>,
    /// SHA-256 of the dump inside, in hex.
    pub dump_sha256: Option<String>,
    /// Its rows.
    pub rows: Option<Rows>,
}

/// The rows of the backup before, and how far they may fall.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Previous {
    /// Its rows.
    pub rows: Rows,
    /// The share that may be gone before it is suspicious: 0.2 lets a fifth go.
    pub tolerated: f64,
}

/// Far less than before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fall {
    /// What fell.
    pub of: Held,
    /// So many in the backup before.
    pub before: u64,
    /// So many in this one.
    pub now: u64,
}

/// What a backup holds, as it is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// The rows of all tables.
    AllRows,
    /// The rows of one table.
    Rows(RelationName),
    /// The large objects.
    LargeObjects,
    /// The bytes in them.
    LargeObjectBytes,
}

impl fmt::Display for Fall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { of, before, now } = self;
        match of {
            Held::AllRows => write!(f, "all tables together fell from {before} to {now} rows"),
            Held::Rows(table) => write!(f, "{table} fell from {before} to {now} rows"),
            Held::LargeObjects => write!(f, "large objects fell from {before} to {now}"),
            Held::LargeObjectBytes => write!(f, "what large objects hold fell from {before} to {now} bytes"),
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
}

impl Previous {
    /// Where far fewer rows are `now`. Of single tables, those count that held one row in a hundred at least: queues and
    /// sessions come and go. One that held [`MANY`] and is empty counts whatever its share: `DELETE FROM users` is a loss beside
    /// a million orders as well. Partitions come and go too, and are counted as the one table that they are.
    pub fn falls(&self, found: &Rows) -> Vec<Fall> {
        let (rows, now) = (self.rows.whole(found), found.whole(&self.rows));
        let total: u64 = rows.values().sum();
        let share = total.div_ceil(100).max(1);
        let tables =
            rows.iter().map(|(table, before)| (*table, *before, now.get(table).copied().unwrap_or(0)));
        let tables = tables
            .filter(|(_, before, now)| *before >= share || (*before >= MANY && *now == 0))
            .filter_map(|(table, before, now)| self.fell(Held::Rows(table.clone()), before, now));
        let all = self.fell(Held::AllRows, total, now.values().sum());
        all.into_iter().chain(tables).chain(self.large_objects(found)).collect()
    }

    /// Whether large objects are gone, or are there and empty. A few of them come and go, and so do a few large ones: their bytes are
    /// held against nothing unless all of them went.
    fn large_objects(&self, found: &Rows) -> Option<Fall> {
        let (before, now) = (self.rows.large_objects?, found.large_objects?);
        if before.count < MANY {
            return None;
        }
        let emptied =
            || (now.bytes == 0).then(|| self.fell(Held::LargeObjectBytes, before.bytes, 0)).flatten();
        self.fell(Held::LargeObjects, before.count, now.count).or_else(emptied)
    }

    fn fell(&self, of: Held, before: u64, now: u64) -> Option<Fall> {
        #[expect(clippy::cast_precision_loss, reason = "a share of rows needs no more than 52 bits")]
        let gone = before.saturating_sub(now) as f64 > before as f64 * self.tolerated;
        gone.then_some(Fall { of, before, now })
    }
}

/// The rows of each table of a dump, and its large objects.
pub fn rows_of(counts: &Counts) -> Rows {
    let of: BTreeMap<_, _> = counts.partitions.iter().map(|(partition, of)| (partition, of)).collect();
    // A partition may have partitions itself; in no dump that a server wrote is one a part of itself.
    let root = |partition| {
        let above = std::iter::successors(of.get(partition), |of_it| of.get(*of_it));
        above.take(of.len()).last().map(|root| (*root).clone())
    };
    let tables = counts.tables.iter().map(|count| (count.table.clone(), count.rows)).collect();
    let roots = of.keys().filter_map(|partition| Some(((*partition).clone(), root(partition)?))).collect();
    let large_objects = LargeObjects { count: counts.large_objects, bytes: counts.large_object_bytes };
    Rows { tables, roots, large_objects: Some(large_objects) }
}

/// Rows as they are stored: `{"tables": [[schema, name, rows], …], "largeObjects": [count, bytes]}`, those of a partition with its
/// root: `[…, rows, [schema, name]]`. Of an earlier release it is the list of tables alone.
pub fn rows_document(rows: &Rows) -> serde_json::Value {
    let one = |(table, count): (&RelationName, &u64)| match rows.roots.get(table) {
        None => serde_json::json!([table.schema, table.name, count]),
        Some(root) => serde_json::json!([table.schema, table.name, count, [root.schema, root.name]]),
    };
    let tables: serde_json::Value = rows.tables.iter().map(one).collect();
    let large = rows.large_objects.map(|large| [large.count, large.bytes]);
    serde_json::json!({ "tables": tables, "largeObjects": large })
}

/// A table's rows as they are stored.
#[derive(Deserialize)]
struct Stored(String, String, u64, #[serde(default)] Option<(String, String)>);

/// The list of tables in a document of either kind.
pub fn tables_of_document(document: &serde_json::Value) -> Option<&Vec<serde_json::Value>> {
    document.get("tables").unwrap_or(document).as_array()
}

/// Rows as they were stored; `None` if that is something else.
pub fn rows_of_document(document: &serde_json::Value) -> Option<Rows> {
    let large = document.get("largeObjects").and_then(|large| <[u64; 2]>::deserialize(large).ok());
    let large_objects = large.map(|[count, bytes]| LargeObjects { count, bytes });
    let mut read = Rows { large_objects, ..Rows::default() };
    for stored in tables_of_document(document)? {
        let Stored(schema, name, rows, root) = Stored::deserialize(stored).ok()?;
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

    fn rows(rows: &[(&str, u64)]) -> Rows {
        rows.iter().map(|(name, rows)| (relation(name), *rows)).collect()
    }

    /// What fell since the backup before, in words.
    fn fell(before: &Rows, now: &Counts) -> Vec<String> {
        let falls = Previous { rows: before.clone(), tolerated: 0.2 }.falls(&rows_of(now));
        falls.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn one_row_more_or_a_table_less_is_not_what_was_recorded() {
        let recorded = Recorded { rows: Some(rows(&[("a", 10), ("b", 0)])), ..Recorded::default() };
        assert!(recorded.check_rows(&counts(&[("a", 10), ("b", 0)])).is_ok());
        for other in [&[("a", 11), ("b", 0)][..], &[("a", 10)], &[("a", 10), ("b", 0), ("c", 0)]] {
            let refused = recorded.check_rows(&counts(other)).map_err(|refusal| refusal.reason());
            assert_eq!(refused, Err("count-differs"), "{other:?}");
        }
    }

    #[test]
    fn a_fall_beyond_the_limit_is_told_by_table() {
        let before = rows(&[("orders", 1000), ("sessions", 5)]);
        let told = |now| fell(&before, &counts(now));
        assert_eq!(told(&[("orders", 805)]), [""; 0], "within the limit, and sessions are few");
        assert_eq!(
            told(&[("orders", 0), ("sessions", 5)]),
            ["all tables together fell from 1005 to 5 rows", "public.orders fell from 1000 to 0 rows"]
        );
    }

    #[test]
    fn a_small_table_that_was_emptied_is_told_beside_a_large_one() {
        let told = |users, now| {
            let before = rows(&[("orders", 1_000_000), ("users", users)]);
            fell(&before, &counts(&[("orders", 1_000_000), ("users", now)]))
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
        let told = |before: &Rows, now| fell(before, &partitioned(now));
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
    fn large_objects_that_are_gone_or_emptied_are_told() {
        let held = |large_objects, large_object_bytes| Counts {
            large_objects,
            large_object_bytes,
            ..counts(&[("orders", 1000)])
        };
        let told = |before: (u64, u64), now: (u64, u64)| {
            fell(&rows_of(&held(before.0, before.1)), &held(now.0, now.1))
        };
        assert_eq!(told((40, 900), (0, 0)), ["large objects fell from 40 to 0"]);
        assert_eq!(told((40, 900), (40, 0)), ["what large objects hold fell from 900 to 0 bytes"]);
        assert_eq!(told((40, 900), (33, 100)), [""; 0], "within the limit, and one of them was large");
        assert_eq!(told((40, 900), (31, 900)), ["large objects fell from 40 to 31"]);
        assert_eq!(told((19, 900), (0, 0)), [""; 0], "so few come and go");
        assert_eq!(fell(&rows(&[("orders", 1000)]), &held(0, 0)), [""; 0], "nobody had counted them");
    }

    #[test]
    fn rows_read_back_as_they_were_stored() {
        let mut rows = Rows::from_iter([(RelationName { schema: "a b".into(), name: "É".into() }, 7)]);
        assert_eq!(rows_of_document(&rows_document(&rows)), Some(rows.clone()));
        rows.tables.insert(relation("y2026"), 8);
        rows.roots.insert(relation("y2026"), relation("all"));
        assert_eq!(rows_of_document(&rows_document(&rows)), Some(rows.clone()));
        let before = rows_document(&rows)["tables"].clone();
        assert_eq!(rows_of_document(&before), Some(rows.clone()), "as an earlier release stored them");
        rows.large_objects = Some(LargeObjects { count: 3, bytes: 70_000 });
        assert_eq!(rows_of_document(&rows_document(&rows)), Some(rows));
        assert_eq!(rows_of_document(&serde_json::json!({"x": 1})), None);
    }
}
