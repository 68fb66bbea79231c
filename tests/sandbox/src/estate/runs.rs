//! Runs of the weekly archive job: the newest one's artifact is corrupt, an older one is whole.

use std::io::{Cursor, Write};

use chrono::TimeDelta;
use zip::write::SimpleFileOptions;

use super::{ARTIFACT, EstateError, WORKFLOW, failed};
use crate::github::{SeedArtifact, SeedRun};
use crate::sandbox::Parts;
use crate::seed::Document;

/// Adds the runs of the last weeks.
pub(super) fn make(parts: &Parts, documents: &[Document]) -> Result<(), EstateError> {
    let whole = zipped(documents).map_err(failed("zip the documents"))?;
    let now = parts.world.clock.wall();
    let weeks = |weeks: i64| now - TimeDelta::weeks(weeks) - TimeDelta::hours(9);
    let success = |at| SeedRun::completed(WORKFLOW, "success", at);
    let runs = [
        success(weeks(14)).with(SeedArtifact::zip(ARTIFACT, whole.clone()).expired()),
        success(weeks(2)).with(SeedArtifact::zip(ARTIFACT, whole.clone())),
        SeedRun::completed(WORKFLOW, "failure", weeks(1)),
        success(weeks(0)).with(SeedArtifact::damaged(ARTIFACT, whole)),
    ];
    for run in runs {
        parts.github.add_run(run).map_err(failed("add a workflow run"))?;
    }
    Ok(())
}

/// The documents as the job uploads them.
fn zipped(documents: &[Document]) -> zip::result::ZipResult<Vec<u8>> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for document in documents {
        writer.start_file(document.key.as_str(), SimpleFileOptions::default())?;
        writer.write_all(&document.bytes)?;
    }
    Ok(writer.finish()?.into_inner())
}
