//! `ListParts` and `ListMultipartUploads`.

use std::collections::BTreeMap;

use s3s::S3Result;
use s3s::dto::{
    ChecksumAlgorithm, ChecksumType, CommonPrefix, ETag, Initiator, ListMultipartUploadsInput,
    ListMultipartUploadsOutput, ListPartsInput, ListPartsOutput, MultipartUpload, Part as Entry,
    StorageClass as ClassName,
};

use super::attributes::set_checksum;
use super::listing::{Naming, page_size};
use super::model::Upload;
use super::multipart::{find, kind_name};
use super::store::Store;
use super::times::to_protocol;
use super::walk::{Item, Walk, page};
use super::{acl, errors};

/// `ListParts`.
pub(crate) fn list_parts(store: &Store, input: &ListPartsInput) -> S3Result<ListPartsOutput> {
    let most = page_size(input.max_parts)?;
    let after = u16::try_from(input.part_number_marker.unwrap_or(0)).map_err(|_| errors::bad_part())?;
    store.read_bucket(&input.bucket, |contents| {
        let upload = find(contents, &input.key, &input.upload_id)?;
        let mut rest = upload.parts.range(after.saturating_add(1)..).map(|(_, part)| part);
        let parts: Vec<Entry> = rest
            .by_ref()
            .take(most)
            .map(|part| {
                let mut entry = Entry {
                    e_tag: Some(ETag::Strong(part.content.etag.clone())),
                    last_modified: Some(to_protocol(part.modified)),
                    part_number: Some(part.number.into()),
                    size: i64::try_from(part.content.size).ok(),
                    ..Entry::default()
                };
                set_checksum!(entry, part.content.checksum.as_ref());
                entry
            })
            .collect();
        let is_truncated = most > 0 && rest.next().is_some();
        Ok(ListPartsOutput {
            checksum_algorithm: upload
                .checksum
                .map(|(algorithm, _)| ChecksumAlgorithm::from_static(algorithm.name())),
            checksum_type: upload.checksum.map(|(_, full)| ChecksumType::from_static(kind_name(full))),
            initiator: Some(initiator(&store.owner)),
            is_truncated: Some(is_truncated),
            max_parts: i32::try_from(most).ok(),
            next_part_number_marker: parts.last().and_then(|part| part.part_number),
            owner: Some(acl::owner(&store.owner)),
            part_number_marker: Some(after.into()),
            parts: Some(parts),
            storage_class: Some(ClassName::from_static(upload.attributes.class.name())),
            bucket: Some(input.bucket.clone()),
            key: Some(input.key.clone()),
            upload_id: Some(input.upload_id.clone()),
            ..ListPartsOutput::default()
        })
    })
}

fn initiator(owner: &str) -> Initiator {
    Initiator { display_name: Some(owner.to_owned()), id: Some(owner.to_owned()) }
}

fn entry(store: &Store, upload: &Upload, naming: Naming) -> MultipartUpload {
    MultipartUpload {
        checksum_algorithm: upload
            .checksum
            .map(|(algorithm, _)| ChecksumAlgorithm::from_static(algorithm.name())),
        checksum_type: upload.checksum.map(|(_, full)| ChecksumType::from_static(kind_name(full))),
        initiated: Some(to_protocol(upload.initiated)),
        initiator: Some(initiator(&store.owner)),
        key: Some(naming.write(&upload.key)),
        owner: Some(acl::owner(&store.owner)),
        storage_class: Some(ClassName::from_static(upload.attributes.class.name())),
        upload_id: Some(upload.id.clone()),
    }
}

/// `ListMultipartUploads`: by key, then by age.
pub(crate) fn list_uploads(
    store: &Store,
    input: &ListMultipartUploadsInput,
) -> S3Result<ListMultipartUploadsOutput> {
    let naming = Naming::new(input.encoding_type.as_ref())?;
    let most = page_size(input.max_uploads)?;
    let key_marker = input.key_marker.as_deref().unwrap_or_default();
    let id_marker = input.upload_id_marker.as_deref().filter(|_| !key_marker.is_empty());
    store.read_bucket(&input.bucket, |contents| {
        // What lies after the markers, with the uploads of one key together.
        let mut keys: BTreeMap<String, Vec<&Upload>> = BTreeMap::new();
        let rest = contents.uploads.values().filter(|upload| {
            *upload.key > *key_marker
                || id_marker.is_some_and(|id| upload.key == key_marker && *upload.id > *id)
        });
        rest.for_each(|upload| keys.entry(upload.key.clone()).or_default().push(upload));
        let walk = Walk {
            prefix: input.prefix.as_deref().unwrap_or_default(),
            delimiter: input.delimiter.as_deref().unwrap_or_default(),
            after: if id_marker.is_some() { "" } else { key_marker },
            most: most + 1,
        };
        let (items, _) = page(&keys, walk, |_| true);
        let (mut uploads, mut prefixes, mut last, mut more) = (Vec::new(), Vec::new(), None, false);
        for item in items {
            let of_key: &[&Upload] = if let Item::Key(_, of_key) = &item { of_key } else { &[] };
            if uploads.len() + prefixes.len() >= most {
                more = true;
                break;
            }
            if let Item::Prefix(prefix) = item {
                last = Some((prefix.to_owned(), None));
                prefixes.push(CommonPrefix { prefix: Some(naming.write(prefix)) });
            }
            for upload in of_key {
                if uploads.len() + prefixes.len() >= most {
                    more = true;
                    break;
                }
                last = Some((upload.key.clone(), Some(upload.id.clone())));
                uploads.push(entry(store, upload, naming));
            }
        }
        let more = more && most > 0;
        let (next_key, next_id) = last.filter(|_| more).unzip();
        Ok(ListMultipartUploadsOutput {
            bucket: Some(input.bucket.clone()),
            common_prefixes: Some(prefixes),
            delimiter: input.delimiter.as_deref().map(|text| naming.write(text)),
            encoding_type: input.encoding_type.clone(),
            is_truncated: Some(more),
            key_marker: Some(naming.write(key_marker)),
            max_uploads: i32::try_from(most).ok(),
            next_key_marker: next_key.map(|key: String| naming.write(&key)),
            next_upload_id_marker: next_id.flatten(),
            prefix: input.prefix.as_deref().map(|text| naming.write(text)),
            request_charged: None,
            upload_id_marker: input.upload_id_marker.clone(),
            uploads: Some(uploads),
        })
    })
}
