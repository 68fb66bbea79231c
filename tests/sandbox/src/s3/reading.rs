//! `GetObject` and `HeadObject`.

use std::sync::Arc;

use s3s::dto::{
    ChecksumType, ETag, GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput, ObjectLockMode,
    Range, StorageClass as ClassName,
};
use s3s::{S3Error, S3Result};

use super::attributes::set_checksum;
use super::conditions::Conditions;
use super::encryption::{self, customer_key, say_encryption};
use super::errors;
use super::lock::hold_name;
use super::model::{Object, Segment, StorageClass, Version};
use super::outflow;
use super::store::{Store, find, marker_error, version_header};
use super::times::{http_date, to_protocol};

/// A version that is an object, with its name in this bucket.
struct Found {
    version: Arc<Version>,
    version_id: Option<String>,
}

impl Found {
    fn object(&self) -> S3Result<&Object> {
        self.version.object.as_deref().ok_or_else(errors::no_such_key)
    }
}

/// Which bytes of an object a read is about.
struct Window {
    from: u64,
    to: u64,
    /// Whether it is a part (206) and not the whole (200).
    is_partial: bool,
    parts_count: Option<i32>,
}

fn look_up(store: &Store, bucket: &str, key: &str, name: Option<&str>) -> S3Result<Found> {
    store.read_bucket(bucket, |contents| {
        let version = find(contents, key, name)?;
        let version_id = version_header(contents, version);
        if version.object.is_none() {
            return Err(marker_answer(version, version_id.as_deref(), name.is_some()));
        }
        Ok(Found { version: Arc::clone(version), version_id })
    })
}

/// 404 (or 405 where the marker itself was asked for), saying that it is a delete marker.
fn marker_answer(version: &Version, version_id: Option<&str>, named: bool) -> S3Error {
    let modified = http_date(version.modified);
    let mut headers = vec![("x-amz-delete-marker", "true"), ("last-modified", &*modified)];
    headers.extend(version_id.map(|id| ("x-amz-version-id", id)));
    if named {
        headers.push(("allow", "DELETE"));
    }
    errors::with_headers(marker_error(named), &headers)
}

fn window(object: &Object, range: Option<&Range>, part: Option<i32>) -> S3Result<Window> {
    let size = object.content.size;
    let parts_count =
        (!object.content.parts.is_empty()).then(|| i32::try_from(object.content.parts.len()).ok()).flatten();
    match (range, part) {
        (Some(_), Some(_)) => {
            Err(errors::bad_request("Cannot specify both Range header and partNumber query parameter"))
        }
        (Some(range), None) => {
            let unsatisfiable =
                || errors::with_headers(errors::range(), &[("content-range", &format!("bytes */{size}"))]);
            let range = range.check(size).ok().filter(|range| !range.is_empty()).ok_or_else(unsatisfiable)?;
            Ok(Window { from: range.start, to: range.end, is_partial: true, parts_count: None })
        }
        (None, Some(number)) => {
            let (from, to) = part_window(object, number)?;
            Ok(Window { from, to, is_partial: true, parts_count })
        }
        (None, None) => Ok(Window { from: 0, to: size, is_partial: false, parts_count: None }),
    }
}

fn part_window(object: &Object, number: i32) -> S3Result<(u64, u64)> {
    let invalid = || {
        let status = hyper::StatusCode::RANGE_NOT_SATISFIABLE;
        errors::other("InvalidPartNumber", status, "The requested partnumber is not satisfiable")
    };
    let index =
        usize::try_from(number).ok().and_then(|number| number.checked_sub(1)).ok_or_else(errors::bad_part)?;
    if object.content.parts.is_empty() {
        return if index == 0 { Ok((0, object.content.size)) } else { Err(invalid()) };
    }
    let size = object.content.parts.get(index).ok_or_else(invalid)?;
    let from: u64 = object.content.parts[..index].iter().sum();
    Ok((from, from + size))
}

/// Fills the fields that both answers have.
macro_rules! describe {
    ($output:expr, $store:expr, $found:expr, $window:expr, $checksum_wanted:expr) => {{
        let object = $found.object()?;
        let (attributes, content) = (&object.attributes, &object.content);
        let headers = &attributes.headers;
        $output.accept_ranges = Some("bytes".to_owned());
        $output.content_length = i64::try_from($window.to - $window.from).ok();
        $output.content_range = $window.is_partial.then(|| {
            // An empty window has no last byte; the protocol has no word for it.
            format!("bytes {}-{}/{}", $window.from, $window.to.saturating_sub(1), content.size)
        });
        $output.parts_count = $window.parts_count;
        $output.content_type =
            Some(headers.content_type.clone().unwrap_or_else(|| "binary/octet-stream".to_owned()));
        $output.cache_control = headers.cache_control.clone();
        $output.content_disposition = headers.content_disposition.clone();
        $output.content_encoding = headers.content_encoding.clone();
        $output.content_language = headers.content_language.clone();
        $output.expires = headers.expires.map(to_protocol);
        $output.website_redirect_location = headers.website_redirect.clone();
        $output.metadata = (!headers.metadata.is_empty())
            .then(|| headers.metadata.iter().map(|(name, value)| (name.clone(), value.clone())).collect());
        $output.e_tag = Some(ETag::Strong(content.etag.clone()));
        $output.last_modified = Some(to_protocol($found.version.modified));
        $output.version_id = $found.version_id.clone();
        $output.storage_class = (attributes.class != StorageClass::Standard)
            .then(|| ClassName::from_static(attributes.class.name()));
        say_encryption!($output, attributes.encryption.as_ref());
        $output.restore = $store.restore_header(attributes);
        $output.object_lock_legal_hold_status = attributes.protection.hold.map(hold_name);
        if let Some((mode, until)) = attributes.protection.retention {
            $output.object_lock_mode = Some(ObjectLockMode::from_static(mode.name()));
            $output.object_lock_retain_until_date = Some(to_protocol(until));
        }
        if $checksum_wanted && !$window.is_partial {
            set_checksum!($output, content.checksum.as_ref());
            $output.checksum_type =
                content.checksum.as_ref().map(|sum| ChecksumType::from_static(sum.kind()));
        }
    }};
}

/// `GetObject`.
pub(crate) async fn get(store: &Store, mut input: GetObjectInput) -> S3Result<GetObjectOutput> {
    let conditions = Conditions {
        if_match: input.if_match.take(),
        if_none_match: input.if_none_match.take(),
        if_modified_since: input.if_modified_since.take(),
        if_unmodified_since: input.if_unmodified_since.take(),
    };
    // Again where the object was replaced or deleted before its bytes could be held.
    loop {
        let (mut output, segments) = describe_get(store, &input, &conditions)?;
        if let Some(body) = outflow::body(store, segments).await? {
            output.body = Some(body);
            return Ok(output);
        }
    }
}

/// The answer without its body, and where that lies.
fn describe_get(
    store: &Store,
    input: &GetObjectInput,
    conditions: &Conditions,
) -> S3Result<(GetObjectOutput, Vec<Segment>)> {
    let found = look_up(store, &input.bucket, &input.key, input.version_id.as_deref())?;
    let object = found.object()?;
    conditions.check_read(&object.content.etag, found.version.modified)?;
    if !store.temperature(&object.attributes).is_readable() {
        return Err(errors::cold());
    }
    encryption::unlock(object.attributes.encryption.as_ref(), customer_key!(input))?;
    let window = window(object, input.range.as_ref(), input.part_number)?;
    let mut output = GetObjectOutput::default();
    describe!(output, store, found, window, input.checksum_mode.is_some());
    output.tag_count = i32::try_from(object.attributes.tags.len()).ok().filter(|count| *count > 0);
    Ok((output, outflow::slice(&object.content.segments, window.from, window.to)))
}

/// `HeadObject`. The second value says whether the answer is about a part (206).
pub(crate) fn head(store: &Store, mut input: HeadObjectInput) -> S3Result<HeadObjectOutput> {
    let found = look_up(store, &input.bucket, &input.key, input.version_id.as_deref())?;
    let object = found.object()?;
    let conditions = Conditions {
        if_match: input.if_match.take(),
        if_none_match: input.if_none_match.take(),
        if_modified_since: input.if_modified_since.take(),
        if_unmodified_since: input.if_unmodified_since.take(),
    };
    conditions.check_read(&object.content.etag, found.version.modified)?;
    encryption::unlock(object.attributes.encryption.as_ref(), customer_key!(input))?;
    let window = window(object, input.range.as_ref(), input.part_number)?;
    let mut output = HeadObjectOutput::default();
    describe!(output, store, found, window, input.checksum_mode.is_some());
    Ok(output)
}
