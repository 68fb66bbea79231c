//! Conditional requests: which headers let a read, a copy or a write go on. Pure.

use chrono::{DateTime, Utc};
use s3s::dto::{ETag, ETagCondition, Timestamp};
use s3s::{S3Error, S3ErrorCode, S3Result};

use super::errors;
use super::model::Version;
use super::tidy::any_of;
use super::times::{from_protocol, http_date};

/// The four conditions of a read.
#[derive(Debug, Default)]
#[expect(clippy::struct_field_names, reason = "the names of the headers")]
pub(crate) struct Conditions {
    pub(crate) if_match: Option<ETagCondition>,
    pub(crate) if_none_match: Option<ETagCondition>,
    pub(crate) if_modified_since: Option<Timestamp>,
    pub(crate) if_unmodified_since: Option<Timestamp>,
}

/// How the conditions came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Go,
    NotModified,
    Failed,
}

impl Conditions {
    /// Decides by the order of RFC 9110: a matching `ETag` outranks the dates.
    pub(crate) fn judge(&self, etag: &str, modified: DateTime<Utc>) -> Verdict {
        let seconds = modified.timestamp();
        let date = |date: &Timestamp| from_protocol(date).map(|date| date.timestamp());
        match (&self.if_match, &self.if_unmodified_since) {
            (Some(condition), _) if !matches(condition, etag) => return Verdict::Failed,
            (None, Some(limit)) if date(limit).is_some_and(|limit| seconds > limit) => {
                return Verdict::Failed;
            }
            _ => {}
        }
        match (&self.if_none_match, &self.if_modified_since) {
            (Some(condition), _) if matches(condition, etag) => Verdict::NotModified,
            (None, Some(limit)) if date(limit).is_some_and(|limit| seconds <= limit) => Verdict::NotModified,
            _ => Verdict::Go,
        }
    }

    /// For a read: 304 or 412.
    pub(crate) fn check_read(&self, etag: &str, modified: DateTime<Utc>) -> S3Result<()> {
        match self.judge(etag, modified) {
            Verdict::Go => Ok(()),
            Verdict::Failed => Err(errors::precondition()),
            Verdict::NotModified => Err(errors::with_headers(
                S3Error::with_message(S3ErrorCode::NotModified, "Not Modified"),
                &[("etag", &format!("\"{etag}\"")), ("last-modified", &http_date(modified))],
            )),
        }
    }

    /// For the source of a copy: 412 in both cases.
    pub(crate) fn check_source(&self, etag: &str, modified: DateTime<Utc>) -> S3Result<()> {
        match self.judge(etag, modified) {
            Verdict::Go => Ok(()),
            Verdict::Failed | Verdict::NotModified => Err(errors::precondition()),
        }
    }
}

/// What a write demands of the object that is there.
#[derive(Debug, Default)]
pub(crate) struct WriteConditions {
    pub(crate) if_match: Option<ETagCondition>,
    pub(crate) if_none_match: Option<ETagCondition>,
    /// The caller may make new objects but never replace one.
    pub(crate) new_only: bool,
}

impl WriteConditions {
    /// Decides against the current version, which may be missing or a delete marker.
    pub(crate) fn check(&self, current: Option<&Version>) -> S3Result<()> {
        let etag = current.and_then(|version| version.object.as_ref()).map(|object| &*object.content.etag);
        if self.new_only && etag.is_some() {
            return Err(errors::access_denied());
        }
        match (&self.if_none_match, etag) {
            (Some(ETagCondition::Any), Some(_)) => return Err(errors::precondition()),
            (Some(ETagCondition::ETag(_)), _) => {
                let message = "A header you provided implies functionality that is not implemented";
                return Err(S3Error::with_message(S3ErrorCode::NotImplemented, message));
            }
            _ => {}
        }
        match (&self.if_match, etag) {
            (Some(_), None) => Err(errors::no_such_key()),
            (Some(condition), Some(etag)) if !matches(condition, etag) => Err(errors::precondition()),
            _ => Ok(()),
        }
    }
}

fn matches(condition: &ETagCondition, etag: &str) -> bool {
    match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(ETag::Strong(wanted) | ETag::Weak(wanted)) => any_of(wanted, etag),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::times::to_protocol;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 500_000_000).unwrap()
    }

    fn tag(value: &str) -> ETagCondition {
        ETagCondition::ETag(ETag::Strong(value.into()))
    }

    #[test]
    fn a_matching_etag_outranks_a_date() {
        let conditions = Conditions {
            if_match: Some(tag("a")),
            if_unmodified_since: Some(to_protocol(at(1))),
            ..Conditions::default()
        };
        assert_eq!(conditions.judge("a", at(5)), Verdict::Go);
    }

    #[test]
    fn an_object_of_the_same_second_is_not_modified() {
        let conditions = Conditions { if_modified_since: Some(to_protocol(at(5))), ..Conditions::default() };
        assert_eq!(conditions.judge("a", at(5)), Verdict::NotModified);
        assert_eq!(conditions.judge("a", at(6)), Verdict::Go);
    }

    #[test]
    fn if_match_on_nothing_is_not_found() {
        let conditions = WriteConditions { if_match: Some(tag("a")), ..WriteConditions::default() };
        assert_eq!(*conditions.check(None).unwrap_err().code(), S3ErrorCode::NoSuchKey);
    }

    #[test]
    fn who_may_only_append_may_write_over_a_delete_marker() {
        let marker = Version { id: 1, null: false, modified: at(0), born: 0, object: None };
        let conditions = WriteConditions { new_only: true, ..WriteConditions::default() };
        assert!(conditions.check(Some(&marker)).is_ok());
    }
}
