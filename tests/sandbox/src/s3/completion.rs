//! A `CompleteMultipartUpload` whose answer was lost is sent again: it finds what the first one made. Pure.

use s3s::dto::CompletedPart;
use sha2::{Digest as _, Sha256};

use super::model::Completion;
use super::objects::Written;
use super::state::Contents;
use super::store::version_header;

/// What is remembered of a completion.
pub(crate) fn of(upload: &str, key: &str, parts: &[CompletedPart], version: u64) -> Completion {
    Completion { upload: upload.to_owned(), key: key.to_owned(), parts: digest(parts), version }
}

/// The answer of a completion with the same parts, while the version that it made is there.
pub(crate) fn again(
    contents: &Contents,
    upload: &str,
    key: &str,
    parts: &[CompletedPart],
) -> Option<Written> {
    let known =
        contents.completed.get(upload).filter(|known| known.key == key && known.parts == digest(parts))?;
    let version = contents.keys.get(key)?.iter().find(|version| version.id == known.version)?;
    Some(Written {
        content: version.object.as_ref()?.content.clone(),
        version_id: version_header(contents, version),
        modified: version.modified,
        id: version.id,
    })
}

fn digest(parts: &[CompletedPart]) -> String {
    let mut sum = Sha256::new();
    for part in parts {
        sum.update(part.part_number.unwrap_or(0).to_le_bytes());
        sum.update(part.e_tag.as_ref().map_or("", |etag| etag.value()));
        sum.update([0]);
    }
    hex::encode(sum.finalize())
}
