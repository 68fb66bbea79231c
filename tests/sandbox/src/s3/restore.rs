//! GLACIER: an object of that class is read only while a thawed copy exists. Thawing takes world time; the class never changes.

use chrono::{DateTime, TimeDelta, Utc};
use s3s::dto::{RestoreObjectInput, RestoreObjectOutput, RestoreStatus};
use s3s::{S3Error, S3ErrorCode, S3Result};

use super::errors;
use super::model::{Attributes, Bucket, Object, StorageClass, Thaw};
use super::store::Store;
use super::times::{http_date, to_protocol};

/// How far the thaw of a cold object has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Temperature {
    /// Not of a cold class.
    Warm,
    /// Cannot be read.
    Cold,
    /// Asked for, cannot be read yet.
    Thawing,
    /// Can be read until this date of the world.
    Thawed(DateTime<Utc>),
}

impl Temperature {
    /// Whether the bytes can be read.
    pub(crate) fn is_readable(self) -> bool {
        matches!(self, Self::Warm | Self::Thawed(_))
    }
}

/// The temperature at `now`, a date of the world.
pub(crate) fn temperature(attributes: &Attributes, now: DateTime<Utc>) -> Temperature {
    match (attributes.class, attributes.thaw) {
        (StorageClass::Standard | StorageClass::OneZone, _) => Temperature::Warm,
        (StorageClass::Glacier, Some(thaw)) if now < thaw.ready => Temperature::Thawing,
        (StorageClass::Glacier, Some(thaw)) if now < thaw.expires => Temperature::Thawed(thaw.expires),
        (StorageClass::Glacier, _) => Temperature::Cold,
    }
}

impl Store {
    /// The temperature now.
    pub(crate) fn temperature(&self, attributes: &Attributes) -> Temperature {
        temperature(attributes, self.world_date())
    }

    /// The header `x-amz-restore`.
    pub(crate) fn restore_header(&self, attributes: &Attributes) -> Option<String> {
        match self.temperature(attributes) {
            Temperature::Warm | Temperature::Cold => None,
            Temperature::Thawing => Some("ongoing-request=\"true\"".to_owned()),
            Temperature::Thawed(expires) => {
                let date = http_date(self.wall_date_of(expires));
                Some(format!("ongoing-request=\"false\", expiry-date=\"{date}\""))
            }
        }
    }

    /// The same for listings.
    pub(crate) fn restore_status(&self, attributes: &Attributes) -> Option<RestoreStatus> {
        match self.temperature(attributes) {
            Temperature::Warm | Temperature::Cold => None,
            Temperature::Thawing => {
                Some(RestoreStatus { is_restore_in_progress: Some(true), restore_expiry_date: None })
            }
            Temperature::Thawed(expires) => Some(RestoreStatus {
                is_restore_in_progress: Some(false),
                restore_expiry_date: Some(to_protocol(self.wall_date_of(expires))),
            }),
        }
    }
}

/// `RestoreObject`. The second value says whether a thaw began (202) or one was only prolonged (200).
pub(crate) async fn restore(
    store: &Store,
    input: RestoreObjectInput,
) -> S3Result<(RestoreObjectOutput, bool)> {
    let days = input.restore_request.and_then(|request| request.days).unwrap_or(1);
    if days < 1 {
        return Err(errors::invalid("restoration days should be at least 1"));
    }
    let (now, mut begun) = (store.world_date(), false);
    let change = |_: &Bucket, object: &mut Object| {
        let attributes = &mut object.attributes;
        let ready = match temperature(attributes, now) {
            Temperature::Warm => {
                let message = "Restore is not allowed for the object's current storage class";
                return Err(S3Error::with_message(S3ErrorCode::InvalidObjectState, message));
            }
            Temperature::Thawing => {
                let message = "Object restore is already in progress";
                return Err(S3Error::with_message(S3ErrorCode::RestoreAlreadyInProgress, message));
            }
            Temperature::Cold => {
                begun = true;
                super::store::after(now, store.thaw)
            }
            Temperature::Thawed(_) => now,
        };
        let days = TimeDelta::try_days(days.into()).unwrap_or(TimeDelta::MAX);
        let expires =
            ready.checked_add_signed(days).ok_or_else(|| errors::invalid("restoration days are too many"))?;
        attributes.thaw = Some(Thaw { requested: now, ready, expires });
        Ok(())
    };
    store.change_version((&input.bucket, &input.key, input.version_id.as_deref()), change).await?;
    Ok((RestoreObjectOutput::default(), begun))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thaw_begins_ends_and_is_over() {
        let at = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
        let thaw = Some(Thaw { requested: at(0), ready: at(10), expires: at(20) });
        let attributes = Attributes { class: StorageClass::Glacier, thaw, ..Attributes::default() };
        assert_eq!(temperature(&attributes, at(9)), Temperature::Thawing);
        assert_eq!(temperature(&attributes, at(10)), Temperature::Thawed(at(20)));
        assert_eq!(temperature(&attributes, at(20)), Temperature::Cold);
    }
}
