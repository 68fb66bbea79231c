//! `ListObjects` (both generations).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::S3Result;
use s3s::dto::{
    ChecksumAlgorithm, ChecksumType, CommonPrefix, ETag, EncodingType, ListObjectsInput, ListObjectsOutput,
    ListObjectsV2Input, ListObjectsV2Output, Object as Entry, ObjectStorageClass,
    OptionalObjectAttributesList,
};

use super::acl;
use super::errors;
use super::state::Versions;
use super::store::Store;
use super::times::to_protocol;
use super::walk::{Item, Walk, page};

/// The most entries of one page.
pub(crate) const PAGE: usize = 1_000;

/// What stays as it is under `encoding-type=url`.
const URL: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/').remove(b'*');

/// How names are written in an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Naming {
    is_encoded: bool,
}

impl Naming {
    /// As the request wants it.
    pub(crate) fn new(encoding: Option<&EncodingType>) -> S3Result<Self> {
        match encoding.map(EncodingType::as_str) {
            None => Ok(Self { is_encoded: false }),
            Some("url") => Ok(Self { is_encoded: true }),
            Some(_) => Err(errors::invalid("Invalid Encoding Method specified in Request")),
        }
    }

    /// `name` as it is written.
    pub(crate) fn write(self, name: &str) -> String {
        if self.is_encoded { utf8_percent_encode(name, URL).to_string() } else { name.to_owned() }
    }
}

/// The size of a page, refused when negative.
pub(crate) fn page_size(wanted: Option<i32>) -> S3Result<usize> {
    let wanted = wanted.map_or(Ok(PAGE), usize::try_from);
    wanted
        .map(|wanted| wanted.min(PAGE))
        .map_err(|_| errors::invalid("Argument maxKeys must be an integer between 0 and 2147483647"))
}

struct Listing {
    contents: Vec<Entry>,
    prefixes: Vec<CommonPrefix>,
    /// The last item, if there are more.
    next: Option<String>,
}

struct Wanted<'a> {
    owner: bool,
    attributes: Option<&'a OptionalObjectAttributesList>,
    naming: Naming,
}

fn list(store: &Store, bucket: &str, walk: Walk<'_>, wanted: &Wanted<'_>) -> S3Result<Listing> {
    store.read_bucket(bucket, |contents| {
        let is_object = |versions: &Versions| versions.last().is_some_and(|version| version.object.is_some());
        let (items, more) = page(&contents.keys, walk, is_object);
        let next = items.last().filter(|_| more).map(|item| item.name().to_owned());
        let mut listing = Listing { contents: Vec::with_capacity(items.len()), prefixes: Vec::new(), next };
        for item in items {
            match item {
                Item::Key(key, versions) => listing.contents.extend(entry(store, key, versions, wanted)),
                Item::Prefix(prefix) => {
                    listing.prefixes.push(CommonPrefix { prefix: Some(wanted.naming.write(prefix)) });
                }
            }
        }
        Ok(listing)
    })
}

fn entry(store: &Store, key: &str, versions: &Versions, wanted: &Wanted<'_>) -> Option<Entry> {
    let version = versions.last()?;
    let object = version.object.as_ref()?;
    let checksum = object.content.checksum.as_ref();
    let restore = wanted
        .attributes
        .is_some_and(|attributes| attributes.iter().any(|attribute| attribute.as_str() == "RestoreStatus"));
    Some(Entry {
        checksum_algorithm: checksum
            .map(|checksum| vec![ChecksumAlgorithm::from_static(checksum.algorithm.name())]),
        checksum_type: checksum.map(|checksum| ChecksumType::from_static(checksum.kind())),
        e_tag: Some(ETag::Strong(object.content.etag.clone())),
        key: Some(wanted.naming.write(key)),
        last_modified: Some(to_protocol(version.modified)),
        owner: wanted.owner.then(|| acl::owner(&store.owner)),
        restore_status: restore.then(|| store.restore_status(&object.attributes)).flatten(),
        size: i64::try_from(object.content.size).ok(),
        storage_class: Some(ObjectStorageClass::from_static(object.attributes.class.name())),
    })
}

/// `ListObjects`.
pub(crate) fn list_v1(store: &Store, input: &ListObjectsInput) -> S3Result<ListObjectsOutput> {
    let naming = Naming::new(input.encoding_type.as_ref())?;
    let most = page_size(input.max_keys)?;
    let walk = Walk {
        prefix: input.prefix.as_deref().unwrap_or_default(),
        delimiter: input.delimiter.as_deref().unwrap_or_default(),
        after: input.marker.as_deref().unwrap_or_default(),
        most,
    };
    let attributes = input.optional_object_attributes.as_ref();
    let listing = list(store, &input.bucket, walk, &Wanted { owner: true, attributes, naming })?;
    let delimiter = input.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty());
    Ok(ListObjectsOutput {
        name: Some(input.bucket.clone()),
        prefix: Some(naming.write(walk.prefix)),
        marker: Some(naming.write(walk.after)),
        max_keys: i32::try_from(most).ok(),
        is_truncated: Some(listing.next.is_some()),
        contents: Some(listing.contents),
        common_prefixes: Some(listing.prefixes),
        delimiter: delimiter.map(|delimiter| naming.write(delimiter)),
        // Without a delimiter the last key serves, and the protocol leaves this out.
        next_marker: listing.next.filter(|_| delimiter.is_some()).map(|next| naming.write(&next)),
        encoding_type: input.encoding_type.clone(),
        request_charged: None,
    })
}

/// `ListObjectsV2`.
pub(crate) fn list_v2(store: &Store, input: &ListObjectsV2Input) -> S3Result<ListObjectsV2Output> {
    let naming = Naming::new(input.encoding_type.as_ref())?;
    let most = page_size(input.max_keys)?;
    let token = input.continuation_token.as_deref().map(decode_token).transpose()?;
    let walk = Walk {
        prefix: input.prefix.as_deref().unwrap_or_default(),
        delimiter: input.delimiter.as_deref().unwrap_or_default(),
        after: token.as_deref().or(input.start_after.as_deref()).unwrap_or_default(),
        most,
    };
    let attributes = input.optional_object_attributes.as_ref();
    let wanted = Wanted { owner: input.fetch_owner.unwrap_or(false), attributes, naming };
    let listing = list(store, &input.bucket, walk, &wanted)?;
    let delimiter = input.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty());
    Ok(ListObjectsV2Output {
        name: Some(input.bucket.clone()),
        prefix: Some(naming.write(walk.prefix)),
        max_keys: i32::try_from(most).ok(),
        key_count: i32::try_from(listing.contents.len() + listing.prefixes.len()).ok(),
        continuation_token: input.continuation_token.clone(),
        is_truncated: Some(listing.next.is_some()),
        next_continuation_token: listing.next.map(|next| BASE64.encode(next)),
        contents: Some(listing.contents),
        common_prefixes: Some(listing.prefixes),
        delimiter: delimiter.map(|delimiter| naming.write(delimiter)),
        encoding_type: input.encoding_type.clone(),
        start_after: input.start_after.as_deref().map(|start| naming.write(start)),
        request_charged: None,
    })
}

fn decode_token(token: &str) -> S3Result<String> {
    let name = BASE64.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    name.ok_or_else(|| errors::invalid("The continuation token provided is incorrect"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoded_name_is_read_alike_by_both_kinds_of_decoder() {
        let naming = Naming { is_encoded: true };
        assert_eq!(naming.write("a b+c/é\n"), "a%20b%2Bc/%C3%A9%0A");
    }
}
