//! What is put on an object later: locks and tags.

use std::collections::BTreeMap;

use quick_xml::escape::escape;
use serde::Deserialize;

use super::{
    Lock, S3, S3Error,
    direct::{Ask, serde},
};
use crate::providers::http::Effect;

/// Of every document of S3.
pub(super) const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// Whether a bucket's objects can be locked, as a store sends it.
#[derive(Debug, Deserialize)]
struct Locks {
    #[serde(rename = "ObjectLockEnabled")]
    enabled: Option<String>,
}

impl S3 {
    /// Whether objects of the bucket can be locked.
    ///
    /// Source: S3 API "`GetObjectLockConfiguration`". Safe to repeat.
    pub async fn locks(&self, bucket: &str) -> Result<bool, S3Error> {
        let get = Ask::get("buckets.locks", bucket, "").query("object-lock", Some(""));
        match self.document(get, serde::<Locks>).await {
            Ok(locks) => Ok(locks.enabled.as_deref() == Some("Enabled")),
            Err(error) if error.code() == Some("ObjectLockConfigurationNotFoundError") => Ok(false),
            Err(error) if error.is_unsupported() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Locks an object until a later date.
    ///
    /// Source: S3 API "`PutObjectRetention`". Safe to repeat.
    pub async fn lock(&self, bucket: &str, key: &str, lock: Lock) -> Result<(), S3Error> {
        let (mode, until) = (lock.mode(), lock.until.to_rfc3339_opts(chrono::SecondsFormat::Secs, true));
        let lock = format!("<Mode>{mode}</Mode><RetainUntilDate>{until}</RetainUntilDate>");
        let lock = format!("<Retention xmlns=\"{NAMESPACE}\">{lock}</Retention>");
        self.told(Ask::put_document("objects.lock", bucket, key, "retention", lock)).await.map(drop)
    }

    /// An object's tags.
    ///
    /// Source: S3 API "`GetObjectTagging`". Safe to repeat.
    pub async fn tags(
        &self,
        bucket: &str,
        key: &str,
        version: Option<&str>,
    ) -> Result<BTreeMap<String, String>, S3Error> {
        let get = self.client.get_object_tagging().bucket(bucket).key(key);
        let get = get.set_version_id(version.map(str::to_owned)).send();
        match self.run("objects.tags", Effect::Repeatable, get).await {
            Ok(found) => Ok(found.tag_set.into_iter().map(|tag| (tag.key, tag.value)).collect()),
            // As it is answered of a bucket.
            Err(error) if error.code() == Some("NoSuchTagSet") => Ok(BTreeMap::new()),
            Err(error) => Err(error),
        }
    }

    /// Replaces an object's tags.
    ///
    /// Source: S3 API "`PutObjectTagging`". Safe to repeat.
    pub async fn set_tags(
        &self,
        bucket: &str,
        key: &str,
        tags: &BTreeMap<String, String>,
    ) -> Result<(), S3Error> {
        let tag = |(key, value): (&String, &String)| {
            format!("<Tag><Key>{}</Key><Value>{}</Value></Tag>", escape(key.as_str()), escape(value.as_str()))
        };
        let tags: String = tags.iter().map(tag).collect();
        let tags = format!("<Tagging xmlns=\"{NAMESPACE}\"><TagSet>{tags}</TagSet></Tagging>");
        self.told(Ask::put_document("objects.tag", bucket, key, "tagging", tags)).await.map(drop)
    }
}
