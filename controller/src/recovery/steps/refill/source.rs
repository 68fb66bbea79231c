//! Where the documents come from: the artifact that was downloaded, or the mirror bucket.

use std::collections::BTreeMap;

use futures::StreamExt as _;
use reprise_crds::plan::MirrorSource;

use super::content::{Content, kept};
use crate::archive::content_type;
use crate::backup::objects::{ArtifactEntry, Wanted, read_entry};
use crate::providers::s3::{Headers, ObjectSummary, S3, Want};
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
    let gone = || {
        StepError::refused("the source of the documents is not in the plan any more", "file a new request")
    };
    let sources = &ctx.run.plan.source.objects;
    match ctx.outputs.get(&Step::ChooseObjects)? {
        ChosenObjects::Artifact { source, artifact, sha256, .. } => {
            let spec = sources.get(source).and_then(|source| source.artifact.as_ref()).ok_or_else(gone)?;
            let (file, index) = artifact::obtain(ctx, spec, artifact, &sha256).await?;
            let entries = index.entries.into_iter().map(|entry| (entry.key.clone(), entry)).collect();
            Ok(Source::Artifact { file, entries })
        }
        ChosenObjects::Archive { .. } => Err(gone()),
        ChosenObjects::Mirror { source, .. } => {
            let spec = sources.get(source).and_then(|source| source.mirror.as_ref()).ok_or_else(gone)?;
            let prefix = spec.prefix.clone().unwrap_or_default();
            ctx.doing(SpanKind::Data, "listing the mirror bucket");
            let objects = mirror::list(ctx, spec).await?;
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
                    etag: digest(object).or_else(|| hashed.get(key).cloned()),
                })
                .collect(),
        }
    }

    /// Whether it tells nothing of this object's bytes.
    pub(super) fn is_silent_on(&self, key: &str) -> bool {
        matches!(self, Self::Mirror { objects, .. } if objects.get(key).is_some_and(|object| digest(object).is_none()))
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
                let found = store.read(bucket, &format!("{prefix}{key}"), Want::default()).await;
                let found = found.map_err(StepError::s3(format!("reading {key} of the mirror")))?;
                let stream = found.body.map(|piece| piece.map_err(StepError::s3("reading the mirror")));
                let (content, md5) = kept(ctx, stream, object.size).await?;
                Ok((content, md5, found.headers, object.size))
            }
        }
    }
}

/// The MD5s of objects whose `ETag` tells nothing of their bytes, as they were read.
pub(super) type Hashed = BTreeMap<String, String>;

/// An `ETag` of several parts is no digest, and some stores' lists have none: what is read is hashed then.
fn digest(object: &ObjectSummary) -> Option<String> {
    Some(object.etag.clone()).filter(|etag| !etag.is_empty() && !etag.contains('-'))
}
