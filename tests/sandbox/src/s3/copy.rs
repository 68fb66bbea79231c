//! `CopyObject`: inside one endpoint the bytes are shared, not copied.

use s3s::dto::{ChecksumType, CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopySource, ETag};
use s3s::{S3Error, S3ErrorCode, S3Result};

use super::attributes::{acl_of, algorithm, check_metadata, class, headers_of, set_checksum, tags};
use super::conditions::{Conditions, WriteConditions};
use super::digest::{Algorithm, Checksum};
use super::encryption::{self, CustomerKey, customer_key, say_encryption, source_key};
use super::gate::Caller;
use super::holds::Held;
use super::model::{Attributes, Content, Headers, Object, Protection};
use super::objects::{Target, check, insert};
use super::store::{Store, find, marker_error, version_header};
use super::times::to_protocol;
use super::{errors, lock, outflow};

/// The provider's limit for one copy.
const MAX_COPY: u64 = 5 << 30;

/// What a copy is made of.
pub(crate) struct Source {
    /// The object.
    pub(crate) object: Object,
    /// Keeps its bytes while the copy is made, also where the object is replaced meanwhile.
    pub(crate) held: Held,
    /// `x-amz-copy-source-version-id`.
    pub(crate) version_id: Option<String>,
}

/// Refuses a source that the caller may not read.
pub(crate) fn permit(store: &Store, caller: &Caller, source: &CopySource) -> S3Result<()> {
    let CopySource::Bucket { bucket, key, version_id } = source else { return Ok(()) };
    let action = if version_id.is_some() { "s3:GetObjectVersion" } else { "s3:GetObject" };
    store.read_bucket(bucket, |contents| caller.check(contents, key, action))
}

/// Finds the source of a copy, refusing what cannot be read or does not meet the conditions.
pub(crate) fn source(
    store: &Store,
    source: &CopySource,
    conditions: &Conditions,
    shown: CustomerKey<'_>,
) -> S3Result<Source> {
    let CopySource::Bucket { bucket, key, version_id } = source else {
        return Err(S3Error::with_message(S3ErrorCode::NotImplemented, "Access points are not implemented"));
    };
    store.read_bucket(bucket, |contents| {
        let version = find(contents, key, version_id.as_deref())?;
        let object = version.object.as_ref().ok_or_else(|| marker_error(version_id.is_some()))?;
        conditions.check_source(&object.content.etag, version.modified)?;
        if !store.temperature(&object.attributes).is_readable() {
            return Err(errors::cold());
        }
        encryption::unlock(object.attributes.encryption.as_ref(), shown)?;
        let held = store.hold_named(&object.content.segments);
        Ok(Source { object: Object::clone(object), held, version_id: version_header(contents, version) })
    })
}

fn is_same(input: &CopyObjectInput) -> bool {
    matches!(&input.copy_source, CopySource::Bucket { bucket, key, version_id: None }
        if **bucket == *input.bucket && **key == *input.key)
}

/// Whether the copy names an encryption, or its source has one of its own, which the copy does not take over.
fn changes_encryption(input: &CopyObjectInput) -> bool {
    input.server_side_encryption.is_some()
        || input.sse_customer_algorithm.is_some()
        || input.copy_source_sse_customer_algorithm.is_some()
}

/// `CopyObject`; `demands` are the conditions on the object that the copy would replace.
pub(crate) async fn copy(
    store: &Store,
    mut input: CopyObjectInput,
    demands: WriteConditions,
) -> S3Result<CopyObjectOutput> {
    let conditions = conditions(&mut input);
    let from = source(store, &input.copy_source, &conditions, source_key!(input))?;
    let replace = directive(input.metadata_directive.as_ref().map(s3s::dto::MetadataDirective::as_str))?;
    let replace_tags = directive(input.tagging_directive.as_ref().map(s3s::dto::TaggingDirective::as_str))?;
    if is_same(&input)
        && !replace
        && input.storage_class.is_none()
        && input.website_redirect_location.is_none()
        && !changes_encryption(&input)
    {
        let message = "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.";
        return Err(errors::bad_request(message));
    }
    if from.object.content.size > MAX_COPY {
        return Err(errors::bad_request(
            "The specified copy source is larger than the maximum allowable size for a copy source: 5368709120",
        ));
    }
    let old = from.object.attributes;
    // Never copied: a redirection is of the key, not of what lies there.
    let website_redirect = input.website_redirect_location.take();
    let kept = if replace { headers_of!(input) } else { old.headers };
    let headers = Headers { website_redirect, ..kept };
    check_metadata(&headers)?;
    let sse = input.server_side_encryption.as_ref().map(s3s::dto::ServerSideEncryption::as_str);
    let mut attributes = Attributes {
        class: class(input.storage_class.as_ref())?,
        headers,
        tags: if replace_tags { tags(input.tagging.as_deref())? } else { old.tags },
        acl: acl_of!(input, &store.owner)?,
        protection: Protection::default(),
        thaw: None,
        encryption: encryption::of_new(store, &input.bucket, sse, customer_key!(input))?,
    };
    let shown = attributes.encryption.clone();
    let wanted = algorithm(input.checksum_algorithm.as_ref())?;
    let content = recompute(store, from.object.content, wanted).await?;
    let wish = (
        input.object_lock_mode.as_ref().map(s3s::dto::ObjectLockMode::as_str),
        input.object_lock_retain_until_date.as_ref(),
        input.object_lock_legal_hold_status.as_ref().map(s3s::dto::ObjectLockLegalHoldStatus::as_str),
    );
    let target = Target { bucket: &input.bucket, key: &input.key, conditions: demands };
    let written = store.change(|draft| {
        if !draft.state.keeps(&content.segments) {
            return Err(errors::no_such_key());
        }
        check(draft, &target)?;
        let now = draft.now();
        attributes.protection = lock::for_new(&draft.bucket(target.bucket)?.bucket, wish, true, now)?;
        insert(draft, &target, Object { content, attributes })
    });
    let written = written.await?;
    drop(from.held);
    let mut result = CopyObjectResult {
        e_tag: Some(ETag::Strong(written.content.etag.clone())),
        last_modified: Some(to_protocol(written.modified)),
        ..CopyObjectResult::default()
    };
    let checksum = written.content.checksum.as_ref();
    set_checksum!(result, checksum);
    result.checksum_type = checksum.map(|checksum| ChecksumType::from_static(checksum.kind()));
    let mut output = CopyObjectOutput {
        copy_object_result: Some(result),
        copy_source_version_id: from.version_id,
        version_id: written.version_id,
        ..CopyObjectOutput::default()
    };
    say_encryption!(output, shown.as_ref());
    Ok(output)
}

/// Content of the copy: one piece, with the `ETag` and checksum of one piece. Read only where these are not known.
async fn recompute(store: &Store, content: Content, wanted: Option<Algorithm>) -> S3Result<Content> {
    let known = content.checksum.as_ref().filter(|checksum| !checksum.composite);
    let suits = known.is_some_and(|checksum| wanted.is_none_or(|wanted| wanted == checksum.algorithm));
    if content.parts.is_empty() && suits {
        return Ok(content);
    }
    let algorithm = wanted.or_else(|| content.checksum.as_ref().map(|checksum| checksum.algorithm));
    let algorithm = algorithm.unwrap_or(Algorithm::Crc64Nvme);
    let digest = outflow::digest(&store.disk, content.segments.clone(), algorithm).await?;
    let checksum: Option<Checksum> = digest.kept();
    Ok(Content { etag: digest.etag(), parts: Vec::new(), checksum, ..content })
}

fn directive(name: Option<&str>) -> S3Result<bool> {
    match name {
        None | Some("COPY") => Ok(false),
        Some("REPLACE") => Ok(true),
        Some(_) => Err(errors::invalid("Unknown metadata directive.")),
    }
}

fn conditions(input: &mut CopyObjectInput) -> Conditions {
    Conditions {
        if_match: input.copy_source_if_match.take(),
        if_none_match: input.copy_source_if_none_match.take(),
        if_modified_since: input.copy_source_if_modified_since.take(),
        if_unmodified_since: input.copy_source_if_unmodified_since.take(),
    }
}
