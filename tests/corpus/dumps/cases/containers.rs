//! Damage to what is around the dump: the line, gzip, tar, and things that are no dump at all.

use std::io::{ErrorKind, Read as _};

use flate2::read::GzDecoder;
use reprise::store::Rung;
use tar::EntryType;

use super::Till;
use crate::case::Case;
use crate::lab::Lab;
use crate::pack::{NAME, entry, gzip, gzip_bomb, header, served, tar, tar_of};
use crate::surgery::{flipped, set};

pub(crate) fn all(lab: &Lab, till: &Till) -> Vec<Case> {
    let mut cases = line(till);
    cases.extend(gzip_layer(till));
    cases.extend(tar_layer(till));
    cases.extend(foreign(lab, till));
    cases
}

fn line(till: &Till) -> Vec<Case> {
    let whole = served(&till.packed);
    let half = whole[..whole.len() / 2].to_vec();
    let longer = [whole.as_slice(), b"!"].concat();
    vec![
        Case::broken("line-ended-early", "half of the announced bytes", half.clone())
            .announced(whole.len())
            .stops(Rung::Listed, &["cut-short", "gzip-cut"]),
        Case { line_fails: true, ..Case::broken("line-reset", "connection reset half-way", half) }
            .announced(whole.len())
            .stops(Rung::Listed, &["transfer-failed"])
            .unblamed(),
        Case::broken("line-overlong", "a byte more than announced", longer)
            .announced(whole.len())
            .stops(Rung::Listed, &["overlong", "gzip-trailing"]),
        Case::broken("zero-bytes", "an empty file", Vec::new()).stops(Rung::Listed, &["empty"]),
    ]
}

fn gzip_layer(till: &Till) -> Vec<Case> {
    let whole = served(&till.packed);
    let length = whole.len();
    let cut = |name, made, at: usize| {
        Case::broken(name, made, whole[..at].to_vec()).stops(Rung::Downloaded, &["gzip-cut"])
    };
    let damaged =
        |name, made, download| Case::broken(name, made, download).stops(Rung::Listed, &["gzip-damaged"]);
    vec![
        cut("gzip-cut-in-header", "the first 5 bytes", 5),
        cut("gzip-cut-half", "the first half", length / 2),
        cut("gzip-cut-before-trailer", "all but the checksum and length", length - 8),
        cut("gzip-cut-last-byte", "all but the last byte", length - 1),
        Case::broken("gzip-bit-flip", "a bit flipped in the middle", flip_inside(&whole))
            // What a flipped bit makes of deflate is chance; often the tar inside is the first to notice.
            .stops(Rung::Listed, &["gzip-damaged", "gzip-trailing", "tar-damaged", "several-members"]),
        damaged("gzip-checksum", "a bit of the CRC flipped", flipped(&whole, length - 6)),
        damaged("gzip-length", "a bit of the length field flipped", flipped(&whole, length - 2)),
        Case::broken("gzip-trailing", "an HTML page behind the gzip", [&whole[..], b"<html>503"].concat())
            .stops(Rung::Listed, &["gzip-trailing"]),
        Case::broken("gzip-of-nothing", "gzip of 0 bytes", gzip(b"")).stops(Rung::Listed, &["dump-empty"]),
    ]
}

/// A bit flipped near the middle, such that the stream does not just seem to be longer than it is.
fn flip_inside(whole: &[u8]) -> Vec<u8> {
    let seems_cut = |bytes: &[u8]| {
        let unpacked = GzDecoder::new(bytes).read_to_end(&mut Vec::new());
        unpacked.is_err_and(|error| error.kind() == ErrorKind::UnexpectedEof)
    };
    let mut flips = (whole.len() / 2..whole.len()).map(|at| flipped(whole, at));
    flips.find(|bytes| !seems_cut(bytes)).expect("a flip that shows")
}

fn tar_layer(till: &Till) -> Vec<Case> {
    let whole = tar_of(NAME, &till.packed);
    let refused =
        |name, made, tar: &[u8], reason| Case::broken(name, made, gzip(tar)).stops(Rung::Listed, reason);
    let cut =
        |name, made, tar: &[u8]| Case::broken(name, made, gzip(tar)).stops(Rung::Downloaded, &["tar-cut"]);
    let member = entry(NAME, EntryType::Regular, &till.packed);
    let longer =
        [header(NAME, till.packed.len() as u64 + 1_000_000, EntryType::Regular), till.packed.clone()];
    let notes = entry(b"LISEZMOI", EntryType::Regular, b"bonjour");
    let mut size = whole.clone();
    size[124..136].fill(b'z');
    let sum: u32 = size[..148].iter().chain(&size[156..512]).map(|byte| u32::from(*byte)).sum::<u32>() + 256;
    size[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    vec![
        cut("tar-cut-in-header", "gzip of the first 300 bytes of the tar", &whole[..300]),
        cut("tar-cut-in-member", "gzip of half of the tar", &whole[..whole.len() / 2]),
        cut("tar-member-shorter-than-told", "the header tells more bytes than follow", &longer.concat()),
        refused("tar-checksum", "a bit of the header flipped", &flipped(&whole, 110), &["tar-damaged"]),
        refused("tar-size-nonsense", "letters in the size field", &size, &["tar-damaged"]),
        refused("tar-without-member", "a tar with its end mark alone", &tar(&[]), &["member-missing"]),
        refused(
            "tar-two-members",
            "a second file",
            &tar(&[member.clone(), notes.clone()]),
            &["several-members"],
        ),
        refused("tar-other-member-first", "a note before the dump", &tar(&[notes, member]), &["wrong-magic"]),
        refused(
            "tar-symbolic-link",
            "a link to /etc/passwd",
            &tar(&[header(b"dump.pgsql", 0, EntryType::Symlink)]),
            &["member-odd"],
        ),
        refused(
            "tar-hard-link",
            "a hard link",
            &tar(&[header(b"dump.pgsql", 0, EntryType::Link)]),
            &["member-odd"],
        ),
        refused("tar-empty-member", "pg_dump refused: 0 bytes", &tar_of(NAME, b""), &["dump-empty"]),
        refused(
            "tar-enormous-member",
            "the header tells of 8 TiB",
            &tar(&[header(NAME, 8 << 40, EntryType::Regular)]),
            &["too-large"],
        )
        .unblamed(),
    ]
}

fn foreign(lab: &Lab, till: &Till) -> Vec<Case> {
    let refused =
        |name, made, download, reason| Case::broken(name, made, download).stops(Rung::Listed, reason);
    let plain = lab.dump(&till.database, &["-Fp"]);
    let in_tar = lab.dump(&till.database, &["-Ft"]);
    let files = lab.directory_dump(&till.database);
    let entries: Vec<_> =
        files.iter().map(|(name, content)| entry(name.as_bytes(), EntryType::Regular, content)).collect();
    let toc = files.iter().find(|(name, _)| name == "toc.dat").map(|(_, content)| content.clone());
    let page = b"<!DOCTYPE html>\n<html><title>502 Bad Gateway</title></html>";
    let noise: Vec<u8> =
        (0..4000_u32).flat_map(|n| (n.wrapping_mul(2_654_435_761) >> 13).to_be_bytes()).collect();
    let zip = [b"PK\x03\x04".as_slice(), &till.packed].concat();
    let zstd = [b"\x28\xb5\x2f\xfd".as_slice(), &till.packed].concat();
    vec![
        refused("page-html", "an error page", page.to_vec(), &["error-page"]),
        refused("page-html-in-gzip", "an error page in gzip", gzip(page), &["error-page"]),
        refused(
            "page-xml",
            "an object store's error",
            b"<?xml version=\"1.0\"?><Error/>".to_vec(),
            &["error-page"],
        ),
        refused("page-json", "an API's error", b"{\"error\":\"expired\"}".to_vec(), &["error-page"]),
        refused("plain-sql-named-pgsql", "pg_dump -Fp in the tar", served(&plain), &["plain-sql"]),
        refused("plain-sql-alone", "pg_dump -Fp", plain, &["plain-sql"]),
        refused("format-tar", "pg_dump -Ft", in_tar.clone(), &["not-custom-format"]),
        refused("format-tar-in-tar", "pg_dump -Ft as the member", served(&in_tar), &["wrong-magic"]),
        refused(
            "format-directory-toc",
            "toc.dat alone",
            served(&toc.expect("toc.dat")),
            &["not-custom-format"],
        ),
        refused("format-directory", "pg_dump -Fd in the tar", gzip(&tar(&entries)), &["wrong-magic"]),
        refused("encrypted", "an age file", b"age-encryption.org/v1\n-> X25519 x\n".to_vec(), &["encrypted"]),
        refused("zip", "a zip's magic", zip, &["wrong-magic"]),
        refused("zstd", "a zstd frame's magic", zstd, &["wrong-magic"]),
        refused("noise", "noise", noise.clone(), &["wrong-magic"]),
        refused("noise-in-tar", "noise as the member", served(&noise), &["wrong-magic"]),
        refused(
            "magic-wrong",
            "PGDMX instead of PGDMP",
            served(&set(&till.packed, 4, b'X')),
            &["wrong-magic"],
        ),
        refused("zip-bomb", "256 MiB of zeros in gzip", gzip_bomb(&till.packed, 256), &["too-large"])
            .unblamed(),
    ]
}
