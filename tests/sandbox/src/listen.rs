//! The seam to the shared HTTP layer: binds a vendor's router on 127.0.0.1 and serves it until the world stops. Where the
//! crate has that layer, this file is `pub use crate::http::{Caller, Resource, serve};` and nothing else.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use crate::world::World;

/// Who asked, for the journal; put into the response's extensions. Never a secret.
#[derive(Debug, Clone)]
pub struct Caller(pub String);

/// What it was about, for the journal; put into the response's extensions.
#[derive(Debug, Clone)]
pub struct Resource(pub String);

/// Serves `router` as `service` on a free port.
pub async fn serve(
    world: &Arc<World>,
    service: &'static str,
    router: axum::Router,
) -> io::Result<SocketAddr> {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let addr = listener.local_addr()?;
    world.tasks.spawn(service, async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(service, error = %error, "listener ended");
        }
    });
    Ok(addr)
}
