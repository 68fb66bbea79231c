//! One endpoint's store: the index under one lock, the disk below it, and the rules for changing both.
//!
//! A change checks and applies under the write lock, in memory only; then it waits, unlocked, until the disk has it. Readers
//! take an `Arc` of a version and let the lock go.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use s3s::S3Result;

use super::disk::{Disk, Loose};
use super::errors;
use super::holds::{Held, Holds};
use super::log;
use super::model::{Bucket, Content, Segment, Version, Versioning};
use super::state::{Contents, Record, State};
use super::throttle::{Rates, Throttle};
use crate::world::World;

mod life;

/// The store behind one endpoint.
#[derive(Debug)]
pub(crate) struct Store {
    /// Clock, names, identifiers.
    pub(crate) world: Arc<World>,
    /// The bytes.
    pub(crate) disk: Arc<Disk>,
    /// The endpoint's name.
    pub(crate) name: &'static str,
    /// The region that requests must be signed for.
    pub(crate) region: String,
    /// The identifier of the one owner.
    pub(crate) owner: String,
    /// How long GLACIER takes to thaw, world time.
    pub(crate) thaw: Duration,
    /// Refuses who asks too often.
    pub(crate) throttle: Throttle,
    /// What was last answered about everything, and after how many changes: dear to find out again where there is much.
    pub(crate) told: Mutex<Option<(u64, serde_json::Value)>>,
    state: RwLock<State>,
    holds: Arc<Holds>,
    /// The world's date when this store was opened, and the world's clock then.
    opened: (DateTime<Utc>, Duration),
}

/// What a store is told at its start; see the fields of [`Store`].
pub(crate) struct Settings {
    pub(crate) name: &'static str,
    pub(crate) region: String,
    pub(crate) owner: String,
    pub(crate) thaw: Duration,
    pub(crate) rates: Rates,
}

/// A body that has arrived and is not yet part of the index.
#[derive(Debug)]
pub(crate) enum Arrived {
    /// Small enough for a pack.
    Small(Bytes),
    /// Already in its own file.
    Large(Loose, u64),
}

/// A change that is being made under the lock.
pub(crate) struct Draft<'a> {
    /// The index as it is with what was applied so far.
    pub(crate) state: &'a mut State,
    disk: &'a Disk,
    lines: Vec<u8>,
    packed: Vec<(super::model::Blob, Bytes)>,
    freed: Vec<super::model::Blob>,
    now: DateTime<Utc>,
    world_now: DateTime<Utc>,
}

impl Draft<'_> {
    /// Applies `record` and notes it for the log.
    pub(crate) fn apply(&mut self, record: Record) -> S3Result<()> {
        log::encode(&record, &mut self.lines).map_err(|error| errors::io(&error.into()))?;
        self.freed.extend(self.state.apply(record));
        Ok(())
    }

    /// Gives an arrived body its place.
    pub(crate) fn place(&mut self, body: Arrived) -> Vec<Segment> {
        match body {
            Arrived::Small(bytes) if bytes.is_empty() => Vec::new(),
            Arrived::Small(bytes) => {
                let len = bytes.len() as u64;
                let blob = self.disk.allocate(len);
                self.packed.push((blob, bytes));
                vec![Segment { blob, offset: 0, len }]
            }
            Arrived::Large(loose, len) => {
                let blob = loose.blob;
                loose.keep();
                vec![Segment { blob, offset: 0, len }]
            }
        }
    }

    /// The bucket of that name.
    pub(crate) fn bucket(&self, name: &str) -> S3Result<&Contents> {
        self.state.buckets.get(name).ok_or_else(errors::no_such_bucket)
    }

    /// A new version for `bucket`, named by the bucket's rule.
    pub(crate) fn new_version(
        &mut self,
        bucket: &str,
        object: Option<super::model::Object>,
    ) -> S3Result<Version> {
        let null = self.bucket(bucket)?.bucket.versioning != Versioning::Enabled;
        let id = self.state.next_id(self.now.timestamp_micros());
        let born = self.world_now.timestamp();
        Ok(Version { id, null, modified: self.now, born, object: object.map(Box::new) })
    }

    /// The time of this change by the world's clock.
    pub(crate) fn world_now(&self) -> DateTime<Utc> {
        self.world_now
    }

    /// The time of this change.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.now
    }
}

impl Store {
    /// A store over an opened disk and the index that was found there.
    pub(crate) fn new(world: &Arc<World>, (disk, state): (Arc<Disk>, State), settings: Settings) -> Self {
        let Settings { name, region, owner, thaw, rates } = settings;
        let throttle = Throttle::new(rates, world.clock.elapsed());
        // The world's clock starts anew with the process; what happened before must not seem to lie ahead.
        let date = state.last_date().map_or_else(|| world.clock.wall(), |last| last.max(world.clock.wall()));
        let opened = (date, world.clock.elapsed());
        Self {
            world: Arc::clone(world),
            disk,
            name,
            region,
            owner,
            thaw,
            throttle,
            told: Mutex::default(),
            holds: Arc::clone(&state.holds),
            state: RwLock::new(state),
            opened,
        }
    }

    /// The date in this world: runs with its clock's speed, and is pushed forward with it.
    pub(crate) fn world_date(&self) -> DateTime<Utc> {
        let passed = self.world.clock.elapsed().saturating_sub(self.opened.1);
        after(self.opened.0, passed)
    }

    /// The wall's date when [`Store::world_date`] will be `date`, if nobody pushes the clock.
    pub(crate) fn wall_date_of(&self, date: DateTime<Utc>) -> DateTime<Utc> {
        let left = (date - self.world_date()).to_std().unwrap_or_default().div_f64(self.world.clock.speed());
        after(self.world.clock.wall(), left)
    }

    /// Looks at the index.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks at one bucket.
    pub(crate) fn read_bucket<T>(
        &self,
        name: &str,
        look: impl FnOnce(&Contents) -> S3Result<T>,
    ) -> S3Result<T> {
        self.read(|state| look(state.buckets.get(name).ok_or_else(errors::no_such_bucket)?))
    }

    /// Keeps bytes on disk; `None` where nothing refers to them any more.
    pub(crate) fn hold(&self, segments: &[Segment]) -> Option<Held> {
        self.read(|state| state.names(segments).then(|| self.hold_named(segments)))
    }

    /// The same for bytes that the index names, under its lock.
    pub(crate) fn hold_named(&self, segments: &[Segment]) -> Held {
        Held::new(&self.holds, &self.disk, segments)
    }

    /// Makes a change and waits until it is on disk. `make` checks first and applies last: after an error nothing may have
    /// been applied.
    pub(crate) async fn change<T>(&self, make: impl FnOnce(&mut Draft<'_>) -> S3Result<T>) -> S3Result<T> {
        let (result, written) = self.change_in_memory(make)?;
        let Some(written) = written else { return Ok(result) };
        if written.await.unwrap_or(false) { Ok(result) } else { Err(errors::storage()) }
    }

    fn change_in_memory<T>(
        &self,
        make: impl FnOnce(&mut Draft<'_>) -> S3Result<T>,
    ) -> S3Result<(T, Option<tokio::sync::oneshot::Receiver<bool>>)> {
        if self.disk.has_failed() {
            return Err(errors::storage());
        }
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let mut draft = Draft {
            state: &mut state,
            disk: &self.disk,
            lines: Vec::new(),
            packed: Vec::new(),
            freed: Vec::new(),
            now: self.world.clock.wall(),
            world_now: self.world_date(),
        };
        let result = make(&mut draft)?;
        let Draft { lines, packed, freed, .. } = draft;
        let written = (!lines.is_empty()).then(|| self.disk.commit(lines, packed, freed));
        Ok((result, written))
    }

    /// Changes the settings of a bucket.
    pub(crate) async fn change_bucket(
        &self,
        name: &str,
        change: impl FnOnce(&mut Bucket) -> S3Result<()>,
    ) -> S3Result<()> {
        self.change(|draft| {
            let mut bucket = draft.bucket(name)?.bucket.clone();
            change(&mut bucket)?;
            draft.apply(Record::Bucket(bucket))
        })
        .await
    }

    /// The version that is meant, be it a delete marker.
    pub(crate) fn version(&self, bucket: &str, key: &str, name: Option<&str>) -> S3Result<Arc<Version>> {
        self.read_bucket(bucket, |contents| find(contents, key, name).map(Arc::clone))
    }

    /// Changes what is known of one version that is an object; gives its name.
    pub(crate) async fn change_version(
        &self,
        (bucket, key, name): (&str, &str, Option<&str>),
        change: impl FnOnce(&Bucket, &mut super::model::Object) -> S3Result<()>,
    ) -> S3Result<Option<String>> {
        self.change(|draft| {
            let contents = draft.bucket(bucket)?;
            let mut version = Version::clone(find(contents, key, name)?);
            let object = version.object.as_mut().ok_or_else(|| marker_error(name.is_some()))?;
            change(&contents.bucket, object)?;
            let shown = version_header(contents, &version);
            draft.apply(Record::Changed { bucket: bucket.to_owned(), key: key.to_owned(), version })?;
            Ok(shown)
        })
        .await
    }
}

/// The date that long after another, or the last one there is.
pub(crate) fn after(date: DateTime<Utc>, wait: Duration) -> DateTime<Utc> {
    let wait = chrono::TimeDelta::from_std(wait).ok();
    wait.and_then(|wait| date.checked_add_signed(wait)).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// The version that is meant, with the protocol's refusals.
pub(crate) fn find<'a>(contents: &'a Contents, key: &str, name: Option<&str>) -> S3Result<&'a Arc<Version>> {
    contents.version(key, name).ok_or_else(|| match name {
        None => errors::no_such_key(),
        Some(name) if name == "null" || name.parse::<u64>().is_ok() => errors::no_such_version(),
        Some(_) => errors::not_a_version(),
    })
}

/// What is said of a delete marker where an object is wanted.
pub(crate) fn marker_error(named: bool) -> s3s::S3Error {
    if named {
        let message = "The specified method is not allowed against this resource.";
        s3s::S3Error::with_message(s3s::S3ErrorCode::MethodNotAllowed, message)
    } else {
        errors::no_such_key()
    }
}

/// `x-amz-version-id`: absent in a bucket that never kept versions.
pub(crate) fn version_header(contents: &Contents, version: &Version) -> Option<String> {
    (contents.bucket.versioning != Versioning::Off).then(|| version.name())
}

/// Content of one arrived piece.
pub(crate) fn content(segments: Vec<Segment>, size: u64, digest: &super::digest::Digest) -> Content {
    Content { size, etag: digest.etag(), segments, parts: Vec::new(), checksum: digest.kept() }
}
