//! The estate's rows and documents: generated, or taken from a dump and a folder.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};

use super::{BUCKET, EstateError, MIRROR, failed};
use crate::s3::S3;
use crate::sandbox::{Options, Parts};
use crate::seed::{self, Document};

/// Documents that are stored at once.
const AT_ONCE: usize = 16;

/// Fills the database `resource`.
pub(super) async fn fill(parts: &Parts, resource: &str, options: &Options) -> Result<(), EstateError> {
    let databases = &parts.plane.databases;
    if let Some(dump) = &options.dump {
        return databases.load_dump(resource, dump).await.map_err(failed("load the dump"));
    }
    let sql = seed::sql(options.size, options.seed);
    databases.run_sql(resource, &sql).await.map_err(failed("fill the database"))
}

/// Puts the documents into the production bucket and, cold, into its mirror.
pub(super) async fn store(parts: &Parts, options: &Options) -> Result<Vec<Document>, EstateError> {
    let documents = match &options.bucket {
        Some(folder) => {
            read_folder(folder).map_err(|source| EstateError::File { what: "the documents", source })?
        }
        None => seed::documents(options.size, options.seed),
    };
    let making = |_: &S3| failed("make a bucket");
    parts.source.make_bucket(BUCKET, true, false).await.map_err(making(&parts.source))?;
    parts.archive.make_bucket(MIRROR, false, false).await.map_err(making(&parts.archive))?;
    tokio::try_join!(
        put_all(&parts.source, BUCKET, &documents, "STANDARD"),
        put_all(&parts.archive, MIRROR, &documents, "GLACIER"),
    )?;
    Ok(documents)
}

async fn put_all(store: &S3, bucket: &str, documents: &[Document], class: &str) -> Result<(), EstateError> {
    let puts = documents.iter().map(|one| async move {
        let put = store.put(bucket, &one.key, one.bytes.clone(), one.content_type, class).await;
        put.map_err(failed("store a document"))
    });
    futures::stream::iter(puts).buffer_unordered(AT_ONCE).try_collect().await
}

/// Every file below `root`, its relative path as its key.
fn read_folder(root: &Path) -> std::io::Result<Vec<Document>> {
    let (mut documents, mut folders) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else {
                documents.push(document(root, &entry.path())?);
            }
        }
    }
    documents.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(documents)
}

fn document(root: &Path, file: &PathBuf) -> std::io::Result<Document> {
    let key = file.strip_prefix(root).unwrap_or(file).to_string_lossy().into_owned();
    let content_type = match file.extension().and_then(|extension| extension.to_str()) {
        Some("pdf") => "application/pdf",
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("txt") => "text/plain; charset=utf-8",
        Some("docx") => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        Some("xlsx") => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        _ => "application/octet-stream",
    };
    Ok(Document { key, content_type, bytes: Bytes::from(std::fs::read(file)?) })
}
