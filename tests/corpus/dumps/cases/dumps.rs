//! Damage to the dump itself, in containers that are whole.

use reprise::backup::ladder::Recorded;
use reprise::store::Rung;

use super::{Till, digest_of, till_rows};
use crate::case::Case;
use crate::lab::Lab;
use crate::pack::{gzip, served};
use crate::surgery::{Anatomy, flipped, replaced, set};

const DATA: &[&str] = &["data-unreadable"];
const TOC: &[&str] = &["toc-unreadable"];

pub(crate) fn all(lab: &Lab, till: &Till) -> Vec<Case> {
    let mut cases = headers(till);
    cases.extend(cuts(till));
    cases.extend(blocks(till));
    cases.extend(silent(lab, till));
    cases
}

fn headers(till: &Till) -> Vec<Case> {
    let dump = &till.packed;
    let newer = |name, made, minor| {
        Case::broken(name, made, served(&set(dump, 6, minor)))
            .stops(Rung::Intact, &["needs-newer-tool"])
            .unblamed()
    };
    let mut count = dump.clone();
    let anatomy = Anatomy::of(dump);
    count[anatomy.count_place()].copy_from_slice(&[0, 0xff, 0xff, 0xff, 0x7f]);
    vec![
        newer("format-next", "the header of the next release's format", dump[6].max(15) + 2),
        newer("format-far-future", "the header of format 1.99", 99),
        Case::broken("header-cut", "the first 7 bytes of the dump", served(&dump[..7]))
            .stops(Rung::Listed, &["header-cut"]),
        Case::broken("header-integer-size", "integers of 200 bytes", served(&set(dump, 8, 200)))
            .stops(Rung::Intact, &["toc-unreadable"]),
        Case::broken("toc-absurd-count", "2,147,483,647 entries told", served(&count))
            .stops(Rung::Intact, &["toc-unreadable"]),
    ]
}

fn cuts(till: &Till) -> Vec<Case> {
    let anatomy = Anatomy::of(&till.packed);
    let bare = Anatomy::of(&till.bare);
    let cut = |name, made, dump: &[u8], at: usize, reason| {
        Case::broken(name, made, served(&dump[..at])).stops(Rung::Intact, reason)
    };
    let (packed, in_bare) = (till.packed.as_slice(), bare.block("TABLE DATA", "facture"));
    let block = anatomy.block("TABLE DATA", "facture");
    vec![
        cut("dump-cut-in-toc", "half of the table of contents", packed, anatomy.toc_end / 2, TOC),
        cut("dump-cut-at-toc-end", "the table of contents less a byte", packed, anatomy.toc_end - 1, TOC),
        cut("dump-cut-after-toc", "the table of contents alone", packed, anatomy.toc_end, DATA),
        cut("dump-cut-in-data", "half of a table's block", packed, block.start + block.len() / 2, DATA),
        cut("dump-cut-between-blocks", "up to the end of a block", packed, block.end, DATA),
        cut("dump-cut-last-byte", "all but the last byte", packed, packed.len() - 1, DATA),
        cut("dump-bare-cut-in-data", "the same without compression", &till.bare, in_bare.start + 5000, DATA),
        cut("dump-bare-cut-last-byte", "all but the last byte", &till.bare, till.bare.len() - 1, DATA),
    ]
}

fn blocks(till: &Till) -> Vec<Case> {
    let anatomy = Anatomy::of(&till.packed);
    let block = anatomy.block("TABLE DATA", "facture");
    let large = till.packed.len() - 200;
    let broken =
        |name, made, dump: &[u8], reason| Case::broken(name, made, served(dump)).stops(Rung::Intact, reason);
    vec![
        broken(
            "block-bit-flip",
            "a bit of compressed rows flipped",
            &flipped(&till.packed, block.end - 30),
            DATA,
        ),
        broken(
            "block-large-object-flip",
            "a bit of compressed large objects",
            &flipped(&till.packed, large),
            DATA,
        ),
        broken(
            "block-wrong-number",
            "another entry's number on a block",
            &flipped(&till.packed, block.start + 2),
            DATA,
        ),
        broken(
            "block-missing",
            "a table's block cut out",
            &anatomy.without_block("TABLE DATA", "client"),
            DATA,
        ),
        broken(
            "large-objects-without-data",
            "the entry with their data taken out",
            &anatomy.without(|entry| entry.kind == "BLOBS"),
            &["data-missing"],
        ),
    ]
}

/// What leaves valid data behind. Where nothing vouches for the bytes, it is not called asserted.
fn silent(lab: &Lab, till: &Till) -> Vec<Case> {
    let changed = replaced(&till.bare, b"Durand", b"Durane");
    let split = replaced(&till.bare, b"avant apres", b"avant\napres");
    let comment = replaced(&till.packed, b"clients de la caisse", b"clients de la caissf");
    let rows = Recorded { rows: Some(till_rows()), ..Recorded::default() };
    let anatomy = Anatomy::of(&till.bare);
    let in_large = replaced(&till.bare, b"bonjour", b"bonsoir");
    assert!(memchr::memmem::find(&till.bare, b"bonjour") > Some(anatomy.toc_end), "it is data");
    let unsealed: &[&str] = &["unsealed"];
    let silent =
        |name, made, download| Case::broken(name, made, download).stops(Rung::Restored, unsealed).unblamed();
    let seen = |name, made, download| {
        Case::broken(name, made, download).stops(Rung::Downloaded, &["digest-differs"])
    };
    let without = lab.dump(&till.database, &["--exclude-table-data=public.facture"]);
    vec![
        silent("silent-flip", "a letter changed in uncompressed rows", served(&changed)),
        seen("silent-flip-digest", "the same, its digest recorded", served(&changed))
            .recorded(digest_of(&till.bare)),
        silent("silent-large-object", "a large object changed", served(&in_large)),
        silent("silent-extra-row", "a space became a line's end", served(&split)),
        Case::broken("silent-extra-row-counted", "the same, its rows recorded", served(&split))
            .recorded(rows.clone())
            .stops(Rung::Intact, &["count-differs"]),
        silent("silent-toc", "a letter of a comment changed, no gzip around it", comment.clone()),
        seen("silent-toc-digest", "the same, its digest recorded", gzip(&comment))
            .recorded(digest_of(&till.packed)),
        Case::broken("table-data-left-out", "pg_dump --exclude-table-data", served(&without))
            .stops(Rung::Restored, &["data-not-in-dump"]),
        Case::broken("table-data-left-out-counted", "the same, its rows recorded", served(&without))
            .recorded(rows)
            .stops(Rung::Intact, &["count-differs"]),
    ]
}
