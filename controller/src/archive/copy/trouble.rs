//! What can go wrong with one object, and which of it is worth another attempt.

use super::Outcome;
use crate::archive::error::{ArchiveError, Result};
use crate::providers::http::Effect;
use crate::providers::s3::S3Error;
use crate::runtime::chain::Chain;
use crate::runtime::class::{Class, Classified as _};

pub(super) fn absent() -> Outcome {
    Outcome::Unreadable("the bucket lists it, and answers that there is none".to_owned())
}

/// Whether the object is to be begun again: a break, or another object under the same key.
pub(super) fn again(error: &ArchiveError) -> bool {
    matches!(error.class(), Class::Transient | Class::Throttled(_)) || error_is_change(error)
}

/// Why this one object does not come, where that is about it alone: the run goes on without it, and says so. What is about the bucket, the
/// key pair or the way there stays an error. `given`: others came before.
pub(super) fn without(error: ArchiveError, key: &str, given: bool) -> Result<Outcome> {
    let why = match &error {
        ArchiveError::Outside { source, .. } if source.is_changed() => {
            "it is replaced faster than it can be read".to_owned()
        }
        ArchiveError::Outside { source, .. }
            if source.is_broken()
                || source.is_mismatch()
                || source.is_incomplete()
                || (source.is_refused() && !source.is_of_all())
                // A proxy that tidies paths up spoils the signatures of some.
                || (given && source.code() == Some("SignatureDoesNotMatch")) =>
        {
            Chain(&error).to_string()
        }
        // The source sends other bytes than it says: what is damaged there cannot be archived.
        ArchiveError::Damaged { what, how } if what == key => how.clone(),
        _ => return Err(error),
    };
    Ok(Outcome::Unreadable(why))
}

/// Whether an object's bytes broke off on their way from the source. What came of them at the archive's side is another matter.
pub(super) fn is_cut(error: &ArchiveError) -> bool {
    matches!(error, ArchiveError::Outside { doing, source }
        if [super::READING, super::READING_PART].contains(doing) && source.is_cut())
}

/// Whether the source's answer is none that an object can be read from.
pub(super) fn is_odd(error: &ArchiveError) -> bool {
    matches!(error, ArchiveError::Outside { source, .. } if source.is_incomplete())
}

/// Whether it was a part's, which was asked for [`super::ATTEMPTS`] times by then.
pub(super) fn is_of_part(error: &ArchiveError) -> bool {
    matches!(error, ArchiveError::Outside { doing, .. } if *doing == super::READING_PART)
}

pub(super) fn error_is_change(error: &ArchiveError) -> bool {
    matches!(error, ArchiveError::Outside { source, .. } if source.is_changed())
}

/// It is another object by now, though the store did not say so when it was asked.
pub(super) fn replaced(key: &str) -> ArchiveError {
    let source = S3Error::Status {
        call: "objects.get",
        status: 412,
        code: String::new(),
        message: format!("{key} was replaced"),
        effect: Effect::Repeatable,
    };
    ArchiveError::Outside { doing: super::READING_PART, source }
}

/// What is being done where [`short`] tells.
const COPYING: &str = "copying an object";

/// Whether other bytes arrived than were announced.
pub(super) fn is_short(error: &ArchiveError) -> bool {
    matches!(error, ArchiveError::Outside { doing, .. } if *doing == COPYING)
}

/// Fewer bytes arrived than were announced, or others: reading again helps.
pub(super) fn short(what: &str, got: u64, announced: u64) -> ArchiveError {
    let source = std::io::Error::other(format!("{what}: {got} of {announced} bytes arrived whole"));
    ArchiveError::Outside {
        doing: COPYING,
        source: S3Error::Transport { call: "objects.get", effect: Effect::Repeatable, source: source.into() },
    }
}
