//! Whether anything vouches for every byte of a dump. Pure.

use serde::{Deserialize, Serialize};

use super::Recorded;
use crate::backup::archive::{Packing, Received};
use crate::backup::toc::Toc;

/// What vouches for the bytes of a dump: without any of it, a flipped bit in a value leaves a dump that restores without
/// a word, and nobody may call it asserted.
///
/// What no seal can see: damage to the table of contents before the platform packed the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Seal {
    /// They are those whose digest was recorded.
    Digest,
    /// `pg_dump` put a checksum over every block of data, and gzip one over all that was downloaded.
    Checksums,
}

impl Seal {
    /// The seal of what was `received`, whose digests were held against what is `recorded`.
    pub fn of(received: &Received, toc: &Toc, recorded: &Recorded) -> Option<Self> {
        let gzipped = matches!(received.packing, Packing::GzipTar | Packing::Gzip);
        if recorded.download_sha256.is_some() || recorded.dump_sha256.is_some() {
            Some(Self::Digest)
        } else if gzipped && has_checksums(&toc.compression) {
            Some(Self::Checksums)
        } else {
            None
        }
    }
}

/// Whether data blocks carry checksums, in the words of a listing: `-1` and 1 to 9 up to release 15, then the name of the
/// algorithm. lz4 and zstd are used without theirs.
fn has_checksums(compression: &str) -> bool {
    compression == "gzip" || compression.parse::<i32>().is_ok_and(|level| level != 0)
}

#[cfg(test)]
mod tests {
    use super::has_checksums;

    #[test]
    fn only_gzip_puts_checksums_over_the_data() {
        for (compression, has) in [
            ("-1", true),
            ("9", true),
            ("gzip", true),
            ("0", false),
            ("none", false),
            ("zstd", false),
            ("lz4", false),
        ] {
            assert_eq!(has_checksums(compression), has, "{compression}");
        }
    }
}
