//! Runs of the weekly archive job: the newest one's artifact is corrupt, an older one is whole.

use std::io::{Cursor, Write};

use bytes::Bytes;
use chrono::TimeDelta;
use zip::write::SimpleFileOptions;

use super::content::Documents;
use super::{ARTIFACT, EstateError, WORKFLOW, failed};
use crate::github::{Digest, SeedArtifact, SeedRun};
use crate::sandbox::Parts;

/// Adds the runs of the last weeks, of a job that uploaded the archive `whole`.
pub(super) fn make(parts: &Parts, whole: Bytes) -> Result<(), EstateError> {
    let now = parts.world.clock.wall();
    let weeks = |weeks: i64| now - TimeDelta::weeks(weeks) - TimeDelta::hours(9);
    let success = |at| SeedRun::completed(WORKFLOW, "success", at);
    let runs = [
        success(weeks(14)).with(SeedArtifact::zip(ARTIFACT, whole.clone()).expired()),
        // An uploader of long ago leaves no digest.
        success(weeks(3)).with(SeedArtifact::zip(ARTIFACT, whole.clone()).with_digest(Digest::None)),
        success(weeks(2)).with(SeedArtifact::zip(ARTIFACT, whole.clone())).with(journal()),
        SeedRun::completed(WORKFLOW, "failure", weeks(1)),
        success(weeks(0)).with(SeedArtifact::damaged(ARTIFACT, whole)),
    ];
    for run in runs {
        parts.github.add_run(run).map_err(failed("add a workflow run"))?;
    }
    Ok(())
}

/// A file that the job uploads as it is, without a zip around it.
fn journal() -> SeedArtifact {
    SeedArtifact::raw("journal.txt", "the documents were copied\n", "text/plain")
}

/// So many documents the job uploads: a zip of a million is more than any such job can make.
const ARCHIVED: usize = 10_000;

/// The documents as the job uploads them.
pub(super) fn zipped(documents: Documents) -> Result<Bytes, EstateError> {
    let failed = failed::<zip::result::ZipError>;
    // The job compresses nothing, as is advised for photographs and PDF files.
    let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for document in documents.take(ARCHIVED) {
        let document = document?;
        writer.start_file(document.key.as_str(), options).map_err(failed("zip the documents"))?;
        writer
            .write_all(&document.bytes)
            .map_err(|source| EstateError::File { what: "an artifact", source })?;
    }
    Ok(writer.finish().map_err(failed("zip the documents"))?.into_inner().into())
}
