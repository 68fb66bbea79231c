//! A document on its way from the source to the bucket: kept for a moment, and hashed as it comes.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt as _};
use md5::{Digest as _, Md5};
use tokio::io::AsyncWriteExt as _;

use crate::providers::s3::{Headers, Keeping, S3, S3Error};
use crate::recovery::steps::{Ctx, Result, StepError};

/// Objects above this are put from a file of ours, not from memory.
const IN_MEMORY: u64 = 16 << 20;

/// The content of an object: small ones in memory, large ones in a file of ours that goes with this value.
pub(super) enum Content {
    Memory(Bytes),
    File(tempfile::NamedTempFile),
}

impl Content {
    pub(super) async fn put(
        &self,
        ctx: &Ctx,
        store: &S3,
        (bucket, key): (&str, &str),
        headers: &Headers,
    ) -> Result<String, S3Error> {
        match self {
            Self::Memory(bytes) => {
                store.write(bucket, key, bytes.clone(), headers, &Keeping::default()).await
            }
            Self::File(file) => {
                let pulse = Arc::clone(&ctx.pulse);
                store.write_file(bucket, key, file.path(), headers, move || pulse.moved()).await
            }
        }
    }
}

/// Keeps what comes, and tells its MD5 in hex.
pub(super) async fn kept(
    ctx: &Ctx,
    stream: impl Stream<Item = Result<Bytes>> + Send,
    size: u64,
) -> Result<(Content, String)> {
    let mut hasher = Md5::new();
    let hashed = stream.inspect(|piece| {
        if let Ok(piece) = piece {
            ctx.pulse.moved();
            hasher.update(piece);
        }
    });
    let content = if size <= IN_MEMORY { in_memory(hashed).await? } else { in_file(ctx, hashed).await? };
    Ok((content, hex::encode(hasher.finalize())))
}

async fn in_memory(stream: impl Stream<Item = Result<Bytes>> + Send) -> Result<Content> {
    let mut stream = std::pin::pin!(stream);
    let mut bytes = BytesMut::new();
    while let Some(piece) = stream.next().await {
        bytes.extend_from_slice(&piece?);
    }
    Ok(Content::Memory(bytes.freeze()))
}

async fn in_file(ctx: &Ctx, stream: impl Stream<Item = Result<Bytes>> + Send) -> Result<Content> {
    let mut stream = std::pin::pin!(stream);
    let doing = || "keeping a large object for a moment";
    ctx.make_dir()?;
    let file = tempfile::NamedTempFile::new_in(&ctx.run.dir).map_err(StepError::io(doing()))?;
    let mut writer =
        tokio::fs::OpenOptions::new().write(true).open(file.path()).await.map_err(StepError::io(doing()))?;
    while let Some(piece) = stream.next().await {
        writer.write_all(&piece?).await.map_err(StepError::io(doing()))?;
    }
    writer.flush().await.map_err(StepError::io(doing()))?;
    Ok(Content::File(file))
}
