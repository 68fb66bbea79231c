//! Multipart uploads: begin, parts, completion, abort. The parts of a completed upload stay where they lie; the object is made
//! of them.

use std::collections::BTreeMap;

use s3s::dto::{
    AbortMultipartUploadInput, ChecksumAlgorithm, ChecksumType, CompleteMultipartUploadInput,
    CompleteMultipartUploadOutput, CopyPartResult, CreateMultipartUploadInput, CreateMultipartUploadOutput,
    ETag, Range, UploadPartCopyInput, UploadPartCopyOutput, UploadPartInput, UploadPartOutput,
};
use s3s::{S3Result, TrailingHeaders};

use super::assembly::assemble;
use super::attributes::{algorithm, attributes_of, checksums_of, claims_of, set_checksum};
use super::conditions::{Conditions, WriteConditions};
use super::digest::Algorithm;
use super::encryption::{self, customer_key, say_encryption, source_key};
use super::model::{Object, Part, Upload};
use super::objects::{Target, check, insert};
use super::state::{Contents, Record};
use super::store::{Store, content};
use super::times::to_protocol;
use super::{completion, copy, errors, intake, lock, outflow};

/// The provider's cap, ten times lower than elsewhere.
pub(crate) const MOST_PARTS: i32 = 1_000;

/// The upload that is meant.
pub(crate) fn find<'a>(contents: &'a Contents, key: &str, id: &str) -> S3Result<&'a Upload> {
    let found = contents.uploads.get(&(key.to_owned(), id.to_owned()));
    found.ok_or_else(errors::no_such_upload)
}

/// A part's number within the provider's cap.
pub(crate) fn part_number(number: i32) -> S3Result<u16> {
    if (1..=MOST_PARTS).contains(&number) {
        u16::try_from(number).map_err(|_| errors::bad_part())
    } else {
        Err(errors::bad_part())
    }
}

/// Which checksum an upload keeps and whether over the whole object.
fn checksum_plan(
    algorithm: Option<Algorithm>,
    kind: Option<&ChecksumType>,
) -> S3Result<Option<(Algorithm, bool)>> {
    let algorithm = match (algorithm, kind) {
        (None, Some(_)) => {
            return Err(errors::bad_request(
                "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.",
            ));
        }
        (None, None) => return Ok(None),
        (Some(algorithm), _) => algorithm,
    };
    let full = match kind.map(ChecksumType::as_str) {
        None => algorithm == Algorithm::Crc64Nvme,
        Some("FULL_OBJECT") => true,
        Some("COMPOSITE") => false,
        Some(_) => return Err(errors::bad_request("Value for x-amz-checksum-type header is invalid.")),
    };
    let impossible = if full { !algorithm.is_linear() } else { algorithm == Algorithm::Crc64Nvme };
    if impossible {
        let kind = if full { "FULL_OBJECT" } else { "COMPOSITE" };
        let name = algorithm.name().to_lowercase();
        return Err(errors::bad_request(format!(
            "The {kind} checksum type cannot be used with the {name} checksum algorithm."
        )));
    }
    Ok(Some((algorithm, full)))
}

/// `CreateMultipartUpload`.
pub(crate) async fn create(
    store: &Store,
    mut input: CreateMultipartUploadInput,
) -> S3Result<CreateMultipartUploadOutput> {
    if input.key.is_empty() {
        return Err(errors::invalid("The object key is empty"));
    }
    let checksum =
        checksum_plan(algorithm(input.checksum_algorithm.as_ref())?, input.checksum_type.as_ref())?;
    let mut attributes = attributes_of!(input, &store.owner);
    let sse = input.server_side_encryption.as_ref().map(s3s::dto::ServerSideEncryption::as_str);
    attributes.encryption = encryption::of_new(store, &input.bucket, sse, customer_key!(input))?;
    let shown = attributes.encryption.clone();
    let wish = (
        input.object_lock_mode.as_ref().map(s3s::dto::ObjectLockMode::as_str),
        input.object_lock_retain_until_date.as_ref(),
        input.object_lock_legal_hold_status.as_ref().map(s3s::dto::ObjectLockLegalHoldStatus::as_str),
    );
    // Not from the world's seeded generator: how often clients begin an upload must not shift everybody's identifiers.
    let random = uuid::Uuid::new_v4().simple();
    let created = store.change(|draft| {
        let now = draft.now();
        attributes.protection = lock::for_new(&draft.bucket(&input.bucket)?.bucket, wish, true, now)?;
        let id = format!("{:014x}{random}", draft.state.next_id(now.timestamp_micros()));
        let upload = Upload {
            id: id.clone(),
            key: input.key.clone(),
            initiated: now,
            born: draft.world_now().timestamp(),
            attributes,
            checksum,
            parts: BTreeMap::new(),
        };
        draft.apply(Record::Upload { bucket: input.bucket.clone(), upload })?;
        Ok(id)
    });
    let mut output = CreateMultipartUploadOutput {
        upload_id: Some(created.await?),
        checksum_algorithm: checksum.map(|(algorithm, _)| ChecksumAlgorithm::from_static(algorithm.name())),
        checksum_type: checksum.map(|(_, full)| ChecksumType::from_static(kind_name(full))),
        bucket: Some(input.bucket),
        key: Some(input.key),
        ..CreateMultipartUploadOutput::default()
    };
    say_encryption!(output, shown.as_ref());
    Ok(output)
}

/// The name of a checksum's kind in the protocol.
pub(crate) fn kind_name(full: bool) -> &'static str {
    if full { "FULL_OBJECT" } else { "COMPOSITE" }
}

/// `UploadPart`.
pub(crate) async fn upload_part(
    store: &Store,
    mut input: UploadPartInput,
    trailers: Option<TrailingHeaders>,
) -> S3Result<UploadPartOutput> {
    let number = part_number(input.part_number)?;
    let (plan, encryption) = store.read_bucket(&input.bucket, |contents| {
        let upload = find(contents, &input.key, &input.upload_id)?;
        Ok((upload.checksum, upload.attributes.encryption.clone()))
    })?;
    encryption::unlock(encryption.as_ref(), customer_key!(input))?;
    let mut claims = claims_of!(input, trailers);
    let announced = claims.algorithm.or_else(|| claims.checksums.first().map(|(algorithm, _)| *algorithm));
    if let (Some((planned, _)), Some(sent)) = (plan, announced)
        && planned != sent
    {
        let message = format!(
            "Checksum Type mismatch occurred, expected checksum Type: {}, actual checksum Type: {}",
            planned.name().to_lowercase(),
            sent.name().to_lowercase()
        );
        return Err(errors::bad_request(message));
    }
    if let (Some((planned, _)), None) = (plan, announced) {
        claims.algorithm = Some(planned);
    }
    let (body, size, digest) = intake::receive(&store.disk, input.body.take(), &claims).await?;
    let written = store.change(|draft| {
        find(draft.bucket(&input.bucket)?, &input.key, &input.upload_id)?;
        let content = content(draft.place(body), size, &digest);
        let part = Part { number, content, modified: draft.now() };
        draft.apply(Record::Part {
            bucket: input.bucket.clone(),
            key: input.key.clone(),
            upload: input.upload_id.clone(),
            part,
        })
    });
    written.await?;
    let kept = digest.kept();
    let mut output =
        UploadPartOutput { e_tag: Some(ETag::Strong(digest.etag())), ..UploadPartOutput::default() };
    say_encryption!(output, encryption.as_ref());
    set_checksum!(output, kept.as_ref());
    Ok(output)
}

/// `UploadPartCopy`: reads the range once for its digests, writes nothing.
pub(crate) async fn upload_part_copy(
    store: &Store,
    mut input: UploadPartCopyInput,
) -> S3Result<UploadPartCopyOutput> {
    let number = part_number(input.part_number)?;
    let (plan, encryption) = store.read_bucket(&input.bucket, |contents| {
        let upload = find(contents, &input.key, &input.upload_id)?;
        Ok((upload.checksum, upload.attributes.encryption.clone()))
    })?;
    encryption::unlock(encryption.as_ref(), customer_key!(input))?;
    let conditions = Conditions {
        if_match: input.copy_source_if_match.take(),
        if_none_match: input.copy_source_if_none_match.take(),
        if_modified_since: input.copy_source_if_modified_since.take(),
        if_unmodified_since: input.copy_source_if_unmodified_since.take(),
    };
    let source = copy::source(store, &input.copy_source, &conditions, source_key!(input))?;
    let (from, to) = copy_range(input.copy_source_range.as_deref(), source.object.content.size)?;
    let segments = outflow::slice(&source.object.content.segments, from, to);
    let algorithm = plan.map_or(Algorithm::Crc64Nvme, |(algorithm, _)| algorithm);
    let digest = outflow::digest(&store.disk, segments.clone(), algorithm).await?;
    let written = store.change(|draft| {
        if !draft.state.keeps(&segments) {
            return Err(errors::no_such_key());
        }
        find(draft.bucket(&input.bucket)?, &input.key, &input.upload_id)?;
        let modified = draft.now();
        let part = Part { number, content: content(segments, to - from, &digest), modified };
        draft.apply(Record::Part {
            bucket: input.bucket.clone(),
            key: input.key.clone(),
            upload: input.upload_id.clone(),
            part,
        })?;
        Ok(modified)
    });
    let modified = written.await?;
    drop(source.held);
    let kept = digest.kept();
    let mut result = CopyPartResult {
        e_tag: Some(ETag::Strong(digest.etag())),
        last_modified: Some(to_protocol(modified)),
        ..CopyPartResult::default()
    };
    set_checksum!(result, kept.as_ref());
    let mut output = UploadPartCopyOutput {
        copy_part_result: Some(result),
        copy_source_version_id: source.version_id,
        ..UploadPartCopyOutput::default()
    };
    say_encryption!(output, encryption.as_ref());
    Ok(output)
}

fn copy_range(range: Option<&str>, size: u64) -> S3Result<(u64, u64)> {
    let Some(range) = range else { return Ok((0, size)) };
    let malformed = || {
        errors::invalid(
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy",
        )
    };
    match Range::parse(range).map_err(|_| malformed())? {
        Range::Int { first, last: Some(last) } if last < size => Ok((first, last + 1)),
        Range::Int { last: Some(_), .. } => {
            Err(errors::invalid(format!("Range specified is not valid for source object of size: {size}")))
        }
        _ => Err(malformed()),
    }
}

/// `CompleteMultipartUpload`.
pub(crate) async fn complete(
    store: &Store,
    mut input: CompleteMultipartUploadInput,
    new_only: bool,
    location: String,
) -> S3Result<CompleteMultipartUploadOutput> {
    let conditions = WriteConditions {
        if_match: input.if_match.take(),
        if_none_match: input.if_none_match.take(),
        new_only,
    };
    let claimed = checksums_of!(input);
    let parts = input.multipart_upload.take().and_then(|upload| upload.parts).unwrap_or_default();
    let target = Target { bucket: &input.bucket, key: &input.key, conditions };
    let written = store.change(|draft| {
        let contents = draft.bucket(target.bucket)?;
        let upload = match find(contents, target.key, &input.upload_id) {
            Ok(upload) => upload.clone(),
            Err(unknown) => {
                return completion::again(contents, &input.upload_id, target.key, &parts).ok_or(unknown);
            }
        };
        let content = assemble(&upload, &parts, &claimed)?;
        if input.mpu_object_size.is_some_and(|size| u64::try_from(size) != Ok(content.size)) {
            return Err(errors::bad_request(
                "The provided 'x-amz-mp-object-size' header does not match what was computed.",
            ));
        }
        check(draft, &target)?;
        let written = insert(draft, &target, Object { content, attributes: upload.attributes })?;
        let completion = completion::of(&upload.id, target.key, &parts, written.id);
        draft.apply(Record::Completed { bucket: input.bucket.clone(), completion })?;
        draft.apply(Record::UploadGone {
            bucket: input.bucket.clone(),
            key: input.key.clone(),
            upload: upload.id,
        })?;
        Ok(written)
    });
    let written = written.await?;
    let mut output = CompleteMultipartUploadOutput {
        e_tag: Some(ETag::Strong(written.content.etag.clone())),
        version_id: written.version_id,
        location: Some(location),
        bucket: Some(input.bucket),
        key: Some(input.key),
        ..CompleteMultipartUploadOutput::default()
    };
    let checksum = written.content.checksum.as_ref();
    set_checksum!(output, checksum);
    output.checksum_type = checksum.map(|checksum| ChecksumType::from_static(checksum.kind()));
    Ok(output)
}

/// `AbortMultipartUpload`.
pub(crate) async fn abort(store: &Store, input: AbortMultipartUploadInput) -> S3Result<()> {
    let (bucket, key, upload) = (input.bucket, input.key, input.upload_id);
    store
        .change(|draft| {
            find(draft.bucket(&bucket)?, &key, &upload)?;
            draft.apply(Record::UploadGone { bucket, key, upload })
        })
        .await
}

#[cfg(test)]
mod tests {
    use s3s::S3ErrorCode;

    use super::*;

    #[test]
    fn the_thousand_and_first_part_is_refused_in_the_providers_words() {
        let error = part_number(1_001).unwrap_err();
        assert_eq!(*error.code(), S3ErrorCode::InvalidArgument);
        assert_eq!(error.message(), Some("Part number must be an integer between 1 and 1000, inclusive"));
    }

    #[test]
    fn a_copy_range_must_lie_inside_the_source() {
        assert_eq!(copy_range(Some("bytes=2-4"), 10).unwrap(), (2, 5));
        assert!(copy_range(Some("bytes=2-10"), 10).is_err());
    }
}
