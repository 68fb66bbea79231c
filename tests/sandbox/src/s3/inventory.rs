//! What an endpoint holds, for the control API: comparable before and after.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::model::{Object, StorageClass, Version, Versioning};
use super::state::Contents;
use super::store::Store;

/// Every bucket with its settings, counts and a digest of keys, versions and `ETag`s.
pub(crate) fn of(store: &Store) -> Value {
    let mut told = store.told.lock().unwrap_or_else(PoisonError::into_inner);
    store.read(|state| match &*told {
        Some((changes, value)) if *changes == state.changes() => value.clone(),
        _ => {
            let all = state.buckets.iter().map(|(name, contents)| (name.clone(), bucket(store, contents)));
            let value = Value::Object(all.collect());
            *told = Some((state.changes(), value.clone()));
            value
        }
    })
}

/// What is at `/bucket` or `/bucket/key` now, for the journal: a bucket's settings, or what is under a key. `null` where there is
/// nothing.
pub(crate) fn at(store: &Store, resource: &str) -> Value {
    let place = resource.strip_prefix('/').unwrap_or_default();
    let (bucket, key) = place.split_once('/').unwrap_or((place, ""));
    let found = |contents: &Contents| match key {
        "" => json!({"buckets": [set(store, contents)]}),
        key => under(contents, key),
    };
    store.read(|state| state.buckets.get(bucket).map_or(Value::Null, found))
}

/// What a deletion of these keys and versions finds, or has left: what is current under each key, and each version that it names.
pub(crate) fn named<'a>(
    contents: &Contents,
    wanted: impl Iterator<Item = (&'a str, Option<&'a str>)>,
) -> Value {
    let (mut keys, mut versions) = (BTreeSet::new(), Vec::new());
    for (key, version) in wanted {
        keys.insert(key);
        let found = version.and_then(|name| contents.version(key, Some(name)));
        versions.extend(found.map(|version| shown(contents, key, version)));
    }
    let current =
        keys.into_iter().filter_map(|key| Some(shown(contents, key, contents.current(key)?))).collect();
    listed([("objects", current), ("object_versions", versions)])
}

/// What is current under a key, and the uploads that are to become it.
fn under(contents: &Contents, key: &str) -> Value {
    let current = contents.current(key).map(|version| shown(contents, key, version));
    let first = (key.to_owned(), String::new());
    let uploads = contents.uploads.range(first..).take_while(|((of, _), _)| of == key);
    let uploads = uploads.map(|((_, id), upload)| {
        json!({"bucket": contents.bucket.name, "key": key, "id": id, "parts": upload.parts.len()})
    });
    listed([("objects", current.into_iter().collect()), ("uploads", uploads.collect())])
}

/// The kinds of which there are any; `null` if there are none.
fn listed<const N: usize>(kinds: [(&str, Vec<Value>); N]) -> Value {
    let some = kinds.into_iter().filter(|(_, items)| !items.is_empty());
    let some: serde_json::Map<_, _> = some.map(|(kind, items)| (kind.to_owned(), items.into())).collect();
    if some.is_empty() { Value::Null } else { some.into() }
}

/// A delete marker has no `ETag` and no size; what is as usual is not told.
fn shown(contents: &Contents, key: &str, version: &Version) -> Value {
    let mut shown = json!({
        "bucket": contents.bucket.name, "key": key, "version": version.name(), "written": version.modified,
    });
    let Some(Object { content, attributes }) = version.object.as_deref() else { return shown };
    (shown["etag"], shown["size"]) = (json!(content.etag), json!(content.size));
    let unusual = [
        ("class", (attributes.class != StorageClass::Standard).then(|| json!(attributes.class))),
        ("tags", (!attributes.tags.is_empty()).then(|| json!(attributes.tags))),
        ("private", (!attributes.acl.is_private()).then_some(Value::Bool(false))),
        ("locked", attributes.protection.retention.map(|retention| json!(retention))),
        ("held", attributes.protection.hold.map(|hold| json!(hold))),
        ("thawed", attributes.thaw.map(|thaw| json!(thaw.requested))),
    ];
    for (name, value) in unusual {
        if let Some(value) = value {
            shown[name] = value;
        }
    }
    shown
}

/// A bucket's name and settings. Of a document, which may be long, only whether it is another one.
fn set(store: &Store, contents: &Contents) -> Value {
    let bucket = &contents.bucket;
    let digest = |text: &String| hex::encode(Sha256::digest(text.as_bytes()))[..12].to_owned();
    let documents: BTreeMap<_, _> =
        bucket.documents.iter().map(|(kind, text)| (kind, digest(text))).collect();
    let mut shown = settings(store, contents);
    shown["name"] = json!(bucket.name);
    shown["documents"] = json!(documents);
    shown["default_retention"] = json!(bucket.default_retention);
    shown["acl"] = json!(bucket.acl);
    shown
}

fn bucket(store: &Store, contents: &Contents) -> Value {
    let current = contents.keys.values().filter_map(|versions| versions.last()?.object.as_deref());
    let (objects, bytes) =
        current.fold((0_u64, 0_u64), |(count, bytes), object| (count + 1, bytes + object.content.size));
    let all = || contents.keys.values().flatten();
    let mut shown = settings(store, contents);
    let counted = [
        ("objects", json!(objects)),
        ("bytes", json!(bytes)),
        ("versions", json!(all().filter(|version| version.object.is_some()).count())),
        ("delete_markers", json!(all().filter(|version| version.object.is_none()).count())),
        ("uploads", json!(contents.uploads.len())),
        ("digest", json!(digest(contents))),
    ];
    for (name, value) in counted {
        shown[name] = value;
    }
    shown
}

fn settings(store: &Store, contents: &Contents) -> Value {
    let settings = &contents.bucket;
    json!({
        "created": settings.created,
        "region": store.region,
        "versioning": match settings.versioning {
            Versioning::Off => "Off",
            Versioning::Enabled => "Enabled",
            Versioning::Suspended => "Suspended",
        },
        "object_lock": settings.lock,
        "private": settings.acl.is_private(),
        "tags": settings.tags,
        "documents": settings.documents.keys().collect::<Vec<_>>(),
    })
}

/// Over the current objects only: equal for two buckets that a reader cannot tell apart.
fn digest(contents: &Contents) -> String {
    let mut sum = Sha256::new();
    for (key, versions) in &contents.keys {
        let Some(object) = versions.last().and_then(|version| version.object.as_deref()) else { continue };
        for text in [key.as_str(), object.content.etag.as_str()] {
            sum.update(text.len().to_le_bytes());
            sum.update(text);
        }
    }
    hex::encode(sum.finalize())
}
