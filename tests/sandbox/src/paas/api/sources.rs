//! Source archives: a pre-signed address to upload to and one to download from, both for ten minutes of world time.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Query, State as Shared};
use axum::http::StatusCode;
use futures::{StreamExt, TryStreamExt};
use serde_json::json;
use tokio_util::io::{ReaderStream, StreamReader};

use crate::http::Resource;
use crate::paas::Paas;
use crate::paas::reply::Reply;
use crate::paas::session::Session;
use crate::paas::state::Source;

const LIFE: Duration = Duration::from_mins(10);
/// What an upload may weigh at most, in bytes (an archive may unpack to 300 MB).
const LIMIT: usize = 314_572_800;

/// `POST /v1/sources`.
pub(super) async fn create(Shared(paas): Shared<Arc<Paas>>, _: Session) -> Reply {
    let (secret, file) = (paas.world.ids.secret(40), paas.world.ids.uuid().to_string());
    let source = Source { opens: file.clone(), ends_at: (paas.world.clock.elapsed() + LIFE).as_secs_f64() };
    paas.state().sources.insert(secret.clone(), source);
    let api = paas.urls().api;
    let (upload, download) =
        (format!("{api}/sources/upload?sig={secret}"), format!("{api}/sources/download?sig={secret}"));
    Reply::created(json!({"source": {"upload_url": upload, "download_url": download}})).about(file)
}

/// `PUT` on an upload address.
pub(super) async fn upload(
    Shared(paas): Shared<Arc<Paas>>,
    Query(query): Query<HashMap<String, String>>,
    body: Body,
) -> (StatusCode, axum::Extension<Resource>) {
    let Some((name, file)) = paas.source(&query) else {
        return (StatusCode::FORBIDDEN, axum::Extension(Resource(String::new())));
    };
    let status = match store(body, &file).await {
        Ok(()) => StatusCode::OK,
        Err(error) => {
            tracing::debug!(%error, "an upload was not stored");
            StatusCode::BAD_REQUEST
        }
    };
    (status, axum::Extension(Resource(name)))
}

/// `GET` on a download address.
pub(super) async fn download(
    Shared(paas): Shared<Arc<Paas>>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Body, StatusCode> {
    let (_, file) = paas.source(&query).ok_or(StatusCode::FORBIDDEN)?;
    let file = tokio::fs::File::open(file).await.map_err(|_| StatusCode::NOT_FOUND)?;
    Ok(Body::from_stream(ReaderStream::new(file)))
}

async fn store(body: Body, file: &std::path::Path) -> std::io::Result<()> {
    let mut taken = 0_usize;
    let limited = body.into_data_stream().map_err(std::io::Error::other).map(move |chunk| {
        let chunk = chunk?;
        taken += chunk.len();
        if taken > LIMIT { Err(std::io::Error::from(std::io::ErrorKind::FileTooLarge)) } else { Ok(chunk) }
    });
    let mut reader = StreamReader::new(Box::pin(limited));
    let mut target = tokio::fs::File::create(file).await?;
    tokio::io::copy(&mut reader, &mut target).await?;
    target.sync_all().await
}

impl Paas {
    /// The name and file that a signature opens, while it is valid.
    fn source(&self, query: &HashMap<String, String>) -> Option<(String, PathBuf)> {
        let now = self.world.clock.elapsed().as_secs_f64();
        let state = self.state();
        let source = state.sources.get(query.get("sig")?).filter(|source| source.ends_at > now)?;
        Some((source.opens.clone(), self.sources.join(format!("{}.tar.gz", source.opens))))
    }
}
