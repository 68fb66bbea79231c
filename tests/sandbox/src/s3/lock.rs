//! Object lock: retention and legal hold of versions, and the default of a bucket.

use chrono::{DateTime, Days, Months, Utc};
use s3s::dto::{
    DefaultRetention as Rule, GetObjectLegalHoldInput, GetObjectLegalHoldOutput,
    GetObjectLockConfigurationOutput, GetObjectRetentionInput, GetObjectRetentionOutput,
    ObjectLockConfiguration, ObjectLockEnabled, ObjectLockLegalHold, ObjectLockLegalHoldStatus,
    ObjectLockRetention, ObjectLockRetentionMode, ObjectLockRule, PutObjectLegalHoldInput,
    PutObjectRetentionInput, Timestamp,
};
use s3s::{S3Error, S3ErrorCode, S3Result};

use super::errors;
use super::model::{Bucket, DefaultRetention, LockMode, Object, Protection};
use super::store::{Store, marker_error};
use super::times::{from_protocol, to_protocol};

impl LockMode {
    /// The name in the protocol.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Governance => "GOVERNANCE",
            Self::Compliance => "COMPLIANCE",
        }
    }

    fn parse(name: &str) -> S3Result<Self> {
        match name {
            "GOVERNANCE" => Ok(Self::Governance),
            "COMPLIANCE" => Ok(Self::Compliance),
            _ => Err(errors::invalid("Unknown wormMode directive.")),
        }
    }
}

impl Protection {
    /// Whether the version may be deleted (or its retention shortened) now.
    pub(crate) fn permits_removal(&self, now: DateTime<Utc>, bypass: bool) -> bool {
        let held = self.hold == Some(true);
        let retained = self
            .retention
            .is_some_and(|(mode, until)| until > now && !(bypass && mode == LockMode::Governance));
        !held && !retained
    }
}

/// What a new object of `bucket` is protected by: what was asked for, else the bucket's default.
pub(crate) fn for_new(
    bucket: &Bucket,
    (mode, until, hold): (Option<&str>, Option<&Timestamp>, Option<&str>),
    is_protected: bool,
    now: DateTime<Utc>,
) -> S3Result<Protection> {
    if mode.is_none() && until.is_none() && hold.is_none() {
        return Ok(Protection { retention: default_retention(bucket, now), hold: None });
    }
    if !bucket.lock {
        return Err(errors::bad_request("Bucket is missing Object Lock Configuration"));
    }
    if !is_protected {
        let message = "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters";
        return Err(errors::bad_request(message));
    }
    let retention = match (mode, until) {
        (None, None) => default_retention(bucket, now),
        (Some(mode), Some(until)) => Some((LockMode::parse(mode)?, future(until, now)?)),
        _ => {
            let message =
                "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied";
            return Err(errors::invalid(message));
        }
    };
    Ok(Protection { retention, hold: hold.map(|status| status == ObjectLockLegalHoldStatus::ON) })
}

fn default_retention(bucket: &Bucket, now: DateTime<Utc>) -> Option<(LockMode, DateTime<Utc>)> {
    let rule = bucket.default_retention?;
    let days = rule.days.and_then(|days| now.checked_add_days(Days::new(u64::try_from(days).ok()?)));
    let years = || now.checked_add_months(Months::new(u32::try_from(rule.years?).ok()?.checked_mul(12)?));
    Some((rule.mode, days.or_else(years)?))
}

fn future(until: &Timestamp, now: DateTime<Utc>) -> S3Result<DateTime<Utc>> {
    let until = from_protocol(until).ok_or_else(|| errors::invalid("The retain until date is invalid"))?;
    if until > now { Ok(until) } else { Err(errors::invalid("The retain until date must be in the future!")) }
}

fn require_lock(bucket: &Bucket) -> S3Result<()> {
    if bucket.lock { Ok(()) } else { Err(errors::bad_request("Bucket is missing Object Lock Configuration")) }
}

/// `GetObjectLockConfiguration`.
pub(crate) fn get_configuration(store: &Store, bucket: &str) -> S3Result<GetObjectLockConfigurationOutput> {
    store.read_bucket(bucket, |contents| {
        if !contents.bucket.lock {
            let message = "Object Lock configuration does not exist for this bucket";
            return Err(S3Error::with_message(S3ErrorCode::ObjectLockConfigurationNotFoundError, message));
        }
        let rule = contents.bucket.default_retention.map(|rule| ObjectLockRule {
            default_retention: Some(Rule {
                days: rule.days,
                mode: Some(ObjectLockRetentionMode::from_static(rule.mode.name())),
                years: rule.years,
            }),
        });
        let enabled = Some(ObjectLockEnabled::from_static(ObjectLockEnabled::ENABLED));
        let configuration = ObjectLockConfiguration { object_lock_enabled: enabled, rule };
        Ok(GetObjectLockConfigurationOutput { object_lock_configuration: Some(configuration) })
    })
}

/// `PutObjectLockConfiguration`: sets the default; a bucket made without lock can never have it.
pub(crate) async fn put_configuration(
    store: &Store,
    bucket: &str,
    configuration: Option<ObjectLockConfiguration>,
) -> S3Result<()> {
    let rule = configuration.and_then(|configuration| configuration.rule?.default_retention);
    let rule = rule.map(parse_rule).transpose()?;
    let change = |bucket: &mut Bucket| {
        if !bucket.lock {
            let message = "Object Lock configuration cannot be enabled on existing buckets";
            return Err(S3Error::with_message(S3ErrorCode::InvalidBucketState, message));
        }
        bucket.default_retention = rule;
        Ok(())
    };
    store.change_bucket(bucket, change).await
}

fn parse_rule(rule: Rule) -> S3Result<DefaultRetention> {
    let malformed = || {
        S3Error::with_message(
            S3ErrorCode::MalformedXML,
            "The XML you provided was not well-formed or did not validate against our published schema",
        )
    };
    let mode = LockMode::parse(rule.mode.ok_or_else(malformed)?.as_str())?;
    match (rule.days, rule.years) {
        (Some(days), None) if days > 0 => Ok(DefaultRetention { mode, days: Some(days), years: None }),
        (None, Some(years)) if years > 0 => Ok(DefaultRetention { mode, days: None, years: Some(years) }),
        (Some(_), None) | (None, Some(_)) => {
            Err(errors::invalid("Default retention period must be a positive integer value."))
        }
        _ => Err(malformed()),
    }
}

/// `GetObjectRetention`.
pub(crate) fn get_retention(
    store: &Store,
    input: &GetObjectRetentionInput,
) -> S3Result<GetObjectRetentionOutput> {
    let protection = protection(store, &input.bucket, &input.key, input.version_id.as_deref())?;
    let (mode, until) = protection.retention.ok_or_else(no_lock)?;
    let mode = Some(ObjectLockRetentionMode::from_static(mode.name()));
    let retention = ObjectLockRetention { mode, retain_until_date: Some(to_protocol(until)) };
    Ok(GetObjectRetentionOutput { retention: Some(retention) })
}

/// `PutObjectRetention`: may be lengthened by anybody, shortened or weakened only past its rules.
pub(crate) async fn put_retention(store: &Store, input: PutObjectRetentionInput) -> S3Result<()> {
    let now = store.world.clock.wall();
    let bypass = input.bypass_governance_retention.unwrap_or(false);
    let wanted = input.retention.unwrap_or_default();
    let wanted = match (wanted.mode, wanted.retain_until_date) {
        (Some(mode), Some(until)) => Some((LockMode::parse(mode.as_str())?, future(&until, now)?)),
        (None, None) => None,
        _ => return Err(errors::invalid("Both mode and retain until date must be supplied")),
    };
    let change = |bucket: &Bucket, object: &mut Object| {
        require_lock(bucket)?;
        let protection = &mut object.attributes.protection;
        let lengthens = match (protection.retention, wanted) {
            (None, _) => true,
            (Some(_), None) | (Some((LockMode::Compliance, _)), Some((LockMode::Governance, _))) => false,
            (Some((_, old)), Some((_, new))) => new >= old,
        };
        let old = Protection { hold: None, ..*protection };
        if !lengthens && !old.permits_removal(now, bypass) {
            return Err(errors::locked());
        }
        protection.retention = wanted;
        Ok(())
    };
    store.change_version((&input.bucket, &input.key, input.version_id.as_deref()), change).await.map(drop)
}

/// `GetObjectLegalHold`.
pub(crate) fn get_hold(store: &Store, input: &GetObjectLegalHoldInput) -> S3Result<GetObjectLegalHoldOutput> {
    let protection = protection(store, &input.bucket, &input.key, input.version_id.as_deref())?;
    let status = hold_name(protection.hold.ok_or_else(no_lock)?);
    Ok(GetObjectLegalHoldOutput { legal_hold: Some(ObjectLockLegalHold { status: Some(status) }) })
}

/// `ON` or `OFF`.
pub(crate) fn hold_name(hold: bool) -> ObjectLockLegalHoldStatus {
    let name = if hold { ObjectLockLegalHoldStatus::ON } else { ObjectLockLegalHoldStatus::OFF };
    ObjectLockLegalHoldStatus::from_static(name)
}

/// `PutObjectLegalHold`.
pub(crate) async fn put_hold(store: &Store, input: PutObjectLegalHoldInput) -> S3Result<()> {
    let status = input.legal_hold.and_then(|hold| hold.status);
    let hold = match status.as_ref().map(ObjectLockLegalHoldStatus::as_str) {
        Some("ON") => true,
        Some("OFF") => false,
        _ => return Err(errors::invalid("Legal hold must be ON or OFF")),
    };
    let change = |bucket: &Bucket, object: &mut Object| {
        require_lock(bucket)?;
        object.attributes.protection.hold = Some(hold);
        Ok(())
    };
    store.change_version((&input.bucket, &input.key, input.version_id.as_deref()), change).await.map(drop)
}

fn no_lock() -> S3Error {
    let message = "The specified object does not have a ObjectLock configuration";
    S3Error::with_message(S3ErrorCode::NoSuchObjectLockConfiguration, message)
}

fn protection(store: &Store, bucket: &str, key: &str, version: Option<&str>) -> S3Result<Protection> {
    store.read_bucket(bucket, |contents| {
        require_lock(&contents.bucket)?;
        let found = super::store::find(contents, key, version)?;
        let object = found.object.as_ref().ok_or_else(|| marker_error(version.is_some()))?;
        Ok(object.attributes.protection)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn governance_yields_to_a_bypass_and_compliance_does_not() {
        let (now, later) = (DateTime::UNIX_EPOCH, DateTime::from_timestamp(60, 0).unwrap());
        let of = |mode| Protection { retention: Some((mode, later)), hold: None };
        assert!(!of(LockMode::Governance).permits_removal(now, false));
        assert!(of(LockMode::Governance).permits_removal(now, true));
        assert!(!of(LockMode::Compliance).permits_removal(now, true));
        assert!(of(LockMode::Compliance).permits_removal(later, false), "the date has come");
    }

    #[test]
    fn a_hold_yields_to_nothing() {
        let held = Protection { retention: None, hold: Some(true) };
        assert!(!held.permits_removal(DateTime::UNIX_EPOCH, true));
    }
}
