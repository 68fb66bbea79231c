//! The estate's rows and documents: generated, or taken from a dump and a folder.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::{BUCKET, EstateError, MIRROR, failed};
use crate::files::aside;
use crate::s3::{S3, S3Error, Seeded};
use crate::sandbox::{Options, Parts};
use crate::seed::{self, Document};

/// Statements that wait for the database.
const WRITTEN_AHEAD: usize = 2;
/// Documents that are in memory at once, at most, and their bytes.
const AT_ONCE: (usize, usize) = (5_000, 16 << 20);

/// The documents one after the other, read or made when it is their turn.
pub(super) type Documents = Box<dyn Iterator<Item = Result<Document, EstateError>> + Send>;

/// Where the documents come from.
pub(super) fn documents(options: &Options) -> Result<Documents, EstateError> {
    let file = |source| EstateError::File { what: "the documents", source };
    let Some(folder) = options.bucket.clone() else {
        return Ok(Box::new(seed::documents(options.size, options.seed).map(Ok)));
    };
    let files = list(&folder).map_err(file)?;
    Ok(Box::new(files.into_iter().map(move |path| document(&folder, &path).map_err(file))))
}

/// Fills the database `resource`, unless it began as a copy that is full.
pub(super) async fn fill(parts: &Parts, resource: &str, options: &Options) -> Result<(), EstateError> {
    let databases = &parts.plane.databases;
    if databases.is_copy(resource) {
        return Ok(());
    }
    if let Some(dump) = &options.dump {
        return databases.load_dump(resource, dump).await.map_err(failed("load the dump"));
    }
    let (size, seed) = (options.size, options.seed);
    let (sender, statements) = mpsc::channel(WRITTEN_AHEAD);
    // Ends early only when the database has refused: that is the error to tell.
    let write =
        move || Ok(seed::statements(size, seed).try_for_each(|one| sender.blocking_send(one)).is_ok());
    let (_, filled) = tokio::join!(aside(write), databases.run_each(resource, statements));
    filled.map_err(failed("fill the database"))
}

/// Puts the documents into the production bucket and, cold, into its mirror.
pub(super) async fn store(parts: &Arc<Parts>, options: &Options) -> Result<(), EstateError> {
    let making = failed::<S3Error>;
    parts.source.make_bucket(BUCKET, true, false).await.map_err(making("make a bucket"))?;
    parts.archive.make_bucket(MIRROR, false, false).await.map_err(making("make a bucket"))?;
    tokio::try_join!(
        put_all(parts, &parts.source, (BUCKET, "STANDARD"), documents(options)?),
        put_all(parts, &parts.archive, (MIRROR, "GLACIER"), documents(options)?),
    )
    .map(drop)
}

/// The one place where many objects are put at once. On a task of its own, so that both stores fill at the same time.
async fn put_all(
    parts: &Arc<Parts>,
    store: &Arc<S3>,
    (bucket, class): (&'static str, &'static str),
    mut documents: Documents,
) -> Result<(), EstateError> {
    let store = Arc::clone(store);
    let filling = async move {
        // What is drawn from a seed need not survive a power cut: nobody was told that it is stored.
        let _hurry = store.hurry();
        loop {
            let some = handful(&mut documents)?;
            if some.is_empty() {
                return Ok(());
            }
            store.seed_many(bucket, class, some.into_iter()).await.map_err(failed("store the documents"))?;
        }
    };
    apart(parts, filling).await
}

/// The next documents, as many as may be in memory.
fn handful(documents: &mut Documents) -> Result<Vec<Seeded>, EstateError> {
    let (mut some, mut bytes) = (Vec::new(), 0);
    while some.len() < AT_ONCE.0 && bytes < AT_ONCE.1 {
        let Some(document) = documents.next() else { break };
        let Document { key, content_type, bytes: body } = document?;
        bytes += body.len();
        some.push(Seeded { key, content_type, body });
    }
    Ok(some)
}

/// Runs `work` on a task of its own and waits for it.
pub(super) async fn apart<T: Send + 'static>(
    parts: &Parts,
    work: impl Future<Output = Result<T, EstateError>> + Send + 'static,
) -> Result<T, EstateError> {
    let (done, result) = tokio::sync::oneshot::channel();
    parts.world.tasks.spawn("seeding", async move {
        // Whoever asked may have given up.
        drop(done.send(work.await));
    });
    result.await.map_err(failed("finish a part of the estate"))?
}

/// Every file below `root`, sorted.
fn list(root: &Path) -> std::io::Result<Vec<PathBuf>> {
    let (mut documents, mut folders) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else {
                documents.push(entry.path());
            }
        }
    }
    documents.sort();
    Ok(documents)
}

/// A file, its relative path as its key.
fn document(root: &Path, file: &Path) -> std::io::Result<Document> {
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
