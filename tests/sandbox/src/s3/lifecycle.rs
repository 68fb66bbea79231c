//! Lifecycle rules: checked when they are stored, carried out at every midnight (UTC) of the world's clock.
//!
//! Dates are the world's: a rule of thirty days acts after thirty days of a world that runs faster, too.

use std::sync::{Arc, Weak};
use std::time::Duration;

use s3s::dto::{BucketLifecycleConfiguration, ExpirationStatus, LifecycleRule, Transition};
use s3s::{S3Error, S3ErrorCode, S3Result};

use super::documents::{self, Kind};
use super::errors;
use super::model::{StorageClass, Version, Versioning};
use super::state::Record;
use super::store::{Draft, Store};
use plan::Deed;

mod plan;

/// How many rules a bucket may have.
const MOST: usize = 1_000;
/// The shortest stay before each class, where the provider demands one.
const SHORTEST: [(StorageClass, i32); 2] = [(StorageClass::OneZone, 30), (StorageClass::Glacier, 90)];
/// The regions in which it does.
const STRICT: [&str; 2] = ["fr-par", "pl-waw"];

/// `PutBucketLifecycleConfiguration`.
pub(crate) async fn put(
    store: &Store,
    bucket: &str,
    mut wanted: BucketLifecycleConfiguration,
) -> S3Result<()> {
    check(&wanted.rules, &store.region)?;
    for (at, rule) in wanted.rules.iter_mut().enumerate() {
        rule.id.get_or_insert_with(|| format!("rule-{}", at + 1));
    }
    documents::put_xml(store, bucket, Kind::Lifecycle, &wanted).await
}

fn malformed() -> S3Error {
    S3Error::with_message(
        S3ErrorCode::MalformedXML,
        "The XML you provided was not well-formed or did not validate against our published schema",
    )
}

fn check(rules: &[LifecycleRule], region: &str) -> S3Result<()> {
    if rules.is_empty() || rules.len() > MOST {
        return Err(malformed());
    }
    let mut ids: Vec<&str> = rules.iter().filter_map(|rule| rule.id.as_deref()).collect();
    ids.sort_unstable();
    if ids.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(errors::invalid("Rule ID must be unique. Found same ID for more than one rule"));
    }
    rules.iter().try_for_each(|rule| check_rule(rule, region))
}

fn check_rule(rule: &LifecycleRule, region: &str) -> S3Result<()> {
    if ![ExpirationStatus::ENABLED, ExpirationStatus::DISABLED].contains(&rule.status.as_str()) {
        return Err(malformed());
    }
    if rule.id.as_ref().is_some_and(|id| id.chars().count() > 255) {
        return Err(errors::invalid("ID length should not exceed allowed limit of 255"));
    }
    let transitions = rule.transitions.as_deref().unwrap_or_default();
    let later = rule.noncurrent_version_transitions.as_deref().unwrap_or_default();
    let acts = rule.expiration.is_some()
        || rule.noncurrent_version_expiration.is_some()
        || rule.abort_incomplete_multipart_upload.is_some()
        || !transitions.is_empty()
        || !later.is_empty();
    if !acts {
        return Err(S3Error::with_message(
            S3ErrorCode::InvalidRequest,
            "At least one action needs to be specified in a rule",
        ));
    }
    let expiration = rule.expiration.as_ref();
    let days = [
        expiration.and_then(|expiration| expiration.days),
        rule.noncurrent_version_expiration.as_ref().and_then(|expiration| expiration.noncurrent_days),
        rule.abort_incomplete_multipart_upload.as_ref().and_then(|abort| abort.days_after_initiation),
    ];
    if days.into_iter().flatten().any(|days| days < 1) {
        return Err(errors::invalid("'Days' must be a positive integer"));
    }
    transitions.iter().try_for_each(|one| check_transition(one, expiration.and_then(|e| e.days), region))?;
    later.iter().try_for_each(|one| {
        let class = class(one.storage_class.as_ref().map(s3s::dto::TransitionStorageClass::as_str))?;
        check_stay(class, one.noncurrent_days, region)
    })
}

fn check_transition(transition: &Transition, expires: Option<i32>, region: &str) -> S3Result<()> {
    let class = class(transition.storage_class.as_ref().map(s3s::dto::TransitionStorageClass::as_str))?;
    if transition.days.is_some() == transition.date.is_some() {
        return Err(malformed());
    }
    if let (Some(days), Some(expires)) = (transition.days, expires)
        && expires <= days
    {
        let message = "'Days' in the Expiration action must be greater than 'Days' in the Transition action";
        return Err(errors::invalid(message));
    }
    check_stay(class, transition.days, region)
}

/// The class that a rule moves to; never STANDARD.
fn class(name: Option<&str>) -> S3Result<StorageClass> {
    let class = name.and_then(StorageClass::parse).filter(|class| *class != StorageClass::Standard);
    class.ok_or_else(malformed)
}

fn check_stay(class: StorageClass, days: Option<i32>, region: &str) -> S3Result<()> {
    let least = SHORTEST.iter().find(|(of, _)| *of == class).map_or(0, |(_, days)| *days);
    if STRICT.contains(&region) && days.is_some_and(|days| days < least) {
        let message = format!(
            "'Days' in Transition action must be greater than or equal to {least} for storageClass '{}'",
            class.name()
        );
        return Err(errors::invalid(message));
    }
    Ok(())
}

/// Seconds.
const DAY: i64 = 86_400;

/// Carries the rules out at every midnight, for as long as the store is there. A clock that is pushed while they are carried out
/// passes a midnight that nobody sleeps through: it is seen by the day that it is then.
pub(crate) async fn run(store: Weak<Store>) {
    let mut known = None;
    loop {
        let Some(store) = store.upgrade() else { return };
        let now = store.world_date().timestamp();
        let (today, left) = (now.div_euclid(DAY), DAY - now.rem_euclid(DAY));
        if known.replace(today).is_some_and(|day| day != today) {
            carry_out(&store).await;
            continue;
        }
        let world = Arc::clone(&store.world);
        drop(store);
        world.clock.sleep(Duration::from_secs(left.unsigned_abs())).await;
    }
}

async fn carry_out(store: &Store) {
    match sweep(store).await {
        Ok(0) => {}
        Ok(deeds) => tracing::info!(endpoint = store.name, deeds, "lifecycle rules were carried out"),
        Err(error) => tracing::warn!(%error, "lifecycle rules were not carried out"),
    }
}

/// Carries out what is due in every bucket; gives the number of deeds.
pub(crate) async fn sweep(store: &Store) -> S3Result<usize> {
    let ruled: Vec<String> = store.read(|state| {
        let buckets = state.buckets.values().map(|contents| &contents.bucket);
        let ruled = buckets.filter(|bucket| bucket.documents.contains_key("lifecycle"));
        ruled.map(|bucket| bucket.name.clone()).collect()
    });
    let mut count = 0;
    for name in ruled {
        let Ok(rules) = documents::get_xml::<BucketLifecycleConfiguration>(store, &name, Kind::Lifecycle)
        else {
            continue;
        };
        count += store
            .change(|draft| {
                let deeds = plan::due(draft.bucket(&name)?, &rules.rules, draft.world_now(), draft.now());
                deeds.iter().try_for_each(|deed| perform(draft, &name, deed))?;
                Ok(deeds.len())
            })
            .await?;
    }
    Ok(count)
}

fn perform(draft: &mut Draft<'_>, bucket: &str, deed: &Deed) -> S3Result<()> {
    let bucket = bucket.to_owned();
    match deed {
        Deed::Hide { key } => {
            let version = draft.new_version(&bucket, None)?;
            draft.apply(Record::Version { bucket, key: key.clone(), version })
        }
        Deed::Remove { key, id } => draft.apply(Record::VersionGone { bucket, key: key.clone(), id: *id }),
        Deed::Move { key, id, class } => {
            let found = draft.bucket(&bucket)?.keys.get(key);
            let version = found.and_then(|versions| versions.iter().find(|version| version.id == *id));
            let Some(mut version) = version.map(|version| Version::clone(version)) else { return Ok(()) };
            if let Some(object) = version.object.as_mut() {
                object.attributes.class = *class;
            }
            draft.apply(Record::Changed { bucket, key: key.clone(), version })
        }
        Deed::Abort { key, upload } => {
            draft.apply(Record::UploadGone { bucket, key: key.clone(), upload: upload.clone() })
        }
    }
}

/// Whether expiring hides the object under a delete marker instead of removing it.
fn hides(versioning: Versioning) -> bool {
    versioning != Versioning::Off
}

#[cfg(test)]
mod tests {
    use s3s::dto::{LifecycleExpiration, TransitionStorageClass};

    use super::*;

    fn rule(transition: i32, expiration: i32) -> LifecycleRule {
        LifecycleRule {
            abort_incomplete_multipart_upload: None,
            expiration: Some(LifecycleExpiration {
                days: Some(expiration),
                date: None,
                expired_object_delete_marker: None,
            }),
            filter: None,
            id: None,
            noncurrent_version_expiration: None,
            noncurrent_version_transitions: None,
            prefix: Some(String::new()),
            status: ExpirationStatus::from_static(ExpirationStatus::ENABLED),
            transitions: Some(vec![Transition {
                days: Some(transition),
                date: None,
                storage_class: Some(TransitionStorageClass::from_static("GLACIER")),
            }]),
        }
    }

    #[test]
    fn a_class_must_be_stayed_away_from_for_a_while_where_the_provider_says_so() {
        assert!(check(&[rule(90, 91)], "fr-par").is_ok());
        assert!(check(&[rule(89, 91)], "fr-par").is_err());
        assert!(check(&[rule(1, 91)], "nl-ams").is_ok());
    }

    #[test]
    fn expiring_before_moving_or_for_nothing_is_refused() {
        assert!(check(&[rule(90, 90)], "nl-ams").is_err());
        assert!(check(&[rule(1, 0)], "nl-ams").is_err());
        assert!(check(&[], "nl-ams").is_err());
    }
}
