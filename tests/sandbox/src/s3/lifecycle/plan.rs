//! What lifecycle rules demand of a bucket at a date. Pure.

use chrono::{DateTime, Utc};
use s3s::dto::{ExpirationStatus, LifecycleRule, Tag, Timestamp};

use crate::s3::model::{Object, StorageClass, Upload, Version};
use crate::s3::state::{Contents, Versions};
use crate::s3::times::from_protocol;

const DAY: i64 = 86_400;

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Deed {
    /// Put a delete marker over the key.
    Hide { key: String },
    /// Remove a version for good.
    Remove { key: String, id: u64 },
    /// Move a version to another class.
    Move { key: String, id: u64, class: StorageClass },
    /// Throw an upload away.
    Abort { key: String, upload: String },
}

/// Everything due at `now`, a date of the world; `wall` is what retention is compared with.
pub(super) fn due(
    contents: &Contents,
    rules: &[LifecycleRule],
    now: DateTime<Utc>,
    wall: DateTime<Utc>,
) -> Vec<Deed> {
    let rules: Vec<Rule<'_>> = rules
        .iter()
        .filter(|rule| rule.status.as_str() == ExpirationStatus::ENABLED)
        .map(|rule| Rule { of: rule, now, wall })
        .collect();
    let hides = super::hides(contents.bucket.versioning);
    let mut deeds = Vec::new();
    for (key, versions) in &contents.keys {
        for at in 0..versions.len() {
            let newer = versions.len() - 1 - at;
            let deed = rules.iter().find_map(|rule| rule.removal(key, versions, at, newer, hides));
            let deed = deed.or_else(|| {
                rules
                    .iter()
                    .filter_map(|rule| rule.transition(key, versions, at))
                    .max_by_key(|(class, _)| rank(*class))
                    .map(|(_, deed)| deed)
            });
            deeds.extend(deed);
        }
    }
    let old = |upload: &&Upload| rules.iter().any(|rule| rule.aborts(upload));
    let aborted = contents.uploads.values().filter(old);
    deeds.extend(aborted.map(|upload| Deed::Abort { key: upload.key.clone(), upload: upload.id.clone() }));
    deeds
}

/// The lower the colder.
fn rank(class: StorageClass) -> u8 {
    match class {
        StorageClass::Standard => 0,
        StorageClass::OneZone => 1,
        StorageClass::Glacier => 2,
    }
}

struct Rule<'a> {
    of: &'a LifecycleRule,
    now: DateTime<Utc>,
    wall: DateTime<Utc>,
}

impl Rule<'_> {
    /// Whether so many days have passed, counted to the midnight after them.
    fn passed(&self, since: i64, days: i32) -> bool {
        let end = since.saturating_add(i64::from(days) * DAY);
        let midnight = end.div_euclid(DAY) + i64::from(end.rem_euclid(DAY) != 0);
        self.now.timestamp() >= midnight * DAY
    }

    fn reached(&self, date: Option<&Timestamp>) -> bool {
        date.and_then(from_protocol).is_some_and(|date| self.now >= date)
    }

    fn is_about(&self, key: &str, object: Option<&Object>) -> bool {
        let filter = self.of.filter.as_ref();
        let and = filter.and_then(|filter| filter.and.as_ref());
        let prefixes = [
            self.of.prefix.as_deref(),
            filter.and_then(|filter| filter.prefix.as_deref()),
            and.and_then(|and| and.prefix.as_deref()),
        ];
        let tags = filter.and_then(|filter| filter.tag.as_ref()).into_iter();
        let mut tags = tags.chain(and.and_then(|and| and.tags.as_ref()).into_iter().flatten());
        let larger = filter
            .and_then(|filter| filter.object_size_greater_than)
            .or_else(|| and?.object_size_greater_than);
        let smaller =
            filter.and_then(|filter| filter.object_size_less_than).or_else(|| and?.object_size_less_than);
        let size = object.and_then(|object| i64::try_from(object.content.size).ok());
        let fits = |limit: Option<i64>, fits: fn(i64, i64) -> bool| {
            limit.is_none_or(|limit| size.is_some_and(|size| fits(size, limit)))
        };
        prefixes.into_iter().flatten().all(|prefix| key.starts_with(prefix))
            && tags.all(|tag| object.is_some_and(|object| has(object, tag)))
            && fits(larger, |size, limit| size > limit)
            && fits(smaller, |size, limit| size < limit)
    }

    fn removal(&self, key: &str, versions: &Versions, at: usize, newer: usize, hides: bool) -> Option<Deed> {
        let version = versions.get(at)?;
        let object = version.object.as_deref();
        if !self.is_about(key, object) {
            return None;
        }
        let remove = || Deed::Remove { key: key.to_owned(), id: version.id };
        if newer > 0 {
            let rule = self.of.noncurrent_version_expiration.as_ref()?;
            let since = versions.get(at + 1)?.born;
            let spared =
                rule.newer_noncurrent_versions.and_then(|kept| usize::try_from(kept).ok()).unwrap_or(0);
            let due = self.passed(since, rule.noncurrent_days?) && newer > spared;
            return (due && self.is_free(version)).then(remove);
        }
        let rule = self.of.expiration.as_ref()?;
        let due =
            rule.days.is_some_and(|days| self.passed(version.born, days)) || self.reached(rule.date.as_ref());
        match object {
            // A marker that hides nothing any more.
            None => {
                let wanted = rule.expired_object_delete_marker == Some(true) || due;
                (wanted && versions.len() == 1).then(remove)
            }
            Some(_) if !due => None,
            Some(_) if hides => Some(Deed::Hide { key: key.to_owned() }),
            Some(_) => self.is_free(version).then(remove),
        }
    }

    fn is_free(&self, version: &Version) -> bool {
        version
            .object
            .as_ref()
            .is_none_or(|object| object.attributes.protection.permits_removal(self.wall, false))
    }

    /// The coldest class that is due, if it is colder than the present one.
    fn transition(&self, key: &str, versions: &Versions, at: usize) -> Option<(StorageClass, Deed)> {
        let version = versions.get(at)?;
        let object = version.object.as_deref()?;
        if !self.is_about(key, Some(object)) {
            return None;
        }
        let parse = |class: Option<&s3s::dto::TransitionStorageClass>| StorageClass::parse(class?.as_str());
        let wanted: Vec<StorageClass> = match versions.get(at + 1) {
            None => {
                let rules = self.of.transitions.iter().flatten();
                let due = rules.filter(|one| {
                    one.days.is_some_and(|days| self.passed(version.born, days))
                        || self.reached(one.date.as_ref())
                });
                due.filter_map(|one| parse(one.storage_class.as_ref())).collect()
            }
            Some(next) => {
                let rules = self.of.noncurrent_version_transitions.iter().flatten();
                let due =
                    rules.filter(|one| one.noncurrent_days.is_some_and(|days| self.passed(next.born, days)));
                due.filter_map(|one| parse(one.storage_class.as_ref())).collect()
            }
        };
        let class = wanted.into_iter().max_by_key(|class| rank(*class))?;
        let colder = rank(class) > rank(object.attributes.class);
        colder.then(|| (class, Deed::Move { key: key.to_owned(), id: version.id, class }))
    }

    fn aborts(&self, upload: &Upload) -> bool {
        let days =
            self.of.abort_incomplete_multipart_upload.as_ref().and_then(|abort| abort.days_after_initiation);
        self.is_about(&upload.key, None) && days.is_some_and(|days| self.passed(upload.born, days))
    }
}

fn has(object: &Object, tag: &Tag) -> bool {
    let (key, value) = (tag.key.as_deref().unwrap_or_default(), tag.value.as_deref().unwrap_or_default());
    object.attributes.tags.iter().any(|(found, its)| found == key && its == value)
}
