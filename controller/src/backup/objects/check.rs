//! The check of a whole artifact: digest, directory, then every byte of every entry, hashed three ways in one pass.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use md5::Md5;
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use super::directory::{Stated, stated_entries};
use super::entry::EntryReader;
use super::{ArtifactEntry, ArtifactIndex, ArtifactRefusal, Limits};

const BUFFER: usize = 256 << 10;

/// Checks the zip at `zip_file` and tells what is in it.
///
/// `digest` is GitHub's, `sha256:` and 64 hex digits; one of another algorithm cannot be compared and is told as not
/// matched. `progress` is told the bytes of entries unpacked so far, and in all. Dropping the future ends the work.
pub async fn check(
    zip_file: &Path,
    digest: Option<&str>,
    limits: Limits,
    progress: impl Fn(u64, u64) + Send + 'static,
) -> Result<ArtifactIndex, ArtifactRefusal> {
    let stop = CancellationToken::new();
    let _stop_when_dropped = stop.clone().drop_guard();
    let (path, digest) = (zip_file.to_owned(), digest.map(str::to_owned));
    let work = move || Checker { path: &path, stop, limits }.check(digest.as_deref(), progress);
    let joined = tokio::task::spawn_blocking(work).await;
    joined.map_err(|join| ArtifactRefusal::Local {
        doing: "wait for the check of an artifact",
        source: io::Error::other(join),
    })?
}

struct Checker<'a> {
    path: &'a Path,
    stop: CancellationToken,
    limits: Limits,
}

impl Checker<'_> {
    fn check(
        &self,
        digest: Option<&str>,
        progress: impl Fn(u64, u64),
    ) -> Result<ArtifactIndex, ArtifactRefusal> {
        let (zip_bytes, zip_sha256) = self.hash_whole()?;
        let digest_matched = compare_digest(digest, &zip_sha256)?;
        let stated = stated_entries(self.path, self.limits)?;
        let total = stated.iter().map(|entry| entry.size).sum();
        let mut done = 0;
        let mut buffer = vec![0; BUFFER];
        let mut entries = Vec::with_capacity(stated.len());
        for entry in stated {
            done += entry.size;
            entries.push(self.prove(entry, &mut buffer)?);
            progress(done, total);
        }
        Ok(ArtifactIndex { entries, zip_bytes, zip_sha256, digest_matched })
    }

    fn hash_whole(&self) -> Result<(u64, String), ArtifactRefusal> {
        let local = |source| ArtifactRefusal::Local { doing: "read the artifact", source };
        let mut file = File::open(self.path).map_err(local)?;
        let mut buffer = vec![0; BUFFER];
        let (mut hash, mut total) = (Sha256::new(), 0);
        loop {
            self.go_on()?;
            let count = file.read(&mut buffer).map_err(local)?;
            if count == 0 {
                return Ok((total, hex::encode(hash.finalize())));
            }
            total += count as u64;
            hash.update(&buffer[..count]);
        }
    }

    fn prove(&self, stated: Stated, buffer: &mut [u8]) -> Result<ArtifactEntry, ArtifactRefusal> {
        let facts = (stated.size, stated.crc32);
        let mut reader = EntryReader::open(self.path, &stated.key, facts, stated.location)?;
        let (mut md5, mut sha256) = (Md5::new(), Sha256::new());
        loop {
            self.go_on()?;
            let count = reader.read(buffer)?;
            if count == 0 {
                break;
            }
            md5.update(&buffer[..count]);
            sha256.update(&buffer[..count]);
        }
        Ok(ArtifactEntry {
            size: stated.size,
            crc32: stated.crc32,
            md5: hex::encode(md5.finalize()),
            sha256: hex::encode(sha256.finalize()),
            location: stated.location,
            key: stated.key,
        })
    }

    fn go_on(&self) -> Result<(), ArtifactRefusal> {
        if self.stop.is_cancelled() { Err(ArtifactRefusal::Cancelled) } else { Ok(()) }
    }
}

/// Whether the digest that was given is the file's; an error if it is another one.
fn compare_digest(given: Option<&str>, found: &str) -> Result<bool, ArtifactRefusal> {
    let Some(expected) = given.and_then(|given| given.trim().strip_prefix("sha256:")) else {
        return Ok(false);
    };
    if expected.eq_ignore_ascii_case(found) {
        return Ok(true);
    }
    Err(ArtifactRefusal::Digest { expected: format!("sha256:{expected}"), found: format!("sha256:{found}") })
}
