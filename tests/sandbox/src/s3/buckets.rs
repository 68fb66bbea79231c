//! Buckets: make, find, remove, list, and the settings that are more than stored documents.

use std::collections::BTreeMap;

use s3s::dto::{
    Bucket as Entry, BucketLocationConstraint, BucketVersioningStatus, CreateBucketInput, CreateBucketOutput,
    GetBucketLocationOutput, GetBucketVersioningOutput, HeadBucketOutput, ListBucketsInput,
    ListBucketsOutput, VersioningConfiguration,
};
use s3s::{S3Error, S3ErrorCode, S3Result};

use super::acl::{self, Acl};
use super::claims;
use super::errors;
use super::host;
use super::model::{Bucket, Versioning};
use super::state::Record;
use super::store::Store;
use super::times::to_protocol;

/// How many buckets an endpoint may have.
const MOST: usize = 100;

/// How a new bucket shall be.
pub(crate) struct NewBucket<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// Who may do what.
    pub(crate) acl: Acl,
    /// Whether versions are kept from the start.
    pub(crate) versioning: bool,
    /// Whether objects may be locked; keeps versions for good.
    pub(crate) lock: bool,
}

/// Makes a bucket, unless the name is taken here or at another endpoint of this world.
pub(crate) async fn make(store: &Store, new: NewBucket<'_>) -> S3Result<()> {
    if !s3s::path::check_bucket_name(new.name) {
        return Err(S3Error::with_message(
            S3ErrorCode::InvalidBucketName,
            "The specified bucket is not valid.",
        ));
    }
    if store.read(|state| state.buckets.contains_key(new.name)) {
        return Err(errors::bucket_owned());
    }
    if store.read(|state| state.buckets.len()) >= MOST {
        return Err(errors::too_many_buckets());
    }
    if !claims::take(store, new.name).map_err(|error| errors::io(&error))? {
        return Err(errors::bucket_taken());
    }
    let made = store.change(|draft| {
        if draft.state.buckets.contains_key(new.name) {
            return Err(errors::bucket_owned());
        }
        let bucket = Bucket {
            name: new.name.to_owned(),
            created: draft.now(),
            versioning: if new.versioning || new.lock { Versioning::Enabled } else { Versioning::Off },
            lock: new.lock,
            default_retention: None,
            acl: new.acl,
            tags: Vec::new(),
            documents: BTreeMap::new(),
        };
        draft.apply(Record::Bucket(bucket))
    });
    made.await?;
    publish(store, new.name);
    Ok(())
}

/// Makes the bucket's own host name resolve in this world.
pub(crate) fn publish(store: &Store, bucket: &str) {
    if let Err(error) = store.world.names.add_front(&host::of_bucket(&store.region, bucket)) {
        tracing::warn!(%error, "cannot publish the name of a bucket");
    }
}

/// Frees the name of a bucket that is gone.
pub(crate) fn withdraw(store: &Store, bucket: &str) {
    let removed = store.world.names.remove(&host::of_bucket(&store.region, bucket));
    if let Err(error) = removed.and_then(|()| claims::release(store, bucket)) {
        tracing::warn!(%error, "cannot free the name of a bucket");
    }
}

/// `CreateBucket`.
pub(crate) async fn create(store: &Store, input: CreateBucketInput) -> S3Result<CreateBucketOutput> {
    let constraint =
        input.create_bucket_configuration.and_then(|configuration| configuration.location_constraint);
    if constraint.is_some_and(|wanted| !wanted.as_str().is_empty() && wanted.as_str() != store.region) {
        let message = "The specified location-constraint is not valid";
        return Err(S3Error::with_message(S3ErrorCode::InvalidLocationConstraint, message));
    }
    let grants = [
        ("FULL_CONTROL", input.grant_full_control.as_deref()),
        ("READ", input.grant_read.as_deref()),
        ("READ_ACP", input.grant_read_acp.as_deref()),
        ("WRITE", input.grant_write.as_deref()),
        ("WRITE_ACP", input.grant_write_acp.as_deref()),
    ];
    let canned = input.acl.as_ref().map(s3s::dto::BucketCannedACL::as_str);
    let acl = Acl::from_headers(canned, &grants, &store.owner)?;
    let lock = input.object_lock_enabled_for_bucket.unwrap_or(false);
    make(store, NewBucket { name: &input.bucket, acl, versioning: false, lock }).await?;
    Ok(CreateBucketOutput { location: Some(format!("/{}", input.bucket)) })
}

/// `HeadBucket`.
pub(crate) fn head(store: &Store, bucket: &str) -> S3Result<HeadBucketOutput> {
    store.read_bucket(bucket, |_| Ok(()))?;
    Ok(HeadBucketOutput { bucket_region: Some(store.region.clone()), ..HeadBucketOutput::default() })
}

/// `DeleteBucket`: only without objects and versions; uploads that were never completed go with it.
pub(crate) async fn delete(store: &Store, bucket: &str) -> S3Result<()> {
    let removed = store.change(|draft| {
        if !draft.bucket(bucket)?.keys.is_empty() {
            return Err(errors::bucket_not_empty());
        }
        draft.apply(Record::BucketGone(bucket.to_owned()))
    });
    removed.await?;
    withdraw(store, bucket);
    Ok(())
}

/// `ListBuckets`.
pub(crate) fn list(store: &Store, input: &ListBucketsInput) -> S3Result<ListBucketsOutput> {
    let most = match input.max_buckets {
        None => usize::MAX,
        Some(most @ 1..=10_000) => usize::try_from(most).unwrap_or(usize::MAX),
        Some(_) => {
            return Err(errors::invalid("Argument max-buckets must be an integer between 1 and 10000"));
        }
    };
    let prefix = input.prefix.as_deref().unwrap_or_default();
    let after = input.continuation_token.as_deref().unwrap_or_default();
    let matching = |name: &str| name.starts_with(prefix) && (after.is_empty() || name > after);
    let elsewhere = input.bucket_region.as_ref().is_some_and(|region| *region != store.region);
    let (buckets, more) = store.read(|state| {
        let mut found =
            state.buckets.values().filter(|contents| !elsewhere && matching(&contents.bucket.name));
        let page: Vec<Entry> =
            found.by_ref().take(most).map(|contents| entry(store, &contents.bucket, input)).collect();
        (page, found.next().is_some())
    });
    let last = buckets.last().and_then(|bucket| bucket.name.clone());
    Ok(ListBucketsOutput {
        buckets: Some(buckets),
        continuation_token: last.filter(|_| more),
        owner: Some(acl::owner(&store.owner)),
        prefix: input.prefix.clone(),
    })
}

fn entry(store: &Store, bucket: &Bucket, input: &ListBucketsInput) -> Entry {
    // The region is shown only in the paged form of this call.
    let is_paged = input.max_buckets.is_some() || input.prefix.is_some() || input.bucket_region.is_some();
    Entry {
        bucket_region: is_paged.then(|| store.region.clone()),
        creation_date: Some(to_protocol(bucket.created)),
        name: Some(bucket.name.clone()),
    }
}

/// `GetBucketLocation`.
pub(crate) fn location(store: &Store, bucket: &str) -> S3Result<GetBucketLocationOutput> {
    store.read_bucket(bucket, |_| Ok(()))?;
    let location_constraint = Some(BucketLocationConstraint::from(store.region.clone()));
    Ok(GetBucketLocationOutput { location_constraint })
}

/// `GetBucketVersioning`: says nothing where it was never switched on.
pub(crate) fn versioning(store: &Store, bucket: &str) -> S3Result<GetBucketVersioningOutput> {
    let name = store.read_bucket(bucket, |contents| {
        Ok(match contents.bucket.versioning {
            Versioning::Off => None,
            Versioning::Enabled => Some(BucketVersioningStatus::ENABLED),
            Versioning::Suspended => Some(BucketVersioningStatus::SUSPENDED),
        })
    })?;
    Ok(GetBucketVersioningOutput { mfa_delete: None, status: name.map(BucketVersioningStatus::from_static) })
}

/// `PutBucketVersioning`.
pub(crate) async fn put_versioning(
    store: &Store,
    bucket: &str,
    configuration: &VersioningConfiguration,
) -> S3Result<()> {
    let wanted = match configuration.status.as_ref().map(BucketVersioningStatus::as_str) {
        Some(BucketVersioningStatus::ENABLED) => Versioning::Enabled,
        Some(BucketVersioningStatus::SUSPENDED) => Versioning::Suspended,
        _ => {
            let message = "The Versioning element must be specified";
            return Err(S3Error::with_message(S3ErrorCode::IllegalVersioningConfigurationException, message));
        }
    };
    let change = |bucket: &mut Bucket| {
        if bucket.lock && wanted == Versioning::Suspended {
            let message = "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.";
            return Err(S3Error::with_message(S3ErrorCode::InvalidBucketState, message));
        }
        bucket.versioning = wanted;
        Ok(())
    };
    store.change_bucket(bucket, change).await
}
