//! Buckets: created private and versioned, and seen to be so.

use aws_sdk_s3::operation::create_bucket::builders::CreateBucketFluentBuilder;
use aws_sdk_s3::types::{
    BucketCannedAcl, BucketLocationConstraint, BucketVersioningStatus, CreateBucketConfiguration, Tag,
    Tagging,
};

use serde::Deserialize;

use super::{
    S3, S3Error,
    direct::{Ask, serde},
    marks::NAMESPACE,
};
use crate::providers::http::Effect;

/// Whether a bucket keeps versions, as a store sends it: nothing, where nobody ever asked it to.
#[derive(Debug, Deserialize)]
struct Versioning {
    #[serde(rename = "Status")]
    status: Option<String>,
}

impl S3 {
    /// Whether there is such a bucket that we may see. A 403 is an error: there is one, of somebody else.
    ///
    /// Source: S3 API "`HeadBucket`". Safe to repeat.
    pub async fn bucket_exists(&self, bucket: &str) -> Result<bool, S3Error> {
        match self
            .run("buckets.head", Effect::Repeatable, self.client.head_bucket().bucket(bucket).send())
            .await
        {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Creates a private bucket in the region. A name that is in use is [`S3Error::is_bucket_taken`], whoever has it.
    ///
    /// Source: S3 API "`CreateBucket`"; Scaleway's API page: the location should equal the region.
    pub async fn create_bucket(&self, bucket: &str) -> Result<(), S3Error> {
        self.create_private(self.creation(bucket)).await
    }

    async fn create_private(&self, creation: CreateBucketFluentBuilder) -> Result<(), S3Error> {
        let create =
            |make: CreateBucketFluentBuilder| self.run("buckets.create", Effect::Mutating, make.send());
        match create(creation.clone().acl(BucketCannedAcl::Private)).await {
            // A store without access control lists refuses the word, and makes every bucket private.
            Err(error) if error.is_unsupported() => create(creation).await.map(drop),
            made => made.map(drop),
        }
    }

    fn creation(&self, bucket: &str) -> CreateBucketFluentBuilder {
        let location = BucketLocationConstraint::from(self.region.as_str());
        // Amazon's oldest region is the only one that must not be named.
        let place = (self.region != "us-east-1")
            .then(|| CreateBucketConfiguration::builder().location_constraint(location).build());
        self.client.create_bucket().bucket(bucket).set_create_bucket_configuration(place)
    }

    /// Creates a private bucket whose objects can be locked; every version is kept. Cannot be done to a bucket that exists.
    ///
    /// Source: S3 API "`CreateBucket`", `x-amz-bucket-object-lock-enabled`.
    pub async fn create_lockable_bucket(&self, bucket: &str) -> Result<(), S3Error> {
        self.create_private(self.creation(bucket).object_lock_enabled_for_bucket(true)).await
    }

    /// Keeps every version from now on.
    ///
    /// Source: S3 API "`PutBucketVersioning`". Safe to repeat.
    pub async fn enable_versioning(&self, bucket: &str) -> Result<(), S3Error> {
        let on = "<Status>Enabled</Status></VersioningConfiguration>";
        let on = format!("<VersioningConfiguration xmlns=\"{NAMESPACE}\">{on}");
        self.told(Ask::put_document("buckets.version", bucket, "", "versioning", on)).await.map(drop)
    }

    /// Whether every version is kept. None is where the store does not have versions.
    ///
    /// Source: S3 API "`GetBucketVersioning`". Safe to repeat.
    pub async fn is_versioned(&self, bucket: &str) -> Result<bool, S3Error> {
        // Not through the SDK, which insists on the name of the document's root; not every store has it right.
        let get = Ask::get("buckets.versioning", bucket, "").query("versioning", Some(""));
        match self.document(get, serde::<Versioning>).await {
            Ok(seen) => Ok(seen.status.as_deref() == Some(BucketVersioningStatus::Enabled.as_str())),
            Err(error) if error.is_unsupported() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Withdraws every grant to others.
    ///
    /// Source: S3 API "`PutBucketAcl`". Safe to repeat.
    pub async fn make_private(&self, bucket: &str) -> Result<(), S3Error> {
        let put = self.client.put_bucket_acl().bucket(bucket).acl(BucketCannedAcl::Private).send();
        self.run("buckets.privatise", Effect::Repeatable, put).await.map(drop)
    }

    /// Whether no group (everybody, or every customer) is granted anything. `None`: the store does not tell.
    ///
    /// Source: S3 API "`GetBucketAcl`". Safe to repeat.
    pub async fn is_private(&self, bucket: &str) -> Result<Option<bool>, S3Error> {
        let get = self.client.get_bucket_acl().bucket(bucket).send();
        let seen = match self.run("buckets.acl", Effect::Repeatable, get).await {
            Err(error) if error.is_unsupported() => return Ok(None),
            seen => seen?,
        };
        let public = |uri: &str| uri.ends_with("/AllUsers") || uri.ends_with("/AuthenticatedUsers");
        Ok(Some(!seen.grants().iter().filter_map(|grant| grant.grantee()?.uri()).any(public)))
    }

    /// Replaces the bucket's tags.
    ///
    /// Source: S3 API "`PutBucketTagging`". Safe to repeat.
    pub async fn set_bucket_tags(&self, bucket: &str, tags: &[(&str, &str)]) -> Result<(), S3Error> {
        let call = "buckets.tag";
        let wrong = |error| S3Error::Request { call, source: Box::new(error) };
        let tags =
            tags.iter().map(|(key, value)| Tag::builder().key(*key).value(*value).build().map_err(wrong));
        let tags = tags.collect::<Result<Vec<_>, _>>()?;
        let tagging = Tagging::builder().set_tag_set(Some(tags)).build().map_err(wrong)?;
        let put = self.client.put_bucket_tagging().bucket(bucket).tagging(tagging).send();
        self.run(call, Effect::Repeatable, put).await.map(drop)
    }

    /// The bucket's tags; `None`: the store has no room for any.
    ///
    /// Source: S3 API "`GetBucketTagging`". Safe to repeat.
    pub async fn bucket_tags(&self, bucket: &str) -> Result<Option<Vec<(String, String)>>, S3Error> {
        let get = self.client.get_bucket_tagging().bucket(bucket).send();
        match self.run("buckets.tags", Effect::Repeatable, get).await {
            Ok(seen) => Ok(Some(seen.tag_set.into_iter().map(|tag| (tag.key, tag.value)).collect())),
            Err(error) if error.code() == Some("NoSuchTagSet") => Ok(Some(Vec::new())),
            Err(error) if error.is_unsupported() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Deletes an empty bucket; `false` if it was gone.
    ///
    /// Source: S3 API "`DeleteBucket`". Repeating gives 404.
    pub async fn delete_bucket(&self, bucket: &str) -> Result<bool, S3Error> {
        let delete = self.client.delete_bucket().bucket(bucket).send();
        match self.run("buckets.delete", Effect::Mutating, delete).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }
}
