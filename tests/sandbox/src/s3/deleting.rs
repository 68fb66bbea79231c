//! `DeleteObject` and `DeleteObjects`: removal, delete markers, and what object lock forbids.

use s3s::dto::{
    DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, DeletedObject,
    ETagCondition, Error,
};
use s3s::{S3Error, S3ErrorCode, S3Result};
use serde_json::Value;

use super::conditions::WriteConditions;
use super::errors;
use super::gate::Caller;
use super::inventory;
use super::model::Versioning;
use super::state::Record;
use super::store::{Draft, Store};
use super::trace::Trace;

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

/// The same for who may; each key of a mass deletion is asked about by itself.
fn delete_if_allowed(draft: &mut Draft<'_>, wish: &Wish<'_>, caller: &Caller) -> S3Result<Outcome> {
    let action = if wish.version.is_some() { "s3:DeleteObjectVersion" } else { "s3:DeleteObject" };
    let contents = draft.bucket(wish.bucket)?;
    caller.check(contents, wish.key, action)?;
    if wish.bypass {
        caller.check(contents, wish.key, "s3:BypassGovernanceRetention")?;
    }
    delete_one(draft, wish)
}

/// What is there of what is to be deleted, or was, for the journal.
fn found(draft: &Draft<'_>, wishes: &[Wish<'_>]) -> S3Result<Value> {
    let Some(first) = wishes.first() else { return Ok(Value::Null) };
    let wanted = wishes.iter().map(|wish| (wish.key, wish.version));
    Ok(inventory::named(draft.bucket(first.bucket)?, wanted))
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
pub(crate) async fn delete(
    store: &Store,
    input: DeleteObjectInput,
    trace: &Trace,
) -> S3Result<DeleteObjectOutput> {
    let wish = Wish {
        bucket: &input.bucket,
        key: &input.key,
        version: input.version_id.as_deref(),
        bypass: input.bypass_governance_retention.unwrap_or(false),
        if_match: input.if_match.clone(),
    };
    let outcome = store.change(|draft| {
        let before = found(draft, std::slice::from_ref(&wish))?;
        let outcome = delete_one(draft, &wish)?;
        trace.changed(before, found(draft, std::slice::from_ref(&wish))?);
        Ok(outcome)
    });
    let outcome = outcome.await?;
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
    trace: &Trace,
) -> S3Result<DeleteObjectsOutput> {
    let objects = input.delete.objects;
    if objects.is_empty() || objects.len() > MOST {
        let message =
            "The XML you provided was not well-formed or did not validate against our published schema";
        return Err(S3Error::with_message(S3ErrorCode::MalformedXML, message));
    }
    let bypass = input.bypass_governance_retention.unwrap_or(false);
    let wishes: Vec<Wish<'_>> = objects
        .iter()
        .map(|object| Wish {
            bucket: &input.bucket,
            key: &object.key,
            version: object.version_id.as_deref(),
            bypass,
            if_match: object.e_tag.clone().map(ETagCondition::ETag),
        })
        .collect();
    let outcomes = store.change(|draft| {
        let before = found(draft, &wishes)?;
        let outcomes: Vec<_> = wishes.iter().map(|wish| delete_if_allowed(draft, wish, caller)).collect();
        trace.changed(before, found(draft, &wishes)?);
        Ok(outcomes)
    });
    let outcomes = outcomes.await?;
    let (mut deleted, mut refused) = (Vec::new(), Vec::new());
    for (object, outcome) in objects.into_iter().zip(outcomes) {
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
