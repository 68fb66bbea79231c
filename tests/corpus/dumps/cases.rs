//! All cases, made from a running PostgreSQL.

mod containers;
mod dumps;
mod families;
mod harmless;
mod restores;

use reprise::backup::contents::RelationName;
use reprise::backup::ladder::{LargeObjects, Recorded, Rows};
use sha2::{Digest as _, Sha256};

use crate::case::Case;
use crate::estates::{ALBUM, ROTATED, TILL};
use crate::lab::Lab;
use crate::pack::served;

/// The same shop, dumped in the usual way, and without compression.
pub(crate) struct Till {
    pub(crate) database: String,
    pub(crate) packed: Vec<u8>,
    pub(crate) bare: Vec<u8>,
}

pub(crate) async fn all(lab: &Lab) -> Vec<Case> {
    let database = lab.source("", TILL).await;
    let till = Till { packed: lab.dump(&database, &[]), bare: lab.dump(&database, &["-Z0"]), database };
    let mut cases = containers::all(lab, &till);
    cases.extend(dumps::all(lab, &till));
    cases.extend(restores::all(lab, &till).await);
    cases.extend(harmless::all(lab, &till).await);
    cases.extend(families::all(lab).await);
    let mut names: Vec<_> = cases.iter().map(|case| case.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), cases.len(), "two cases have one name");
    cases
}

/// The digest of a dump, recorded when it was whole.
fn digest_of(dump: &[u8]) -> Recorded {
    Recorded { dump_sha256: Some(hex::encode(Sha256::digest(dump))), ..Recorded::default() }
}

/// The rows of the shop.
fn till_rows() -> Rows {
    rows(&[("client", 50), ("facture", 2000), ("journal", 501)])
}

fn rows(tables: &[(&str, u64)]) -> Rows {
    let named = |(name, rows): &(&str, u64)| {
        (RelationName { schema: "public".to_owned(), name: (*name).to_owned() }, *rows)
    };
    tables.iter().map(named).collect()
}

/// Rows of partitions of the table `mesure`.
fn partitions(tables: &[(&str, u64)]) -> Rows {
    let tables = rows(tables);
    let whole = RelationName { schema: "public".to_owned(), name: "mesure".to_owned() };
    Rows { roots: tables.tables.keys().map(|part| (part.clone(), whole.clone())).collect(), ..tables }
}

/// The rows of the album, and its photographs.
fn album_rows() -> Rows {
    Rows { large_objects: Some(LargeObjects { count: 40, bytes: 400 }), ..rows(&[("photo", 40)]) }
}

/// The album after `sql`, dumped with these options.
async fn album(lab: &Lab, sql: &str, options: &[&str]) -> Vec<u8> {
    let source = lab.source("", &format!("{ALBUM}; {sql}")).await;
    served(&lab.dump(&source, options))
}

/// A table of which a year was dropped and the next one begun since the backup before, with 450 rows in all.
async fn rotated(lab: &Lab) -> Case {
    let source = lab.source("", ROTATED).await;
    let before = partitions(&[("mesure_2024", 240), ("mesure_2025", 250)]);
    Case::harmless("partition-rotated", "a partition dropped, another begun", served(&lab.dump(&source, &[])))
        .before(before)
}
