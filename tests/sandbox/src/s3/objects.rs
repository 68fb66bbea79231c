//! `PutObject`, and putting bytes from inside the sandbox.

use s3s::dto::{ChecksumType, ETag, PutObjectInput, PutObjectOutput};
use s3s::{S3Result, TrailingHeaders};

use super::attributes::{attributes_of, claims_of, set_checksum};
use super::conditions::WriteConditions;
use super::digest::Digest;
use super::encryption::{self, customer_key, say_encryption};
use super::errors;
use super::intake;
use super::lock;
use super::model::{Attributes, Object};
use super::state::Record;
use super::store::{Arrived, Draft, Store, content, version_header};

/// What a new object may be refused by, beside its bytes.
pub(crate) struct Target<'a> {
    /// The bucket.
    pub(crate) bucket: &'a str,
    /// The key.
    pub(crate) key: &'a str,
    /// What is demanded of the object that is there.
    pub(crate) conditions: WriteConditions,
}

/// `PutObject`.
pub(crate) async fn put(
    store: &Store,
    mut input: PutObjectInput,
    trailers: Option<TrailingHeaders>,
    new_only: bool,
) -> S3Result<PutObjectOutput> {
    if input.write_offset_bytes.is_some() {
        return Err(s3s::S3Error::with_message(
            s3s::S3ErrorCode::NotImplemented,
            "Appending is not implemented",
        ));
    }
    // Refused before the body is taken: nobody sends gigabytes to a bucket that is not there.
    store.read_bucket(&input.bucket, |_| Ok(()))?;
    let claims = claims_of!(input, trailers);
    let mut attributes = attributes_of!(input, &store.owner);
    let sse = input.server_side_encryption.as_ref().map(s3s::dto::ServerSideEncryption::as_str);
    attributes.encryption = encryption::of_new(store, &input.bucket, sse, customer_key!(input))?;
    let shown = attributes.encryption.clone();
    let arrived = intake::receive(&store.disk, input.body.take(), &claims).await?;
    let conditions = WriteConditions {
        if_match: input.if_match.take(),
        if_none_match: input.if_none_match.take(),
        new_only,
    };
    let mode = input.object_lock_mode.as_ref().map(s3s::dto::ObjectLockMode::as_str);
    let hold = input.object_lock_legal_hold_status.as_ref().map(s3s::dto::ObjectLockLegalHoldStatus::as_str);
    let wish = (mode, input.object_lock_retain_until_date.as_ref(), hold);
    let target = Target { bucket: &input.bucket, key: &input.key, conditions };
    let written = store.change(|draft| {
        let now = draft.now();
        let bucket = &draft.bucket(target.bucket)?.bucket;
        attributes.protection = lock::for_new(bucket, wish, claims.is_protected(), now)?;
        write(draft, &target, arrived, attributes)
    });
    let mut output = answer(written.await?);
    say_encryption!(output, shown.as_ref());
    Ok(output)
}

/// Puts bytes that are already at hand: seeding.
pub(crate) async fn put_bytes(
    store: &Store,
    target: Target<'_>,
    body: bytes::Bytes,
    attributes: Attributes,
) -> S3Result<()> {
    let arrived = intake::take(&store.disk, body).await?;
    store.change(|draft| write(draft, &target, arrived, attributes)).await.map(drop)
}

/// What an answer says of a written object.
pub(crate) struct Written {
    /// The object's digests and size.
    pub(crate) content: super::model::Content,
    /// `x-amz-version-id`.
    pub(crate) version_id: Option<String>,
    /// When.
    pub(crate) modified: chrono::DateTime<chrono::Utc>,
    /// The version's number.
    pub(crate) id: u64,
}

/// Gives what arrived its place and makes it the current version.
pub(crate) fn write(
    draft: &mut Draft<'_>,
    target: &Target<'_>,
    (body, size, digest): (Arrived, u64, Digest),
    attributes: Attributes,
) -> S3Result<Written> {
    check(draft, target)?;
    let content = content(draft.place(body), size, &digest);
    insert(draft, target, Object { content, attributes })
}

/// Refuses a write that the object in place forbids.
pub(crate) fn check(draft: &Draft<'_>, target: &Target<'_>) -> S3Result<()> {
    if target.key.is_empty() {
        return Err(errors::invalid("The object key is empty"));
    }
    let contents = draft.bucket(target.bucket)?;
    target.conditions.check(contents.current(target.key).map(|version| &**version))
}

/// Makes `object` the current version; [`check`] came before.
pub(crate) fn insert(draft: &mut Draft<'_>, target: &Target<'_>, object: Object) -> S3Result<Written> {
    let content = object.content.clone();
    let version = draft.new_version(target.bucket, Some(object))?;
    let id = version.id;
    let version_id = version_header(draft.bucket(target.bucket)?, &version);
    let modified = version.modified;
    draft.apply(Record::Version { bucket: target.bucket.to_owned(), key: target.key.to_owned(), version })?;
    Ok(Written { content, version_id, modified, id })
}

fn answer(written: Written) -> PutObjectOutput {
    let mut output = PutObjectOutput {
        e_tag: Some(ETag::Strong(written.content.etag.clone())),
        version_id: written.version_id,
        ..PutObjectOutput::default()
    };
    let checksum = written.content.checksum.as_ref();
    set_checksum!(output, checksum);
    output.checksum_type = checksum.map(|checksum| ChecksumType::from_static(checksum.kind()));
    output
}
