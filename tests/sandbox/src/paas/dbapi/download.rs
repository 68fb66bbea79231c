//! The download of a backup's archive: no authorization but the address, whole or by `Range`.

use std::collections::HashMap;
use std::io::SeekFrom;
use std::path::PathBuf;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Query, State as Shared};
use axum::http::{HeaderMap, Response, StatusCode, header};
use axum::response::IntoResponse;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

use crate::paas::Paas;
use crate::paas::reply::Refusal;

/// `GET …/download?token=`.
pub(super) async fn download(
    Shared(paas): Shared<Arc<Paas>>,
    Path((_, backup)): Path<(String, String)>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response<Body> {
    let Some((name, file)) = paas.download(&backup, query.get("token").map_or("", String::as_str)) else {
        return Refusal::Unauthorized("invalid or expired download token".into()).into_response();
    };
    let range = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
    match send(file, &name, &backup, range).await {
        Ok(response) => response,
        Err(error) => {
            tracing::error!(%error, "could not read a backup's archive");
            Refusal::NotFound("backup").into_response()
        }
    }
}

async fn send(file: PathBuf, name: &str, etag: &str, range: Option<&str>) -> std::io::Result<Response<Body>> {
    let mut file = tokio::fs::File::open(file).await?;
    let size = file.metadata().await?.len();
    let (start, length, status) = match range.map(|range| part(range, size)) {
        None | Some(Part::Ignored) => (0, size, StatusCode::OK),
        Some(Part::Some { start, length }) => (start, length, StatusCode::PARTIAL_CONTENT),
        Some(Part::Unsatisfiable) => {
            let answer =
                (StatusCode::RANGE_NOT_SATISFIABLE, [(header::CONTENT_RANGE, format!("bytes */{size}"))]);
            return Ok(answer.into_response());
        }
    };
    file.seek(SeekFrom::Start(start)).await?;
    let body = Body::from_stream(ReaderStream::with_capacity(file.take(length), 64 * 1024));
    let mut builder = Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "application/x-gzip")
        .header(header::CONTENT_LENGTH, length)
        .header(header::ACCEPT_RANGES, "bytes")
        .header(header::ETAG, format!("\"{etag}\""))
        .header(header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}.tar.gz\""));
    if status == StatusCode::PARTIAL_CONTENT {
        let last = (start + length).saturating_sub(1);
        builder = builder.header(header::CONTENT_RANGE, format!("bytes {start}-{last}/{size}"));
    }
    builder.body(body).map_err(std::io::Error::other)
}

/// What a `Range` header asks for.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    /// Not understood, or several: the whole is sent.
    Ignored,
    Some {
        start: u64,
        length: u64,
    },
    Unsatisfiable,
}

fn part(range: &str, size: u64) -> Part {
    let Some((first, last)) = range.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return Part::Ignored;
    };
    let (start, end) = match (first.trim().parse::<u64>(), last.trim().parse::<u64>()) {
        (Ok(start), Ok(last)) if last < start => return Part::Ignored,
        (Ok(start), Ok(last)) => (start, last.saturating_add(1).min(size)),
        (Ok(start), Err(_)) if last.trim().is_empty() => (start, size),
        (Err(_), Ok(suffix)) if first.trim().is_empty() => (size.saturating_sub(suffix), size),
        _ => return Part::Ignored,
    };
    if start >= end { Part::Unsatisfiable } else { Part::Some { start, length: end - start } }
}

impl Paas {
    /// The name and archive of a backup that `token` opens, while it is valid.
    fn download(&self, backup: &str, token: &str) -> Option<(String, PathBuf)> {
        let now = self.world.clock.elapsed().as_secs_f64();
        let state = self.state();
        state.downloads.get(token).filter(|link| link.opens == backup && link.ends_at > now)?;
        let (_, _, backup) = state.backup(backup)?;
        Some((backup.name.clone(), backup.file.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_http_says() {
        assert_eq!(part("bytes=0-3", 10), Part::Some { start: 0, length: 4 });
        assert_eq!(part("bytes=4-", 10), Part::Some { start: 4, length: 6 });
        assert_eq!(part("bytes=-3", 10), Part::Some { start: 7, length: 3 });
        assert_eq!(part("bytes=8-99", 10), Part::Some { start: 8, length: 2 });
        assert_eq!(part("bytes=10-", 10), Part::Unsatisfiable);
        assert_eq!(part("bytes=0-1,3-4", 10), Part::Ignored);
        assert_eq!(part("bytes=3-1", 10), Part::Ignored);
    }
}
