//! The index: all buckets, versions and uploads in memory, as the sum of the [`Record`]s of the log.
//!
//! A live request and the replay at start both go through [`State::apply`], so they cannot disagree. No I/O.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::holds::Holds;
use super::model::{Blob, Bucket, Completion, Part, Segment, Upload, Version};

/// How many completed uploads of a bucket are remembered.
const REMEMBERED: usize = 1_000;

/// One change of the index; one line of the log.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[expect(clippy::large_enum_variant, reason = "made, applied and gone within one call")]
pub(crate) enum Record {
    /// A bucket appears, or its settings change.
    Bucket(Bucket),
    /// A bucket goes, its uploads with it.
    BucketGone(String),
    /// A version appears; one called `null` takes the place of an older `null`.
    Version { bucket: String, key: String, version: Version },
    /// What is known of a version changes, its bytes do not.
    Changed { bucket: String, key: String, version: Version },
    /// A version goes.
    VersionGone { bucket: String, key: String, id: u64 },
    /// Every version and upload of a bucket goes.
    Emptied(String),
    /// An upload begins.
    Upload { bucket: String, upload: Upload },
    /// A part arrives, perhaps instead of an earlier one.
    Part { bucket: String, key: String, upload: String, part: Part },
    /// An upload that ended by completion is remembered.
    Completed { bucket: String, completion: Completion },
    /// An upload ends, by completion (its version came just before) or abort.
    UploadGone { bucket: String, key: String, upload: String },
}

/// The versions of one key, oldest first; the last one is current.
pub(crate) type Versions = Vec<std::sync::Arc<Version>>;

/// One bucket with everything in it.
#[derive(Debug)]
pub(crate) struct Contents {
    /// The settings.
    pub(crate) bucket: Bucket,
    /// Versions by key; a key without versions is not in the map.
    pub(crate) keys: BTreeMap<String, Versions>,
    /// Uploads by key and identifier.
    pub(crate) uploads: BTreeMap<(String, String), Upload>,
    /// The latest completed uploads by identifier, which sorts by time.
    pub(crate) completed: BTreeMap<String, Completion>,
}

impl Contents {
    /// The current version of `key`, which may be a delete marker.
    pub(crate) fn current(&self, key: &str) -> Option<&std::sync::Arc<Version>> {
        self.keys.get(key)?.last()
    }

    /// The version of `key` that is meant by `name`, or the current one.
    pub(crate) fn version(&self, key: &str, name: Option<&str>) -> Option<&std::sync::Arc<Version>> {
        match name {
            None => self.current(key),
            Some(name) => self.keys.get(key)?.iter().find(|version| version.is_named(name)),
        }
    }
}

/// The index of one endpoint.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// Buckets by name.
    pub(crate) buckets: BTreeMap<String, Contents>,
    /// How often each blob is referred to.
    references: HashMap<Blob, u32>,
    /// What is being read, and therefore not freed yet.
    pub(crate) holds: std::sync::Arc<Holds>,
    /// The newest identifier given.
    last_id: u64,
    /// How many changes were applied: equal numbers mean an equal index.
    changes: u64,
}

impl State {
    /// A new identifier near `micros`, greater than every one before.
    pub(crate) fn next_id(&mut self, micros: i64) -> u64 {
        self.last_id = self.last_id.max(micros.max(0).cast_unsigned().saturating_sub(1)) + 1;
        self.last_id
    }

    /// Applies a change; gives the blobs that nothing refers to any more.
    pub(crate) fn apply(&mut self, record: Record) -> Vec<Blob> {
        self.changes += 1;
        match record {
            Record::Bucket(bucket) => self.put_bucket(bucket),
            Record::BucketGone(name) => self.remove_bucket(&name),
            Record::Version { bucket, key, version } => self.add(&bucket, key, version),
            Record::Changed { bucket, key, version } => self.replace(&bucket, &key, version),
            Record::VersionGone { bucket, key, id } => self.remove(&bucket, &key, id),
            Record::Emptied(name) => self.empty(&name),
            Record::Upload { bucket, upload } => self.begin(&bucket, upload),
            Record::Part { bucket, key, upload, part } => self.put_part(&bucket, key, upload, part),
            Record::Completed { bucket, completion } => self.remember(&bucket, completion),
            Record::UploadGone { bucket, key, upload } => self.end(&bucket, key, upload),
        }
    }

    /// How many changes were applied.
    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }

    /// Everything that is referred to.
    pub(crate) fn blobs(&self) -> impl Iterator<Item = Blob> {
        self.references.keys().copied()
    }

    /// The latest date of the world's clock at which anything was written or a thaw asked for.
    pub(crate) fn last_date(&self) -> Option<chrono::DateTime<chrono::Utc>> {
        let versions = self.buckets.values().flat_map(|contents| contents.keys.values().flatten());
        let dates = versions.flat_map(|version| {
            let thaw = version.object.as_ref().and_then(|object| object.attributes.thaw);
            [chrono::DateTime::from_timestamp(version.born, 0), thaw.map(|thaw| thaw.requested)]
        });
        dates.flatten().max()
    }

    /// Whether all these bytes belong to something.
    pub(crate) fn names(&self, segments: &[Segment]) -> bool {
        segments.iter().all(|segment| self.references.contains_key(&segment.blob))
    }

    /// Whether all these bytes are there still, be it only for who reads them.
    pub(crate) fn keeps(&self, segments: &[Segment]) -> bool {
        let is_kept = |blob| self.references.contains_key(blob) || self.holds.is_orphan(*blob);
        segments.iter().all(|segment| is_kept(&segment.blob))
    }

    /// The shortest list of records that makes this state.
    pub(crate) fn snapshot(&self) -> impl Iterator<Item = Record> {
        self.buckets.iter().flat_map(|(name, contents)| {
            let versions = contents.keys.iter().flat_map(move |(key, versions)| {
                versions.iter().map(move |version| Record::Version {
                    bucket: name.clone(),
                    key: key.clone(),
                    version: Version::clone(version),
                })
            });
            let uploads = contents
                .uploads
                .values()
                .map(move |upload| Record::Upload { bucket: name.clone(), upload: upload.clone() });
            let completed = contents.completed.values().map(move |completion| Record::Completed {
                bucket: name.clone(),
                completion: completion.clone(),
            });
            std::iter::once(Record::Bucket(contents.bucket.clone()))
                .chain(versions)
                .chain(uploads)
                .chain(completed)
        })
    }

    fn put_bucket(&mut self, bucket: Bucket) -> Vec<Blob> {
        if let Some(contents) = self.buckets.get_mut(&bucket.name) {
            contents.bucket = bucket;
        } else {
            let name = bucket.name.clone();
            let contents = Contents {
                bucket,
                keys: BTreeMap::new(),
                uploads: BTreeMap::new(),
                completed: BTreeMap::new(),
            };
            self.buckets.insert(name, contents);
        }
        Vec::new()
    }

    fn remove_bucket(&mut self, name: &str) -> Vec<Blob> {
        let freed = self.empty(name);
        self.buckets.remove(name);
        freed
    }

    fn add(&mut self, bucket: &str, key: String, version: Version) -> Vec<Blob> {
        self.last_id = self.last_id.max(version.id);
        self.retain(version.segments());
        let Some(contents) = self.buckets.get_mut(bucket) else { return Vec::new() };
        let versions = contents.keys.entry(key).or_default();
        let replaced = version
            .null
            .then(|| versions.iter().position(|other| other.null))
            .flatten()
            .map(|at| versions.remove(at));
        versions.push(std::sync::Arc::new(version));
        versions.shrink_to_fit();
        replaced.map_or_else(Vec::new, |old| self.release(old.segments()))
    }

    fn replace(&mut self, bucket: &str, key: &str, version: Version) -> Vec<Blob> {
        let found = self
            .buckets
            .get_mut(bucket)
            .and_then(|contents| contents.keys.get_mut(key))
            .and_then(|versions| versions.iter_mut().find(|other| other.id == version.id));
        if let Some(old) = found {
            *old = std::sync::Arc::new(version);
        }
        Vec::new()
    }

    fn remove(&mut self, bucket: &str, key: &str, id: u64) -> Vec<Blob> {
        let Some(contents) = self.buckets.get_mut(bucket) else { return Vec::new() };
        let Some(versions) = contents.keys.get_mut(key) else { return Vec::new() };
        let Some(at) = versions.iter().position(|version| version.id == id) else { return Vec::new() };
        let old = versions.remove(at);
        if versions.is_empty() {
            contents.keys.remove(key);
        }
        self.release(old.segments())
    }

    fn empty(&mut self, bucket: &str) -> Vec<Blob> {
        let Some(contents) = self.buckets.get_mut(bucket) else { return Vec::new() };
        let keys = std::mem::take(&mut contents.keys);
        let uploads = std::mem::take(&mut contents.uploads);
        contents.completed.clear();
        let mut freed = Vec::new();
        for version in keys.values().flatten() {
            freed.extend(self.release(version.segments()));
        }
        for part in uploads.values().flat_map(|upload| upload.parts.values()) {
            freed.extend(self.release(&part.content.segments));
        }
        freed
    }

    fn begin(&mut self, bucket: &str, upload: Upload) -> Vec<Blob> {
        for part in upload.parts.values() {
            self.retain(&part.content.segments);
        }
        if let Some(contents) = self.buckets.get_mut(bucket) {
            contents.uploads.insert((upload.key.clone(), upload.id.clone()), upload);
        }
        Vec::new()
    }

    fn put_part(&mut self, bucket: &str, key: String, upload: String, part: Part) -> Vec<Blob> {
        self.retain(&part.content.segments);
        let found =
            self.buckets.get_mut(bucket).and_then(|contents| contents.uploads.get_mut(&(key, upload)));
        let Some(upload) = found else { return Vec::new() };
        let old = upload.parts.insert(part.number, part);
        old.map_or_else(Vec::new, |old| self.release(&old.content.segments))
    }

    fn end(&mut self, bucket: &str, key: String, upload: String) -> Vec<Blob> {
        let gone = self.buckets.get_mut(bucket).and_then(|contents| contents.uploads.remove(&(key, upload)));
        let parts = gone.into_iter().flat_map(|upload| upload.parts.into_values());
        parts.flat_map(|part| self.release(&part.content.segments)).collect()
    }

    fn remember(&mut self, bucket: &str, completion: Completion) -> Vec<Blob> {
        if let Some(contents) = self.buckets.get_mut(bucket) {
            contents.completed.insert(completion.upload.clone(), completion);
            if contents.completed.len() > REMEMBERED {
                contents.completed.pop_first();
            }
        }
        Vec::new()
    }

    fn retain(&mut self, segments: &[Segment]) {
        for segment in segments {
            match self.references.entry(segment.blob) {
                Entry::Occupied(mut count) => *count.get_mut() += 1,
                Entry::Vacant(place) => {
                    place.insert(1);
                    self.holds.adopt(segment.blob);
                }
            }
        }
    }

    fn release(&mut self, segments: &[Segment]) -> Vec<Blob> {
        let mut freed = Vec::new();
        for segment in segments {
            let Some(count) = self.references.get_mut(&segment.blob) else { continue };
            *count -= 1;
            if *count == 0 {
                self.references.remove(&segment.blob);
                freed.extend(self.holds.lets_go(segment.blob).then_some(segment.blob));
            }
        }
        freed
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::s3::model::{Attributes, Content, Object, Versioning};

    fn bucket() -> Record {
        Record::Bucket(Bucket {
            name: "b".into(),
            created: DateTime::UNIX_EPOCH,
            versioning: Versioning::Off,
            lock: false,
            default_retention: None,
            acl: crate::s3::acl::Acl::default(),
            tags: Vec::new(),
            documents: BTreeMap::new(),
        })
    }

    fn version(id: u64, blob: u64) -> Record {
        let segments = vec![Segment { blob: Blob::File(blob), offset: 0, len: 1 }];
        let content = Content { size: 1, etag: String::new(), segments, parts: Vec::new(), checksum: None };
        let object = Some(Box::new(Object { content, attributes: Attributes::default() }));
        let version = Version { id, null: true, modified: DateTime::UNIX_EPOCH, born: 0, object };
        Record::Version { bucket: "b".into(), key: "k".into(), version }
    }

    #[test]
    fn a_blob_that_is_shared_outlives_its_first_owner() {
        let mut state = State::default();
        state.apply(bucket());
        state.apply(version(1, 9));
        assert_eq!(state.apply(version(2, 9)), [], "the same bytes under a new version");
        assert_eq!(state.apply(version(3, 8)), [Blob::File(9)]);
    }

    #[test]
    fn identifiers_grow_even_when_the_clock_does_not() {
        let mut state = State::default();
        let (first, second) = (state.next_id(1_000), state.next_id(900));
        assert_eq!((first, second), (1_000, 1_001));
    }

    #[test]
    fn a_snapshot_makes_the_same_state() {
        let mut state = State::default();
        for record in [bucket(), version(1, 9), version(2, 8)] {
            state.apply(record);
        }
        let mut copy = State::default();
        for record in state.snapshot() {
            copy.apply(record);
        }
        assert_eq!(format!("{:?}", copy.buckets), format!("{:?}", state.buckets));
        assert_eq!(copy.references, state.references);
    }
}
