//! Tags of buckets and objects.

use s3s::dto::{
    DeleteObjectTaggingInput, DeleteObjectTaggingOutput, GetObjectTaggingInput, GetObjectTaggingOutput,
    PutObjectTaggingInput, PutObjectTaggingOutput, Tag, Tagging,
};
use s3s::{S3Error, S3ErrorCode, S3Result};

use super::errors;
use super::model::Tags;
use super::store::{Store, marker_error, version_header};

/// How many tags an object may have.
const OBJECT_TAGS: usize = 10;
/// How many tags a bucket may have.
const BUCKET_TAGS: usize = 50;

fn invalid(message: &'static str) -> S3Error {
    S3Error::with_message(S3ErrorCode::InvalidTag, message)
}

fn check(tags: Tags, most: usize) -> S3Result<Tags> {
    if tags.len() > most {
        let message = format!("Object tags cannot be greater than {most}");
        return Err(errors::other("BadRequest", hyper::StatusCode::BAD_REQUEST, message));
    }
    for (at, (key, value)) in tags.iter().enumerate() {
        if key.is_empty() || key.chars().count() > 128 {
            return Err(invalid("The TagKey you have provided is invalid"));
        }
        if value.chars().count() > 256 {
            return Err(invalid("The TagValue you have provided is invalid"));
        }
        if tags[..at].iter().any(|(other, _)| other == key) {
            return Err(invalid("Cannot provide multiple Tags with the same key"));
        }
    }
    Ok(tags)
}

/// Tags of an `x-amz-tagging` header, which has the form of a URL's query.
pub(crate) fn from_header(header: Option<&str>) -> S3Result<Tags> {
    let pairs = url::form_urlencoded::parse(header.unwrap_or_default().as_bytes());
    check(pairs.map(|(key, value)| (key.into_owned(), value.into_owned())).collect(), OBJECT_TAGS)
}

/// Tags of a bucket's document.
pub(crate) fn of_bucket(tagging: Tagging) -> S3Result<Tags> {
    check(from_document(tagging), BUCKET_TAGS)
}

fn from_document(tagging: Tagging) -> Tags {
    let pair = |tag: Tag| (tag.key.unwrap_or_default(), tag.value.unwrap_or_default());
    tagging.tag_set.into_iter().map(pair).collect()
}

/// Tags as the protocol shows them.
pub(crate) fn to_protocol(tags: &Tags) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag { key: Some(key.clone()), value: Some(value.clone()) }).collect()
}

/// `GetObjectTagging`.
pub(crate) fn get(store: &Store, input: &GetObjectTaggingInput) -> S3Result<GetObjectTaggingOutput> {
    store.read_bucket(&input.bucket, |contents| {
        let version = super::store::find(contents, &input.key, input.version_id.as_deref())?;
        let object = version.object.as_ref().ok_or_else(|| marker_error(input.version_id.is_some()))?;
        let version_id = version_header(contents, version);
        Ok(GetObjectTaggingOutput { tag_set: to_protocol(&object.attributes.tags), version_id })
    })
}

/// `PutObjectTagging`: replaces all tags.
pub(crate) async fn put(store: &Store, input: PutObjectTaggingInput) -> S3Result<PutObjectTaggingOutput> {
    let tags = check(from_document(input.tagging), OBJECT_TAGS)?;
    let target = (&*input.bucket, &*input.key, input.version_id.as_deref());
    let version_id = store
        .change_version(target, |_, object| {
            object.attributes.tags = tags;
            Ok(())
        })
        .await?;
    Ok(PutObjectTaggingOutput { version_id })
}

/// `DeleteObjectTagging`.
pub(crate) async fn delete(
    store: &Store,
    input: DeleteObjectTaggingInput,
) -> S3Result<DeleteObjectTaggingOutput> {
    let target = (&*input.bucket, &*input.key, input.version_id.as_deref());
    let version_id = store
        .change_version(target, |_, object| {
            object.attributes.tags.clear();
            Ok(())
        })
        .await?;
    Ok(DeleteObjectTaggingOutput { version_id })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_decoded_like_a_query() {
        let tags = from_header(Some("a=1&b=x%20y")).unwrap();
        assert_eq!(tags, [("a".into(), "1".into()), ("b".into(), "x y".into())]);
    }

    #[test]
    fn a_key_may_come_once() {
        assert_eq!(*from_header(Some("a=1&a=2")).unwrap_err().code(), S3ErrorCode::InvalidTag);
    }
}
