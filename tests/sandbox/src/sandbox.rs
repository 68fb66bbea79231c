//! The whole world, wired: the only file that knows every part.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::alwaysdata::Alwaysdata;
use crate::dns::Dns;
use crate::doors::{Behind, Doors, Standard};
use crate::estate::{self, Estate, EstateError};
use crate::github::{Github, Permission};
use crate::paas::{Door, Paas, Plane};
use crate::plane::authority::Authority;
use crate::plane::databases::Databases;
use crate::plane::ingress::Ingress;
use crate::plane::redis::RedisServers;
use crate::plane::runner::Runner;
use crate::plane::ssh::SshServer;
use crate::s3::{Durability, Key, S3, S3Config};
use crate::seed::Size;
pub use crate::seed::cache::Cache;
use crate::world::World;
use crate::{control, doors, exec};

mod environment;
mod folder;
pub(crate) mod life;

pub use environment::Secrets;
pub(crate) use environment::secrets;
pub(crate) use folder::control_of;

/// World time that an object of class GLACIER takes to thaw.
const THAW: Duration = Duration::from_mins(10);
/// How long stopping may take.
const GRACE: Duration = Duration::from_secs(10);

/// How a sandbox is started.
#[derive(Debug, Clone)]
pub struct Options {
    /// All state is below this folder, which must be empty or a former sandbox's.
    pub dir: PathBuf,
    /// How many times faster than the wall durations pass.
    pub speed: f64,
    /// What identifiers and content are drawn from.
    pub seed: u64,
    /// How much content the estate has.
    pub size: Size,
    /// A custom-format dump that becomes the estate's database, instead of the generated one.
    pub dump: Option<PathBuf>,
    /// A folder whose files become the estate's documents, instead of generated ones.
    pub bucket: Option<PathBuf>,
    /// Where what is dear to make is kept between lives.
    pub cache: Cache,
    /// How carefully the object stores write; relaxed, they are also not throttled.
    pub durability: Durability,
}

/// Why a sandbox could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The folder is somebody else's.
    #[error("{0} is not empty and was not made by a sandbox: it would be overwritten")]
    Occupied(PathBuf),
    /// A world is up there.
    #[error("a world is running in {0}: stop it first, or choose another folder")]
    Running(PathBuf),
    /// A part did not start.
    #[error("could not start {part}")]
    Part {
        /// Which one.
        part: &'static str,
        /// What it said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The estate was not made.
    #[error("could not furnish the world")]
    Estate(#[source] EstateError),
}

/// Wraps a part's own error.
fn part<E: Into<Box<dyn std::error::Error + Send + Sync>>>(
    part: &'static str,
) -> impl FnOnce(E) -> SandboxError {
    move |source| SandboxError::Part { part, source: source.into() }
}

/// Everything that runs.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) world: Arc<World>,
    pub(crate) paas: Arc<Paas>,
    pub(crate) plane: Plane,
    pub(crate) authority: Arc<Authority>,
    pub(crate) ssh: SshServer,
    pub(crate) alwaysdata: Arc<Alwaysdata>,
    pub(crate) github: Arc<Github>,
    pub(crate) source: Arc<S3>,
    pub(crate) archive: Arc<S3>,
    pub(crate) secrets: Secrets,
    pub(crate) estate: std::sync::OnceLock<Estate>,
    pub(crate) life: std::sync::OnceLock<life::Life>,
}

/// A running world.
#[derive(Debug)]
pub struct Sandbox {
    parts: Arc<Parts>,
    env: Vec<(String, String)>,
    _claim: std::fs::File,
}

impl Sandbox {
    /// Starts every part and furnishes the estate; it serves when this returns.
    pub async fn start(options: Options) -> Result<Self, SandboxError> {
        let claim = folder::claim(&options.dir)?;
        let world = World::new(&options.dir, options.speed, options.seed).map_err(part("the world"))?;
        let parts = Arc::new(Parts::start(&world, options.durability).await?);
        let control = control::serve(&world, &parts).await.map_err(part("the control api"))?;
        let blank = life::Life::new(&parts, &options).map_err(part("the world"))?;
        parts.life.get_or_init(|| blank);
        let estate = Box::pin(estate::furnish(&parts, &options)).await.map_err(SandboxError::Estate)?;
        parts.estate.get_or_init(|| estate);
        parts.world.journal.look_for(secrets(&parts));
        parts.world.journal.begin(parts.inventory());
        let env = environment::variables(&parts, control);
        folder::announce(&options.dir, control).map_err(part("the folder"))?;
        Ok(Self { parts, env, _claim: claim })
    }

    /// The variables that tell a client where everything is, in a stable order.
    pub fn env(&self) -> Vec<(String, String)> {
        self.env.clone()
    }

    /// The world itself, for tests in the same process.
    pub fn world(&self) -> &Arc<World> {
        &self.parts.world
    }

    /// The platform, for tests in the same process.
    pub fn paas(&self) -> &Arc<Paas> {
        &self.parts.paas
    }

    /// What there is, by kind, sorted and stable.
    pub fn inventory(&self) -> Value {
        self.parts.inventory()
    }

    /// What is wrong with what was done since the estate was made.
    pub fn findings(&self) -> Vec<crate::world::evidence::Finding> {
        self.parts.findings()
    }

    /// Stops everything and removes what was made below the folder. `false` if some task did not stop in time.
    pub async fn shut_down(self) -> bool {
        let dir = self.parts.world.dir().to_owned();
        let stopped = self.parts.world.tasks.shut_down(GRACE).await;
        self.parts.paas.stop_all().await;
        self.parts.plane.databases.shut_down().await;
        drop(self.parts);
        folder::clear(&dir);
        stopped
    }
}

impl Parts {
    async fn start(world: &Arc<World>, durability: Durability) -> Result<Self, SandboxError> {
        let ca = world.folder(exec::CA_FOLDER).map_err(part("the authority"))?;
        let authority = Authority::new(&ca).map_err(part("the authority"))?;
        let databases = Databases::start(world).await.map_err(part("the databases"))?;
        let (redis, runner) = (RedisServers::start(world), Runner::start(world));
        databases.admit(&runner);
        let ingress =
            Ingress::start(world, &runner, Arc::clone(&authority)).await.map_err(part("the ingress"))?;
        let standard = Standard::claim().await;
        let front = standard.as_ref().map_or(Ipv4Addr::LOCALHOST, Standard::address);
        world.names.use_front(front);
        let places = doors::places(standard.as_ref());
        let dns = Dns::start(world, estate::ZONE, places).await.map_err(part("the name servers"))?;
        exec::use_resolver(world.dir(), dns.resolver(), front).map_err(part("the resolver's file"))?;
        exec::guests::receive(world).map_err(part("the socket for guests"))?;
        let plane = Plane { databases, redis, runner, ingress, dns };
        let paas = Paas::start(world, plane.clone()).await.map_err(part("the platform"))?;
        let door = Arc::new(Door(Arc::clone(&paas)));
        let ssh = SshServer::start(world, door, &plane.databases, &plane.redis)
            .await
            .map_err(part("the ssh server"))?;
        paas.announce_ssh(ssh.addr());
        let secrets = Secrets::draw(&world.ids);
        let account = estate::ALWAYSDATA_ACCOUNT;
        let alwaysdata = Alwaysdata::start(world, &plane.dns, account, &secrets.alwaysdata).await;
        let github = Github::start(world, estate::REPOSITORY, &secrets.github).await;
        let github = github.map_err(part("the code host"))?;
        github.add_token(&secrets.github_reader, "reprise-reader", Permission::Read);
        github.add_token(&secrets.github_stranger, "stranger", Permission::None);
        let parts = Self {
            alwaysdata: alwaysdata.map_err(part("the dns provider"))?,
            github,
            source: store(world, "s3-source", &secrets.source, durability).await?,
            archive: store(world, "s3-archive", &secrets.archive, durability).await?,
            world: Arc::clone(world),
            paas,
            plane,
            authority,
            ssh,
            secrets,
            estate: std::sync::OnceLock::new(),
            life: std::sync::OnceLock::new(),
        };
        parts.open_doors(standard).await?;
        Ok(parts)
    }

    /// The vendors' host names and the ports that clients expect.
    async fn open_doors(&self, standard: Option<Standard>) -> Result<(), SandboxError> {
        let ingress = &self.plane.ingress;
        if standard.as_ref().is_none_or(Standard::has_ssh) {
            self.paas.announce_ssh_door();
        }
        let behind = Behind {
            authority: &self.authority,
            dns: &self.plane.dns,
            ssh: self.ssh.addr(),
            stores: [Arc::clone(&self.source), Arc::clone(&self.archive)],
            services: environment::hosts(self),
            ingress: doors::Ingress { http: ingress.http(), https: ingress.https() },
        };
        Doors::open(&self.world, standard, behind).await.map(drop).map_err(part("the doors"))
    }

    /// What there is, by kind, sorted and stable: two inventories can be compared as text.
    pub(crate) fn inventory(&self) -> Value {
        let mut all = self.paas.inventory();
        all["buckets"] = json!({"source": self.source.inventory(), "archive": self.archive.inventory()});
        all["dns_records"] = self.alwaysdata.inventory();
        all["workflow_runs"] = self.github.inventory();
        all
    }
}

async fn store(
    world: &Arc<World>,
    name: &'static str,
    pair: &(String, String),
    durability: Durability,
) -> Result<Arc<S3>, SandboxError> {
    let dir: PathBuf = world.folder(name).map_err(part(name))?;
    let keys = Key::set(pair.clone()).to_vec();
    let config = S3Config { name, region: estate::S3_REGION.into(), keys, thaw: THAW };
    S3::start_with(world, Path::new(&dir), config, durability).await.map_err(part(name))
}
