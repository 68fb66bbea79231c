//! `ListObjectVersions`: every version and delete marker, newest first within a key.

use std::sync::Arc;

use s3s::S3Result;
use s3s::dto::{
    ChecksumAlgorithm, ChecksumType, CommonPrefix, DeleteMarkerEntry, ETag, ListObjectVersionsInput,
    ListObjectVersionsOutput, ObjectVersion, ObjectVersionStorageClass,
};

use super::acl;
use super::errors;
use super::interleave::{Entry, Order};
use super::listing::{Naming, page_size};
use super::model::Version;
use super::state::{Contents, Versions};
use super::store::Store;
use super::times::to_protocol;
use super::walk::{Item, Walk, page};

/// The page while it is filled.
struct Page<'a> {
    store: &'a Store,
    naming: Naming,
    most: usize,
    versions: Vec<ObjectVersion>,
    markers: Vec<DeleteMarkerEntry>,
    prefixes: Vec<CommonPrefix>,
    order: Order,
    /// Where the next page goes on: the last key, and its last version shown.
    last: (String, Option<String>),
    more: bool,
}

impl Page<'_> {
    /// Whether there is room; if not, notes that the listing goes on.
    fn has_room(&mut self) -> bool {
        let full = self.versions.len() + self.markers.len() + self.prefixes.len() >= self.most;
        self.more |= full;
        !full
    }

    fn push(&mut self, key: &str, version: &Version, is_latest: bool) {
        let (name, owner) = (version.name(), Some(acl::owner(&self.store.owner)));
        self.last = (key.to_owned(), Some(name.clone()));
        let (is_latest, last_modified) = (Some(is_latest), Some(to_protocol(version.modified)));
        let (key, version_id) = (Some(self.naming.write(key)), Some(name));
        let Some(object) = &version.object else {
            self.order.0.push(Entry::Marker);
            return self.markers.push(DeleteMarkerEntry { is_latest, key, last_modified, owner, version_id });
        };
        self.order.0.push(Entry::Version);
        let checksum = object.content.checksum.as_ref();
        self.versions.push(ObjectVersion {
            checksum_algorithm: checksum
                .map(|sum| vec![ChecksumAlgorithm::from_static(sum.algorithm.name())]),
            checksum_type: checksum.map(|sum| ChecksumType::from_static(sum.kind())),
            e_tag: Some(ETag::Strong(object.content.etag.clone())),
            is_latest,
            key,
            last_modified,
            owner,
            restore_status: self.store.restore_status(&object.attributes),
            size: i64::try_from(object.content.size).ok(),
            storage_class: Some(ObjectVersionStorageClass::from(object.attributes.class.name().to_owned())),
            version_id,
        });
    }

    /// The versions of one key, newest first, from the `skip`th on.
    fn push_key(&mut self, key: &str, versions: &[Arc<Version>], skip: usize) {
        for (at, version) in versions.iter().rev().enumerate().skip(skip) {
            if !self.has_room() {
                return;
            }
            self.push(key, version, at == 0);
        }
    }

    fn fill(&mut self, contents: &Contents, walk: Walk<'_>, version_marker: Option<&str>) {
        if let (Some(marker), Some(versions)) = (version_marker, contents.keys.get(walk.after))
            && walk.after.starts_with(walk.prefix)
        {
            self.push_key(walk.after, versions, shown_before(versions, marker));
        }
        // One item more than fits says whether the listing goes on.
        let (items, more) = page(&contents.keys, Walk { most: self.most + 1, ..walk }, |_: &Versions| true);
        self.more |= more;
        for item in items {
            if !self.has_room() {
                return;
            }
            match item {
                Item::Key(key, versions) => self.push_key(key, versions, 0),
                Item::Prefix(prefix) => {
                    self.last = (prefix.to_owned(), None);
                    self.prefixes.push(CommonPrefix { prefix: Some(self.naming.write(prefix)) });
                }
            }
        }
    }
}

/// How many versions (newest first) an earlier page that ended with `marker` has shown.
fn shown_before(versions: &[Arc<Version>], marker: &str) -> usize {
    let found = versions.iter().rev().position(|version| version.is_named(marker));
    let older = || {
        let id: u64 = marker.parse().unwrap_or(0);
        versions.iter().rev().take_while(|version| version.id >= id).count()
    };
    found.map_or_else(older, |at| at + 1)
}

/// `ListObjectVersions`, and how its entries follow each other.
pub(crate) fn list(
    store: &Store,
    input: &ListObjectVersionsInput,
) -> S3Result<(ListObjectVersionsOutput, Order)> {
    let naming = Naming::new(input.encoding_type.as_ref())?;
    let most = page_size(input.max_keys)?;
    let version_marker = input.version_id_marker.as_deref().filter(|marker| !marker.is_empty());
    if version_marker.is_some() && input.key_marker.as_deref().unwrap_or_default().is_empty() {
        return Err(errors::invalid("A version-id marker cannot be specified without a key marker."));
    }
    let walk = Walk {
        prefix: input.prefix.as_deref().unwrap_or_default(),
        delimiter: input.delimiter.as_deref().unwrap_or_default(),
        after: input.key_marker.as_deref().unwrap_or_default(),
        most,
    };
    let mut page = Page {
        store,
        naming,
        most,
        versions: Vec::new(),
        markers: Vec::new(),
        prefixes: Vec::new(),
        order: Order::default(),
        last: (String::new(), None),
        more: false,
    };
    store.read_bucket(&input.bucket, |contents| {
        if most > 0 {
            page.fill(contents, walk, version_marker);
        }
        Ok(())
    })?;
    let (last_key, last_version) = page.last;
    let output = ListObjectVersionsOutput {
        common_prefixes: Some(page.prefixes),
        delete_markers: Some(page.markers),
        delimiter: input.delimiter.as_deref().filter(|text| !text.is_empty()).map(|text| naming.write(text)),
        encoding_type: input.encoding_type.clone(),
        is_truncated: Some(page.more),
        key_marker: Some(naming.write(walk.after)),
        max_keys: i32::try_from(most).ok(),
        name: Some(input.bucket.clone()),
        next_key_marker: page.more.then(|| naming.write(&last_key)),
        next_version_id_marker: last_version.filter(|_| page.more),
        prefix: Some(naming.write(walk.prefix)),
        request_charged: None,
        version_id_marker: Some(version_marker.unwrap_or_default().to_owned()),
        versions: Some(page.versions),
    };
    Ok((output, page.order))
}
