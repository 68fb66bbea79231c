//! A clone or a fetch: the real `git upload-pack` of what was pushed. It changes nothing and deploys nothing.

use std::sync::Arc;

use russh::Channel;
use russh::server::Msg;

use super::bytes::{Way, feed, output};
use super::push::refuse;
use super::{Site, repository};
use crate::plane::runner::groups::Groups;

/// Serves one fetch from its first byte to its exit code. Who may push may fetch.
pub(super) async fn serve(site: Arc<Site>, channel: Channel<Msg>, user: String, app: String) {
    if let Err(refusal) = site.platform.may_push(&user, &app) {
        return refuse(channel, refusal).await;
    }
    if let Err(error) = run(&site, channel, &app).await {
        tracing::warn!(%error, app, "a fetch broke");
    }
}

async fn run(site: &Site, channel: Channel<Msg>, app: &str) -> std::io::Result<()> {
    let repository = repository::open(&site.world, app).await?;
    repository::settle_head(&site.world, &repository).await?;
    let mut child = repository::upload_pack(&site.world, &repository).spawn()?;
    let groups = Arc::new(Groups::start("KILL"));
    let _group = child.id().map(|leader| groups.adopt(leader));
    let (mut from_client, to_client) = channel.split();
    let stdin = child.stdin.take();
    let ended = tokio::select! {
        biased;
        () = feed(&mut from_client, stdin) => return Ok(()),
        ended = output(&mut child, &to_client, Way::Open) => ended?,
    };
    let told = async {
        to_client.exit_status(ended).await?;
        to_client.eof().await?;
        to_client.close().await
    };
    told.await.map_err(std::io::Error::other)
}
