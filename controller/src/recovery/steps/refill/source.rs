//! Where the documents come from: the artifact that was downloaded, or the mirror bucket.

use std::collections::BTreeMap;

use futures::StreamExt as _;
use reprise_crds::plan::{MirrorSource, ObjectSource};

use super::content::{Content, kept};
use crate::archive::content_type;
use crate::archive::format::is_md5;
use crate::backup::objects::{ArtifactEntry, Wanted, read_entry};
use crate::providers::s3::{Found, Headers, ObjectSummary, S3, Want};
use crate::recovery::outputs::ChosenObjects;
use crate::recovery::step::Step;
use crate::recovery::steps::choose_objects::{artifact, mirror};
use crate::recovery::steps::{Ctx, Result, StepError};
use crate::store::SpanKind;

/// Where the objects come from.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one of it for each refill")]
pub(super) enum Source {
    Artifact {
        file: std::path::PathBuf,
        entries: BTreeMap<String, ArtifactEntry>,
    },
    Mirror {
        spec: MirrorSource,
        store: S3,
        bucket: String,
        prefix: String,
        objects: BTreeMap<String, ObjectSummary>,
    },
}

pub(super) async fn source(ctx: &Ctx) -> Result<Source> {
    match ctx.outputs.get(&Step::ChooseObjects)? {
        ChosenObjects::Artifact { source, place, artifact, sha256, .. } => {
            let at =
                |one: &ObjectSource| one.artifact.as_ref().map(|spec| artifact::place(ctx, spec)).transpose();
            let found = chosen(&ctx.run.plan.source.objects, source, place.as_deref(), at)?;
            let spec = found.artifact.as_ref().ok_or_else(gone)?;
            let (file, index) = artifact::obtain(ctx, spec, artifact, &sha256).await?;
            let entries = index.entries.into_iter().map(|entry| (entry.key.clone(), entry)).collect();
            Ok(Source::Artifact { file, entries })
        }
        ChosenObjects::Archive { .. } => Err(gone()),
        ChosenObjects::Mirror { source, place, objects: before, .. } => {
            let at =
                |one: &ObjectSource| one.mirror.as_ref().map(|spec| mirror::place(ctx, spec)).transpose();
            let found = chosen(&ctx.run.plan.source.objects, source, place.as_deref(), at)?;
            let spec = found.mirror.as_ref().ok_or_else(gone)?;
            let prefix = spec.prefix.clone().unwrap_or_default();
            ctx.doing(SpanKind::Data, "listing the mirror bucket");
            let objects = mirror::list(ctx, spec).await?;
            is_as_chosen(before, objects.len() as u64)?;
            let own_key = |key: &str| key.strip_prefix(prefix.as_str()).unwrap_or(key).to_owned();
            Ok(Source::Mirror {
                store: ctx.tools.mirror(spec)?,
                bucket: ctx.tools.setting(&spec.bucket, "the mirror's bucket")?,
                objects: objects.into_iter().map(|object| (own_key(&object.key), object)).collect(),
                spec: spec.clone(),
                prefix,
            })
        }
    }
}

fn gone() -> StepError {
    StepError::refused(
        "the source of the documents that was chosen is not in the plan any more",
        "put it back under source.objects, apply the plan, and resume the request",
    )
}

/// The source of the plan that was chosen, wherever in the list it stands by now. `at`: where one is. Pure.
fn chosen<'a>(
    sources: &'a [ObjectSource],
    index: usize,
    place: Option<&str>,
    at: impl Fn(&ObjectSource) -> Result<Option<String>>,
) -> Result<&'a ObjectSource> {
    let Some(place) = place else { return sources.get(index).ok_or_else(gone) };
    for source in sources {
        if at(source)?.as_deref() == Some(place) {
            return Ok(source);
        }
    }
    Err(gone())
}

/// A mirror has no point in time: what is deleted from it after it was chosen would be missing from the new bucket, and nobody would be
/// told. Pure.
fn is_as_chosen(before: u64, now: u64) -> Result<()> {
    if now >= before {
        return Ok(());
    }
    Err(StepError::refused(
        format!("the mirror bucket had {before} objects when it was chosen, and has {now} now"),
        "does somebody delete from it? Stop that and bring them back if you can; then resume the request: it chooses anew among the sources, \
         and takes the mirror as it is then",
    ))
}

impl Source {
    /// What the bucket should hold, as far as the source and what was read of it tell.
    pub(super) fn wanted(&self, hashed: &Hashed) -> Vec<Wanted> {
        match self {
            Self::Artifact { entries, .. } => entries
                .values()
                .map(|entry| Wanted {
                    key: entry.key.clone(),
                    size: entry.size,
                    etag: Some(entry.md5.clone()),
                })
                .collect(),
            Self::Mirror { objects, .. } => objects
                .iter()
                .map(|(key, object)| Wanted {
                    key: key.clone(),
                    size: object.size,
                    etag: hashed.get(key).cloned().or_else(|| digest(object)),
                })
                .collect(),
        }
    }

    /// The MD5 that it names for this object, if it names one.
    pub(super) fn tag(&self, key: &str) -> Option<String> {
        match self {
            Self::Artifact { entries, .. } => entries.get(key).map(|entry| entry.md5.clone()),
            Self::Mirror { objects, .. } => objects.get(key).and_then(digest),
        }
    }

    /// The content of one object, its MD5, what travels with it, and its length.
    pub(super) async fn read(&self, ctx: &Ctx, key: &str) -> Result<(Content, String, Headers, u64)> {
        let lacks = || StepError::Output { step: "choose-objects".to_owned() };
        match self {
            Self::Artifact { file, entries } => {
                let entry = entries.get(key).ok_or_else(lacks)?;
                let stream = read_entry(file, entry)
                    .map(|piece| piece.map_err(StepError::failed("reading the artifact")));
                let (content, md5) = kept(ctx, stream, entry.size).await?;
                let content_type = content_type::of(key).map(str::to_owned);
                Ok((content, md5, Headers { content_type, ..Headers::default() }, entry.size))
            }
            Self::Mirror { spec, store, bucket, prefix, objects } => {
                let object = objects.get(key).ok_or_else(lacks)?;
                mirror::readable(ctx, spec, object).await?;
                let place = (store, bucket.as_str(), format!("{prefix}{key}"));
                let (content, md5, found) = mirrored(ctx, &place, object.size).await?;
                let is_digest = !found.proof.is_encrypted;
                if let Some(tag) = digest(object).filter(|tag| is_digest && *tag != md5) {
                    // The line changed it, or the store's tags are no digests: then it sends the same again.
                    let (_, again, _) = mirrored(ctx, &place, object.size).await?;
                    if again != md5 {
                        let differs =
                            format!("{key} of the mirror came as other bytes than its tag {tag} says");
                        return Err(StepError::io("reading the mirror")(std::io::Error::other(differs)));
                    }
                    tracing::warn!(
                        key,
                        tag,
                        md5,
                        "the mirror's tag is not the digest of what it sends, twice"
                    );
                }
                Ok((content, md5, found.headers, object.size))
            }
        }
    }
}

/// One object of a mirror: its content, the MD5 of that, and what travels with it.
async fn mirrored(
    ctx: &Ctx,
    (store, bucket, key): &(&S3, &str, String),
    size: u64,
) -> Result<(Content, String, Found)> {
    let found = store.read(bucket, key, Want::default()).await;
    let mut found = found.map_err(StepError::s3(format!("reading {key} of the mirror")))?;
    let body = std::mem::replace(&mut found.body, futures::stream::empty().boxed());
    let stream = body.map(|piece| piece.map_err(StepError::s3("reading the mirror")));
    let (content, md5) = kept(ctx, stream, size).await?;
    Ok((content, md5, found))
}

/// The MD5s of objects whose `ETag` tells nothing of their bytes, as they were read.
pub(super) type Hashed = BTreeMap<String, String>;

/// An `ETag` of several parts is no digest, some stores have others, and some stores' lists have none: what is read is hashed then.
fn digest(object: &ObjectSummary) -> Option<String> {
    Some(object.etag.clone()).filter(|etag| is_md5(etag))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn mirror(bucket: &str) -> ObjectSource {
        serde_json::from_value(json!({ "mirror": {
            "endpoint": "https://s3.test", "bucket": bucket, "region": "fr-par",
            "credentials": { "accessKeyId": "env:A", "secretAccessKey": "env:B" },
        } }))
        .expect("a source")
    }

    #[test]
    fn what_was_chosen_is_found_wherever_it_stands_by_now() {
        let at = |one: &ObjectSource| Ok(one.mirror.as_ref().map(|spec| spec.bucket.as_str().to_owned()));
        let plan = [mirror("newcomer"), mirror("chosen")];
        assert_eq!(chosen(&plan, 0, Some("chosen"), at).expect("there"), &plan[1]);
        assert!(chosen(&plan[..1], 0, Some("chosen"), at).is_err(), "it is in the plan no more");
        assert_eq!(chosen(&plan, 1, None, at).expect("there"), &plan[1], "an earlier release did not say");
    }

    #[test]
    fn a_mirror_that_was_emptied_meanwhile_is_told() {
        assert!(is_as_chosen(3, 3).is_ok() && is_as_chosen(3, 4).is_ok());
        let told = is_as_chosen(3, 0).expect_err("told").to_string();
        assert!(told.contains("had 3 objects") && told.contains("has 0 now"), "{told}");
    }
}
