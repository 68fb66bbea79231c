//! Dumps that read well to their last byte and do not come back whole, or come back with too little.

use reprise::backup::checks::{DataCheck, Expectation};
use reprise::store::Rung;

use super::{Till, album, album_rows, digest_of, partitions, rotated, rows, till_rows};
use crate::case::Case;
use crate::estates::{BARE_NAME, VEILED};
use crate::lab::Lab;
use crate::pack::served;
use crate::surgery::{Anatomy, replaced};

const INCOMPLETE: &[&str] = &["restore-incomplete"];

pub(crate) async fn all(lab: &Lab, till: &Till) -> Vec<Case> {
    let mut cases = edited(till);
    cases.extend(from_sources(lab).await);
    cases.extend(too_little(lab, till).await);
    cases
}

/// Broken rows, which a digest recorded of them cannot tell: they were so when it was made.
fn edited(till: &Till) -> Vec<Case> {
    let edited = |name, made, from: &[u8], to: &[u8]| {
        let dump = replaced(&till.bare, from, to);
        Case::broken(name, made, served(&dump)).recorded(digest_of(&dump)).stops(Rung::Readable, INCOMPLETE)
    };
    let row = b"500\t1\t424242";
    let sequence = Anatomy::of(&till.packed)
        .without(|entry| entry.kind == "SEQUENCE SET" && entry.name == "facture_id_seq");
    vec![
        edited("constraint-foreign-key", "a row that refers to nothing", row, b"500\t0\t424242"),
        edited("constraint-primary-key", "a number twice", row, b"499\t1\t424242"),
        edited("row-not-a-number", "a letter in a number", row, b"500\t1\t42x242"),
        edited("row-column-missing", "a tab became a space", row, b"500 1\t424242"),
        edited("row-not-utf8", "a byte that is no UTF-8", "Zoé".as_bytes(), b"Zo\xff\xa9"),
        Case::broken("sequence-lost", "the entry of a sequence's value taken out", served(&sequence))
            .stops(Rung::Restored, &["sequence-behind"]),
    ]
}

async fn from_sources(lab: &Lab) -> Vec<Case> {
    let bare_name = lab.dump(&lab.source("", BARE_NAME).await, &[]);
    let veiled = lab.dump(&lab.source("", VEILED).await, &[]);
    let veiled = Anatomy::of(&veiled).without(|entry| entry.kind == "SEQUENCE SET");
    let ascii =
        "CREATE TABLE public.a (t text); INSERT INTO public.a VALUES (convert_from('\\xe9', 'SQL_ASCII'))";
    let ascii =
        lab.source("ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0", ascii).await;
    let broken =
        |name, made, dump: &[u8]| Case::broken(name, made, served(dump)).stops(Rung::Readable, INCOMPLETE);
    vec![
        broken("constraint-bare-name", "a CHECK that needs a search path: its table stays empty", &bare_name),
        broken("sequence-lost-veiled", "the same, of rows that their owner does not see", &veiled)
            .stops(Rung::Restored, &["sequence-behind"]),
        broken("encoding-unknown", "Latin-1 bytes in a database without an encoding", &lab.dump(&ascii, &[]))
            .stops(Rung::Restored, &["text-foreign"]),
        broken("schema-missing", "the target's owner may make nothing in public", &bare_name)
            .prepare("ALTER SCHEMA public OWNER TO postgres; REVOKE ALL ON SCHEMA public FROM PUBLIC"),
    ]
}

/// Whole dumps with less in them than was there before.
async fn too_little(lab: &Lab, till: &Till) -> Vec<Case> {
    let till_sql = crate::estates::TILL;
    let emptied = lab.source("", &format!("{till_sql}; DELETE FROM public.facture WHERE id > 100")).await;
    let (emptied, bare) = (served(&lab.dump(&emptied, &[])), lab.dump(&emptied, &[]));
    let left_out = album(lab, "SELECT 1", &["--no-blobs"]).await;
    let unlinked = album(lab, "SELECT lo_unlink(image) FROM public.photo WHERE id > 10", &[]).await;
    let truncated = "SELECT lo_truncate(lo_open(image, 131072), 0) FROM public.photo";
    let truncated = album(lab, truncated, &[]).await;
    let rotated = rotated(lab).await;
    let mut more = till_rows();
    more.tables.extend(rows(&[("disparue", 400)]).tables);
    let question = DataCheck {
        name: "factures".to_owned(),
        sql: "SELECT count(*) FROM public.facture".to_owned(),
        expectation: Expectation::AtLeast(1000.0),
    };
    vec![
        Case::broken("rows-deleted", "19 of 20 invoices deleted before the dump", emptied.clone())
            .before(till_rows())
            .stops(Rung::Restored, &["rows-fallen"])
            .unblamed(),
        Case::broken("partitions-emptied", "a table of partitions lost most of its rows", rotated.download)
            .before(partitions(&[("mesure_2024", 2000), ("mesure_2025", 250)]))
            .stops(Rung::Restored, &["rows-fallen"])
            .unblamed(),
        Case::broken("table-dropped", "a table of the backup before is gone", served(&till.packed))
            .before(more)
            .stops(Rung::Restored, &["rows-fallen"])
            .unblamed(),
        Case::broken("large-objects-left-out", "pg_dump --no-blobs, unlike before", left_out)
            .before(album_rows())
            .stops(Rung::Restored, &["rows-fallen"])
            .unblamed(),
        Case::broken("large-objects-unlinked", "lo_unlink of 30 of 40 before the dump", unlinked)
            .before(album_rows())
            .stops(Rung::Restored, &["rows-fallen"])
            .unblamed(),
        Case::broken("large-objects-truncated", "lo_truncate of all of them before the dump", truncated)
            .before(album_rows())
            .stops(Rung::Restored, &["rows-fallen"])
            .unblamed(),
        Case::broken("rows-deleted-unsealed", "the same, and nothing vouches for the bytes", bare)
            .before(till_rows())
            .stops(Rung::Restored, &["rows-fallen"])
            .unblamed(),
        Case {
            questions: vec![question],
            ..Case::broken("check-fails", "the plan wants 1,000 invoices", emptied)
        }
        .stops(Rung::Restored, &["check-failed"]),
    ]
}
