//! The database's content as one SQL text. Pure; see `sql/` for the statements themselves.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use super::Size;
use super::documents::ORPHANS;
pub use super::documents::{Document, documents};

/// Schema, rows, indexes and views, in this order: to be run in one session by the owner of a fresh database. Deterministic:
/// nothing depends on the clock.
pub fn sql(size: Size, seed: u64) -> String {
    let text = [
        "BEGIN;\nSET LOCAL client_min_messages = warning;\n",
        include_str!("sql/schema.sql"),
        include_str!("sql/rows.sql"),
        &document_rows(size, seed),
        include_str!("sql/indexes.sql"),
        "COMMIT;\nANALYZE;\n",
    ]
    .join("\n");
    fill(text, size, seed)
}

/// What identifies the database that [`sql`] makes, without making it: a digest over its every ingredient.
pub(crate) fn identity(size: Size, seed: u64) -> String {
    let mut digest = Sha256::new();
    for ingredient in [
        include_str!("content.rs"),
        include_str!("documents.rs"),
        include_str!("sql/schema.sql"),
        include_str!("sql/rows.sql"),
        include_str!("sql/indexes.sql"),
        &format!("{:?} {seed}", size.counts()),
    ] {
        digest.update(ingredient);
        digest.update([0]);
    }
    hex::encode(digest.finalize())
}

fn fill(mut text: String, size: Size, seed: u64) -> String {
    let counts = size.counts();
    // `setseed` wants a number between -1 and 1.
    #[expect(clippy::cast_precision_loss, reason = "below a million")]
    let fraction = (seed % 999_983) as f64 / 1_000_000.0;
    for (word, number) in [
        ("organisations", counts.organisations),
        ("utilisateurs", counts.utilisateurs),
        ("programmes", counts.programmes),
        ("lots", counts.programmes * 2),
        ("logements", counts.logements),
        ("conventions", counts.conventions),
        ("avenants", counts.conventions / 2),
        ("prets", counts.conventions),
        ("commentaires", counts.conventions * 2),
        ("evenements", counts.evenements),
        ("scans", counts.scans),
    ] {
        text = text.replace(&format!("{{{word}}}"), &number.to_string());
    }
    text.replace("{fraction}", &fraction.to_string()).replace("{seed}", &seed.to_string())
}

/// One row for each object of the bucket but the orphans.
fn document_rows(size: Size, seed: u64) -> String {
    let mut text = String::from(
        "INSERT INTO public.documents (convention_id, object_key, content_type, taille, sha256, depose_le) VALUES\n",
    );
    for (index, document) in documents(size, seed).enumerate().skip(ORPHANS) {
        let separator = if index == ORPHANS { "" } else { ",\n" };
        let convention = if index % 10 == 0 {
            "NULL".to_owned()
        } else {
            (1 + index % size.counts().conventions).to_string()
        };
        let sum = hex::encode(Sha256::digest(&document.bytes));
        // Writing to a String cannot fail.
        write!(
            text,
            "{separator}({convention}, {}, {}, {}, '\\x{sum}', timestamptz '2022-01-01 12:00+01' + {index} * interval '1 day')",
            literal(&document.key),
            literal(document.content_type),
            document.bytes.len(),
        )
        .unwrap_or_default();
    }
    text + ";\n"
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
