//! `reprise-synthetic-store`: an object store that is not there. It lists any number of keys, all of the same kibibyte, and takes nothing:
//! for measurements of what a client costs at sizes that no disk here holds. Signatures are not looked at.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use clap::Parser;
use serde::Deserialize;
use tokio::net::TcpListener;

/// Lists objects that are made up.
#[derive(Debug, Parser)]
#[command(name = "reprise-synthetic-store", version)]
struct Args {
    /// How many keys every bucket has.
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    keys: u64,
    /// Where to write NAME=value lines: endpoint and keys. It appears when the store serves.
    #[arg(long, value_name = "FILE")]
    env_file: PathBuf,
}

/// Keys of a page, as S3 has them.
const PAGE: u64 = 1_000;
/// The content of every object, and its MD5.
const CONTENT: [u8; 1024] = [b'r'; 1024];
const ETAG: &str = "\"aadd3e6a955c4a99024ca0bf126144a9\"";
const MODIFIED: &str = "2026-01-01T00:00:00.000Z";
const ACL: &str = "<AccessControlPolicy><Owner><ID>me</ID></Owner><AccessControlList><Grant><Grantee><ID>me</ID></Grantee>\
    <Permission>FULL_CONTROL</Permission></Grant></AccessControlList></AccessControlPolicy>";

#[tokio::main]
async fn main() -> ExitCode {
    match serve(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            use std::io::Write as _;
            // With stderr gone nobody can be told.
            writeln!(std::io::stderr(), "reprise-synthetic-store: {error}").unwrap_or_default();
            ExitCode::FAILURE
        }
    }
}

async fn serve(args: Args) -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let lines = format!(
        "S3_ENDPOINT=http://{}\nAWS_REGION=fr-par\nS3_ACCESS_KEY_ID=anybody\nS3_SECRET_ACCESS_KEY=anything\n",
        listener.local_addr()?
    );
    // Whoever waits for it reads it as soon as it is there.
    let part = args.env_file.with_extension("part");
    std::fs::write(&part, lines)?;
    std::fs::rename(&part, &args.env_file)?;
    let routes = Router::new()
        .route("/{bucket}", get(list))
        .route("/{bucket}/", get(list))
        .route("/{bucket}/{*key}", get(object))
        .with_state(Arc::new(args));
    axum::serve(listener, routes).await
}

#[derive(Debug, Deserialize)]
struct Asked {
    acl: Option<String>,
    #[serde(rename = "list-type")]
    list: Option<u8>,
    #[serde(rename = "continuation-token")]
    token: Option<u64>,
}

/// A page; the token is the number of its first key.
async fn list(State(args): State<Arc<Args>>, Query(asked): Query<Asked>) -> Response {
    if asked.list != Some(2) {
        return StatusCode::NOT_IMPLEMENTED.into_response();
    }
    let first = asked.token.unwrap_or_default();
    let next = (first + PAGE).min(args.keys);
    let mut page = format!("<ListBucketResult><IsTruncated>{}</IsTruncated>", next < args.keys);
    if next < args.keys {
        let token = format_args!("<NextContinuationToken>{next}</NextContinuationToken>");
        page.write_fmt(token).unwrap_or_default();
    }
    for number in first..next {
        let object = format_args!(
            "<Contents><Key>dossier-{:04}/document-{number:08}.pdf</Key><LastModified>{MODIFIED}</LastModified><ETag>{ETAG}</ETag>\
             <Size>1024</Size><StorageClass>STANDARD</StorageClass></Contents>",
            number / PAGE
        );
        page.write_fmt(object).unwrap_or_default();
    }
    page.push_str("</ListBucketResult>");
    ([(header::CONTENT_TYPE, "application/xml")], page).into_response()
}

async fn object(Path((_, _)): Path<(String, String)>, Query(asked): Query<Asked>) -> Response {
    if asked.acl.is_some() {
        return ([(header::CONTENT_TYPE, "application/xml")], ACL).into_response();
    }
    let head = [(header::ETAG, ETAG), (header::CONTENT_TYPE, "application/pdf")];
    (head, CONTENT.as_slice()).into_response()
}
