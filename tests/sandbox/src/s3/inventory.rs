//! What an endpoint holds, for the control API: comparable before and after.

use std::sync::PoisonError;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::model::Versioning;
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

/// What is under a key now, for the journal; `null` where there is nothing. A delete marker has no `ETag` and no size.
pub(crate) fn object(store: &Store, bucket: &str, key: &str) -> Value {
    let version = store.read(|state| state.buckets.get(bucket)?.current(key).cloned());
    let Some(version) = version else { return Value::Null };
    let mut shown = json!({"bucket": bucket, "key": key, "version": version.name()});
    if let Some(object) = &version.object {
        shown["etag"] = json!(object.content.etag);
        shown["size"] = json!(object.content.size);
    }
    json!({"objects": [shown]})
}

fn bucket(store: &Store, contents: &Contents) -> Value {
    let current = contents.keys.values().filter_map(|versions| versions.last()?.object.as_deref());
    let (objects, bytes) =
        current.fold((0_u64, 0_u64), |(count, bytes), object| (count + 1, bytes + object.content.size));
    let all = || contents.keys.values().flatten();
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
        "objects": objects,
        "bytes": bytes,
        "versions": all().filter(|version| version.object.is_some()).count(),
        "delete_markers": all().filter(|version| version.object.is_none()).count(),
        "uploads": contents.uploads.len(),
        "digest": digest(contents),
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
