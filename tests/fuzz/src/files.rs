//! Downloads: the platform's backup archive, the code host's artifact.

use std::convert::Infallible;
use std::path::Path;

use bytes::Bytes;
use reprise::backup::archive::{self, Expect};
use reprise::backup::objects::{self, Limits};

/// What one dump may hold here: a bomb must be stopped by it, whatever its header says.
const MOST_BYTES: u64 = 4 << 20;

/// gzip, tar, one member, a dump: in pieces, as from a line. Nothing may stay on the disk after a refusal.
pub(crate) fn archive(data: &[u8]) {
    in_a_folder(|folder| {
        let into = folder.join("dump");
        let pieces = data.chunks(1_000).map(|piece| Ok::<_, Infallible>(Bytes::copy_from_slice(piece)));
        let body = futures::stream::iter(pieces.collect::<Vec<_>>());
        let expect = Expect { download_bytes: None, max_dump_bytes: MOST_BYTES };
        let received = crate::block_on(archive::receive(body, expect, &into, |_| ()));
        let left = std::fs::metadata(&into).map(|file| file.len()).ok();
        match received {
            Ok(received) => {
                assert_eq!(left, Some(received.dump_bytes), "what was told is not what was written");
                assert_eq!(received.download_bytes, data.len() as u64, "bytes were passed over");
                assert!(received.dump_bytes <= MOST_BYTES, "the budget was not kept");
            }
            Err(_) => assert_eq!(left, None, "a refused dump stays on the disk"),
        }
    });
}

/// A zip: what is taken must be within the limits, and no key may leave its prefix.
pub(crate) fn artifact(data: &[u8]) {
    in_a_folder(|folder| {
        let file = folder.join("artifact.zip");
        if std::fs::write(&file, data).is_err() {
            return;
        }
        let limits = Limits { entries: 64, total_bytes: MOST_BYTES, ratio: 1_100 };
        let Ok(index) = crate::block_on(objects::check(&file, None, limits, |_, _| ())) else { return };
        assert!(index.total_bytes() <= MOST_BYTES, "the budget was not kept");
        for entry in &index.entries {
            let climbs = entry.key.split('/').any(|part| part == "..");
            assert!(!climbs && !entry.key.starts_with('/'), "a key leaves its prefix: {:?}", entry.key);
        }
    });
}

/// Gives `work` an empty folder. One that cannot be made is the machine's fault and not the parser's.
fn in_a_folder(work: impl FnOnce(&Path)) {
    if let Ok(folder) = tempfile::tempdir() {
        work(folder.path());
    }
}
