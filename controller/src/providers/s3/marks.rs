//! What is put on an object later: locks and tags.

use std::collections::BTreeMap;

use aws_sdk_s3::{
    primitives::DateTime as SmithyTime,
    types::{ObjectLockRetention, Tag, Tagging},
};

use serde::Deserialize;

use super::{
    Lock, S3, S3Error,
    direct::{Ask, serde},
};
use crate::providers::http::Effect;

/// A lock's end, as the SDK has it.
pub(super) fn until(lock: Lock) -> SmithyTime {
    SmithyTime::from_secs(lock.until.timestamp())
}

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
        let retention =
            ObjectLockRetention::builder().mode(lock.mode().into()).retain_until_date(until(lock)).build();
        let put = self.client.put_object_retention().bucket(bucket).key(key).retention(retention);
        self.run("objects.lock", Effect::Repeatable, put.send()).await.map(drop)
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
        let found = self.run("objects.tags", Effect::Repeatable, get).await?;
        Ok(found.tag_set.into_iter().map(|tag| (tag.key, tag.value)).collect())
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
        let call = "objects.tag";
        let wrong = |error| S3Error::Request { call, source: Box::new(error) };
        let tags =
            tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build().map_err(wrong));
        let tagging = Tagging::builder().set_tag_set(Some(tags.collect::<Result<_, _>>()?));
        let tagging = tagging.build().map_err(wrong)?;
        let put = self.client.put_object_tagging().bucket(bucket).key(key).tagging(tagging).send();
        self.run(call, Effect::Repeatable, put).await.map(drop)
    }
}
