//! One connection: who it is, and what its channels are for.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use russh::keys::{HashAlg, PublicKey};
use russh::server::{
    Auth, ChannelOpenHandle, Handle, Handler, Msg, PublicKeyOffer, Session as Wire, VerifiedPublicKey,
};
use russh::{Channel, ChannelId, ChannelOpenFailure};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::git::Request;
use super::line::Scissors;
use super::{Site, Who, fetch, git, push, tunnel};
use crate::world::Fault;

/// The only login name, as at the vendor's.
const LOGIN: &str = "git";
/// How long a session channel may say nothing. The vendor's command line opens one to log in by key, which is not offered here, and
/// asks for a password or a token only when it is closed.
const PATIENCE: Duration = Duration::from_secs(2);

/// One connection's state.
#[derive(Debug)]
pub(super) struct Session {
    site: Arc<Site>,
    scissors: Scissors,
    /// The user whose key was proven.
    user: Option<String>,
    /// The fingerprint of that key.
    key: String,
    /// Session channels that have not said yet what they are for.
    idle: HashMap<ChannelId, Idle>,
}

/// A channel that is closed unless it is taken out in time.
#[derive(Debug)]
struct Idle {
    channel: Channel<Msg>,
    _taken: DropGuard,
}

impl Session {
    /// A connection that `scissors` can cut.
    pub(super) fn new(site: Arc<Site>, scissors: Scissors) -> Self {
        Self { site, scissors, user: None, key: String::new(), idle: HashMap::new() }
    }

    /// Who the other side is.
    fn who(&self, wire: &Wire) -> Who {
        let client = String::from_utf8_lossy(wire.remote_sshid()).chars().take(256).collect();
        Who { user: self.user.clone().unwrap_or_default(), key: self.key.clone(), client }
    }

    /// Ends the whole connection, as a line that breaks.
    fn cut(&self, fault: Option<&Fault>) {
        if matches!(fault, Some(Fault::Reset { .. })) { self.scissors.reset() } else { self.scissors.cut() }
    }

    fn owner_of(&self, login: &str, key: &PublicKey) -> Option<String> {
        if login != LOGIN {
            return None;
        }
        let mut key = key.clone();
        key.set_comment("");
        self.site.platform.user_of_key(key.to_openssh().ok()?.trim())
    }
}

/// Closes a channel that is not taken within [`PATIENCE`].
async fn close_later(handle: Handle, id: ChannelId, taken: CancellationToken) {
    if tokio::time::timeout(PATIENCE, taken.cancelled()).await.is_err() && handle.close(id).await.is_err() {
        tracing::debug!("the connection of a silent channel is gone");
    }
}

impl Handler for Session {
    type Error = russh::Error;

    async fn auth_publickey_offered(
        &mut self,
        login: &str,
        key: PublicKeyOffer<'_>,
    ) -> Result<Auth, Self::Error> {
        Ok(if self.owner_of(login, key.public_key).is_some() { Auth::Accept } else { Auth::reject() })
    }

    async fn auth_publickey(&mut self, login: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        self.user = self.owner_of(login, key.public_key);
        self.key = key.public_key.fingerprint(HashAlg::Sha256).to_string();
        Ok(if self.user.is_some() { Auth::Accept } else { Auth::reject() })
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        wire: &mut Wire,
    ) -> Result<(), Self::Error> {
        let (id, taken) = (channel.id(), CancellationToken::new());
        let close = close_later(wire.handle(), id, taken.clone());
        self.idle.insert(id, Idle { channel, _taken: taken.drop_guard() });
        reply.accept().await;
        self.site.world.tasks.spawn("ssh idle", close);
        Ok(())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host: &str,
        port: u32,
        _originator: &str,
        _originator_port: u32,
        reply: ChannelOpenHandle,
        wire: &mut Wire,
    ) -> Result<(), Self::Error> {
        let (who, to) = (self.who(wire), format!("{host}:{port}"));
        let found = tunnel::find(&self.site, host, port);
        let asked = tunnel::Asked { to, channel: channel.id().into(), resource: None };
        let Some((resource, destination)) = found else {
            tunnel::record(&self.site, &who, &asked, (false, None));
            reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await;
            return Ok(());
        };
        let asked = tunnel::Asked { resource: Some(resource), ..asked };
        let fault = self.site.world.faults.take("ssh", tunnel::VERB, &asked.to);
        let record = |opened| tunnel::record(&self.site, &who, &asked, (opened, fault.as_ref()));
        match &fault {
            Some(Fault::Latency { ms }) => tokio::time::sleep(Duration::from_millis(*ms)).await,
            Some(Fault::Reject { .. }) => {
                record(false);
                reply.reject(ChannelOpenFailure::ConnectFailed).await;
                return Ok(());
            }
            Some(Fault::DropBefore | Fault::Reset { .. }) => {
                record(false);
                self.cut(fault.as_ref());
                // Ends the session before the question, which is let go here, is answered.
                return Err(russh::Error::Disconnect);
            }
            _ => {}
        }
        match tunnel::connect(destination).await {
            Ok(far) => {
                record(true);
                reply.accept().await;
                let relay = tunnel::relay(channel, far, fault, self.scissors.clone());
                self.site.world.tasks.spawn("ssh tunnel", relay);
            }
            Err(error) => {
                tracing::warn!(%error, host, "a tunnel's destination does not answer");
                reply.reject(ChannelOpenFailure::ConnectFailed).await;
            }
        }
        Ok(())
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        command: &[u8],
        wire: &mut Wire,
    ) -> Result<(), Self::Error> {
        let (Some(Idle { channel, .. }), Some(user)) = (self.idle.remove(&id), self.user.clone()) else {
            return wire.channel_failure(id);
        };
        let who = self.who(wire);
        wire.channel_success(id)?;
        let (site, handle) = (Arc::clone(&self.site), wire.handle());
        match git::parse(command) {
            Ok(Request::Push(app)) => {
                let line = push::Ends { handle, scissors: self.scissors.clone() };
                self.site.world.tasks.spawn("git push", push::serve(site, line, channel, who, app));
            }
            Ok(Request::Fetch(app)) => {
                self.site.world.tasks.spawn("git fetch", fetch::serve(site, channel, user, app));
            }
            Err(refusal) => self.site.world.tasks.spawn("ssh refusal", push::refuse(channel, refusal)),
        }
        Ok(())
    }

    async fn shell_request(&mut self, id: ChannelId, wire: &mut Wire) -> Result<(), Self::Error> {
        if let Some(Idle { channel, .. }) = self.idle.remove(&id) {
            wire.channel_success(id)?;
            let refusal = "There is no shell here: this is for git push and tunnels.".to_owned();
            self.site.world.tasks.spawn("ssh refusal", push::refuse(channel, refusal));
            return Ok(());
        }
        wire.channel_failure(id)
    }
}
