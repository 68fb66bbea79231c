//! The database's content as one SQL text. Pure; see `sql/` for the statements themselves.

use sha2::{Digest as _, Sha256};

use super::Size;
use super::documents::ORPHANS;
pub use super::documents::{Document, documents};

/// Documents that one statement names.
const TOGETHER: usize = 5_000;

/// Schema, rows, indexes and views, in this order: to be run in one session by the owner of a fresh database. Deterministic:
/// nothing depends on the clock.
pub fn sql(size: Size, seed: u64) -> String {
    statements(size, seed).collect::<Vec<_>>().join("\n")
}

/// The same in pieces, each made when it is its turn: nobody needs all of a million documents' rows in memory.
pub fn statements(size: Size, seed: u64) -> impl Iterator<Item = String> + Send {
    let before = [
        "BEGIN;\nSET LOCAL client_min_messages = warning;\n",
        include_str!("sql/schema.sql"),
        include_str!("sql/rows.sql"),
    ];
    let after = [include_str!("sql/indexes.sql"), "COMMIT;\nANALYZE;\n"];
    let once = move |texts: &[&str]| std::iter::once(fill(texts.join("\n"), size, seed));
    once(&before).chain(document_rows(size, seed)).chain(once(&after))
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
        ("pieces", counts.pieces),
        ("scans", counts.scans),
    ] {
        text = text.replace(&format!("{{{word}}}"), &number.to_string());
    }
    text.replace("{fraction}", &fraction.to_string()).replace("{seed}", &seed.to_string())
}

/// One row for each object of the bucket but the orphans.
fn document_rows(size: Size, seed: u64) -> impl Iterator<Item = String> + Send {
    let mut all = documents(size, seed).enumerate().skip(ORPHANS);
    std::iter::from_fn(move || {
        let rows: Vec<String> =
            all.by_ref().take(TOGETHER).map(|(index, document)| row(size, index, &document)).collect();
        (!rows.is_empty()).then(|| {
            let into = "INSERT INTO public.documents (convention_id, object_key, content_type, taille, sha256, depose_le) VALUES";
            format!("{into}\n{};\n", rows.join(",\n"))
        })
    })
}

fn row(size: Size, index: usize, document: &Document) -> String {
    let convention = if index.is_multiple_of(10) {
        "NULL".to_owned()
    } else {
        (1 + index % size.counts().conventions).to_string()
    };
    format!(
        "({convention}, {}, {}, {}, '\\x{}', timestamptz '2022-01-01 12:00+01' + {} * interval '1 day')",
        literal(&document.key),
        literal(document.content_type),
        document.bytes.len(),
        hex::encode(Sha256::digest(&document.bytes)),
        // A million days would end in another age: many arrive on one.
        index % 1_500,
    )
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
