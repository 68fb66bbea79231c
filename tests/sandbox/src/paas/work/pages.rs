//! The pages that an app shows while it does not answer: fetched when its containers have changed, as documented, and kept by the
//! ingress.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio_stream::StreamExt as _;

use super::deploy::fetch;
use crate::paas::Paas;
use crate::plane::ingress::{PAGE_VARIABLES, Pages};

/// Bytes of a page, at most.
const HEAVIEST: usize = 10_000_000;
/// How long a page may take: a restart waits for it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Shows for `app` what its variables `env` say from now on. A page that is not to be had is the platform's own.
pub(in crate::paas) async fn show(paas: &Arc<Paas>, app: &str, env: &BTreeMap<String, String>) {
    let mut pages = Pages::new();
    for variable in PAGE_VARIABLES {
        let Some(url) = env.get(variable).filter(|url| !url.trim().is_empty()) else { continue };
        match tokio::time::timeout(PATIENCE, page(paas, url.trim())).await {
            Ok(Ok(page)) => drop(pages.insert(variable, page)),
            Ok(Err(error)) => tracing::warn!(app, variable, error, "a page of the app's own is not shown"),
            Err(_) => tracing::warn!(app, variable, "a page of the app's own took too long"),
        }
    }
    // An app that is gone meanwhile shows nothing, nor does another one under its name.
    paas.with_app(app, |_| paas.plane.ingress.set_pages(app, pages));
}

async fn page(paas: &Arc<Paas>, url: &str) -> Result<Bytes, String> {
    let url = url::Url::parse(url).map_err(|error| error.to_string())?;
    let response = fetch::ask(paas, url).await?;
    if !response.status().is_success() {
        return Err(format!("the server answered {}", response.status()));
    }
    let (mut whole, mut chunks) = (Vec::new(), response.bytes_stream());
    while let Some(chunk) = chunks.next().await {
        whole.extend_from_slice(&chunk.map_err(|error| error.without_url().to_string())?);
        if whole.len() > HEAVIEST {
            return Err("it has more than 10 MB".into());
        }
    }
    Ok(whole.into())
}
