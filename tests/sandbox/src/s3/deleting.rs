//! `DeleteObject` and `DeleteObjects`: removal, delete markers, and what object lock forbids.

use s3s::dto::{
    DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, DeletedObject,
    ETagCondition, Error,
};
use s3s::{S3Error, S3ErrorCode, S3Result};

use super::conditions::WriteConditions;
use super::errors;
use super::gate::Caller;
use super::model::Versioning;
use super::state::Record;
use super::store::{Draft, Store};

/// How many keys one request may name.
const MOST: usize = 1_000;

/// What a deletion did.
#[derive(Debug, Default)]
struct Outcome {
    /// The version that was removed, or the marker that was made.
    version_id: Option<String>,
    /// Whether that was a delete marker.
    marker: bool,
}

/// One deletion that is asked for.
struct Wish<'a> {
    bucket: &'a str,
    key: &'a str,
    version: Option<&'a str>,
    bypass: bool,
    if_match: Option<ETagCondition>,
}

fn delete_one(draft: &mut Draft<'_>, wish: &Wish<'_>) -> S3Result<Outcome> {
    if wish.if_match.is_some() {
        let contents = draft.bucket(wish.bucket)?;
        let target = contents.version(wish.key, wish.version).map(|version| &**version);
        WriteConditions { if_match: wish.if_match.clone(), ..WriteConditions::default() }.check(target)?;
    }
    match wish.version {
        Some(name) => remove_version(draft, wish, name),
        None => hide(draft, wish),
    }
}

/// Removes one version for good.
fn remove_version(draft: &mut Draft<'_>, wish: &Wish<'_>, name: &str) -> S3Result<Outcome> {
    if name != "null" && name.parse::<u64>().is_err() {
        return Err(errors::not_a_version());
    }
    let mut outcome = Outcome { version_id: Some(name.to_owned()), marker: false };
    let Some(version) = draft.bucket(wish.bucket)?.version(wish.key, Some(name)) else { return Ok(outcome) };
    let (id, object) = (version.id, version.object.as_ref());
    outcome.marker = object.is_none();
    let protection = object.map(|object| object.attributes.protection).unwrap_or_default();
    if !protection.permits_removal(draft.now(), wish.bypass) {
        return Err(errors::locked());
    }
    draft.apply(Record::VersionGone { bucket: wish.bucket.to_owned(), key: wish.key.to_owned(), id })?;
    Ok(outcome)
}

/// Removes the object from sight: for good where no versions are kept, else under a delete marker.
fn hide(draft: &mut Draft<'_>, wish: &Wish<'_>) -> S3Result<Outcome> {
    let contents = draft.bucket(wish.bucket)?;
    if contents.bucket.versioning == Versioning::Off {
        let id = contents.current(wish.key).map(|version| version.id);
        if let Some(id) = id {
            draft.apply(Record::VersionGone {
                bucket: wish.bucket.to_owned(),
                key: wish.key.to_owned(),
                id,
            })?;
        }
        return Ok(Outcome::default());
    }
    let version = draft.new_version(wish.bucket, None)?;
    let outcome = Outcome { version_id: Some(version.name()), marker: true };
    draft.apply(Record::Version { bucket: wish.bucket.to_owned(), key: wish.key.to_owned(), version })?;
    Ok(outcome)
}

/// `DeleteObject`: of what is not there, too, the answer is success.
pub(crate) async fn delete(store: &Store, input: DeleteObjectInput) -> S3Result<DeleteObjectOutput> {
    let wish = Wish {
        bucket: &input.bucket,
        key: &input.key,
        version: input.version_id.as_deref(),
        bypass: input.bypass_governance_retention.unwrap_or(false),
        if_match: input.if_match.clone(),
    };
    let outcome = store.change(|draft| delete_one(draft, &wish)).await?;
    Ok(DeleteObjectOutput {
        delete_marker: outcome.marker.then_some(true),
        version_id: outcome.version_id,
        ..DeleteObjectOutput::default()
    })
}

/// `DeleteObjects`: each key for itself, all in one write to the disk.
pub(crate) async fn delete_many(
    store: &Store,
    input: DeleteObjectsInput,
    caller: &Caller,
) -> S3Result<DeleteObjectsOutput> {
    let objects = input.delete.objects;
    if objects.is_empty() || objects.len() > MOST {
        let message =
            "The XML you provided was not well-formed or did not validate against our published schema";
        return Err(S3Error::with_message(S3ErrorCode::MalformedXML, message));
    }
    let bypass = input.bypass_governance_retention.unwrap_or(false);
    let outcomes = store.change(|draft| {
        draft.bucket(&input.bucket)?;
        let outcomes = objects.into_iter().map(|object| {
            let wish = Wish {
                bucket: &input.bucket,
                key: &object.key,
                version: object.version_id.as_deref(),
                bypass,
                if_match: object.e_tag.clone().map(ETagCondition::ETag),
            };
            let action = if wish.version.is_some() { "s3:DeleteObjectVersion" } else { "s3:DeleteObject" };
            let contents = draft.bucket(&input.bucket);
            let allowed = contents.and_then(|contents| {
                caller.check(contents, &object.key, action)?;
                let bypass = bypass.then_some("s3:BypassGovernanceRetention");
                bypass.map_or(Ok(()), |action| caller.check(contents, &object.key, action))
            });
            let outcome = allowed.and_then(|()| delete_one(draft, &wish));
            (object, outcome)
        });
        Ok(outcomes.collect::<Vec<_>>())
    });
    let (mut deleted, mut refused) = (Vec::new(), Vec::new());
    for (object, outcome) in outcomes.await? {
        match outcome {
            Ok(outcome) => deleted.push(DeletedObject {
                delete_marker: outcome.marker.then_some(true),
                delete_marker_version_id: outcome.version_id.filter(|_| outcome.marker),
                key: Some(object.key),
                version_id: object.version_id,
            }),
            Err(error) => refused.push(Error {
                code: Some(error.code().as_str().to_owned()),
                message: error.message().map(str::to_owned),
                key: Some(object.key),
                version_id: object.version_id,
            }),
        }
    }
    let deleted = (input.delete.quiet != Some(true)).then_some(deleted);
    Ok(DeleteObjectsOutput {
        deleted,
        errors: (!refused.is_empty()).then_some(refused),
        request_charged: None,
    })
}
