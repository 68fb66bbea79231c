//! The platform: Scalingo's three HTTP APIs (auth, regional, database) over one state, driving the real things of the plane.
//!
//! It simulates what the vendor documents, with types of its own. Handlers validate and change the state at once; what takes
//! time at the vendor runs as a task of [`work`], on world time. No lock is held across an await.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::dns::Dns;
use crate::http;
use crate::plane::databases::Databases;
use crate::plane::ingress::Ingress;
use crate::plane::redis::RedisServers;
use crate::plane::runner::Runner;
use crate::world::World;

mod api;
mod attach;
mod auth;
mod catalogue;
mod dbapi;
mod disaster;
mod events;
mod inventory;
mod life;
mod one_offs;
mod platform;
mod rate;
mod reply;
mod rights;
mod rules;
mod seed;
mod session;
mod standing;
mod state;
mod stream;
mod support;
#[cfg(test)]
pub(crate) mod tests;
mod token;
mod view;
mod work;

pub use platform::Door;
pub use rate::Rate;
pub use seed::{SeedBackup, SeedError};
pub use standing::Standing;
pub use work::backup::Deflated;

use state::State;

/// The journal's name of the auth and regional APIs.
const SERVICE: &str = "scalingo";
/// The journal's name of the database API.
const DATABASE_SERVICE: &str = "database-api";
/// The one region of this world.
pub const REGION: &str = "osc-fr1";
/// The vendor's own name of its SSH server.
const SSH_NAME: &str = "ssh.osc-fr1.scalingo.com";
/// What an app's default domain ends with.
pub const DEFAULT_DOMAIN: &str = "osc-fr1.scalingo.test";

/// The real things that the platform drives.
#[derive(Debug, Clone)]
pub struct Plane {
    /// `PostgreSQL`.
    pub databases: Arc<Databases>,
    /// Redis.
    pub redis: Arc<RedisServers>,
    /// Processes.
    pub runner: Arc<Runner>,
    /// Routing and certificates.
    pub ingress: Arc<Ingress>,
    /// What the certificate issuer asks.
    pub dns: Arc<Dns>,
}

/// The platform of one sandbox.
#[derive(Debug)]
pub struct Paas {
    world: Arc<World>,
    plane: Plane,
    state: Mutex<State>,
    signer: token::Signer,
    limiter: rate::Limiter,
    calendar: work::calendar::Calendar,
    lanes: work::Lanes,
    one_offs: one_offs::OneOffs,
    /// Who follows deployments.
    streams: stream::Hub,
    /// Addresses of logs: opaque token → app's id, until when.
    log_tokens: Mutex<std::collections::HashMap<String, (String, std::time::Duration)>>,
    urls: OnceLock<Urls>,
    /// Where one-off containers are attached to.
    attach: OnceLock<SocketAddr>,
    ssh: OnceLock<SocketAddr>,
    /// Set where port 22 of [`SSH_NAME`] leads to it.
    ssh_door: OnceLock<()>,
    /// Archives of backups.
    backups: PathBuf,
    /// Uploaded sources.
    sources: PathBuf,
}

/// Where the three APIs listen, without path.
#[derive(Debug, Clone)]
pub struct Urls {
    /// `SCALINGO_AUTH_URL`.
    pub auth: String,
    /// `SCALINGO_API_URL`.
    pub api: String,
    /// `SCALINGO_DB_URL`.
    pub database: String,
}

impl Urls {
    /// The vendor's own.
    fn named() -> Self {
        Self {
            auth: "https://auth.scalingo.com".into(),
            api: format!("https://api.{REGION}.scalingo.com"),
            database: format!("https://db-api.{REGION}.scalingo.com"),
        }
    }
}

impl Paas {
    /// An empty platform that serves its three APIs; its periodic backups run from now on.
    pub async fn start(world: &Arc<World>, plane: Plane) -> std::io::Result<Arc<Self>> {
        let paas = Arc::new(Self {
            signer: token::Signer::new(&world.ids.secret(64)),
            calendar: work::calendar::Calendar::new(
                world.clock.wall(),
                world.clock.elapsed(),
                world.clock.speed(),
            ),
            world: Arc::clone(world),
            plane,
            state: Mutex::default(),
            limiter: rate::Limiter::default(),
            lanes: work::Lanes::default(),
            one_offs: one_offs::OneOffs::default(),
            streams: stream::Hub::default(),
            log_tokens: Mutex::default(),
            urls: OnceLock::new(),
            attach: OnceLock::new(),
            ssh: OnceLock::new(),
            ssh_door: OnceLock::new(),
            backups: world.folder("paas/backups")?,
            sources: world.folder("paas/sources")?,
        });
        let urls = Urls {
            auth: url(http::serve(world, SERVICE, auth::router(&paas)).await?),
            api: url(http::serve(world, SERVICE, api::router(&paas)).await?),
            database: url(http::serve(world, DATABASE_SERVICE, dbapi::router(&paas)).await?),
        };
        paas.urls.get_or_init(|| urls);
        let attach = http::serve(world, SERVICE, attach::router(&paas)).await?;
        paas.attach.get_or_init(|| attach);
        world.tasks.spawn("periodic_backups", work::backup::periodic(Arc::clone(&paas)));
        world.tasks.spawn("scheduler", work::cron::periodic(Arc::clone(&paas)));
        Ok(paas)
    }

    /// Where the APIs listen.
    pub fn urls(&self) -> Urls {
        let nowhere = || Urls { auth: String::new(), api: String::new(), database: String::new() };
        self.urls.get().cloned().unwrap_or_else(nowhere)
    }

    /// Tells the platform where its SSH server listens: it is part of the answers about regions and apps.
    pub fn announce_ssh(&self, addr: SocketAddr) {
        self.ssh.get_or_init(|| addr);
    }

    /// The world's date.
    fn today(&self) -> chrono::DateTime<chrono::Utc> {
        self.calendar.date(self.world.clock.elapsed())
    }

    /// The world's date and hour, as its schedules see them.
    fn moment(&self) -> chrono::DateTime<chrono::Utc> {
        self.calendar.moment(self.world.clock.elapsed())
    }

    /// How often one token may ask each of the APIs.
    pub fn rate(&self) -> Rate {
        *self.limiter.rate()
    }

    /// Another rate from now on.
    pub fn limit(&self, rate: Rate) {
        *self.limiter.rate() = rate;
    }

    /// Tells the platform that its SSH server is found by the vendor's name on port 22, too, wherever that name leads here.
    pub(crate) fn announce_ssh_door(&self) {
        self.ssh_door.get_or_init(|| ());
    }

    /// `host:port` of the SSH server, as it is told to somebody who came `by_name`.
    fn ssh_endpoint(&self, by_name: bool) -> String {
        if by_name && self.ssh_door.get().is_some() {
            return format!("{SSH_NAME}:22");
        }
        self.ssh.get().map_or_else(|| "127.0.0.1:22".into(), SocketAddr::to_string)
    }

    /// Where an app's code is pushed to. By name it is written as the vendor writes it: its command line finds the app by that.
    fn git_url(&self, app: &str, by_name: bool) -> String {
        if by_name && self.ssh_door.get().is_some() {
            return format!("git@{SSH_NAME}:{app}.git");
        }
        format!("ssh://git@{}/{app}.git", self.ssh_endpoint(false))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn url(addr: SocketAddr) -> String {
    format!("http://{addr}")
}
