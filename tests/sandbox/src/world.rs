//! What every part of the sandbox shares: one clock, one journal, one set of faults, identifiers, names and tasks.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

pub mod clock;
pub mod evidence;
pub mod faults;
pub mod gate;
pub mod guests;
pub mod ids;
pub mod journal;
pub mod limits;
pub mod names;
pub mod tasks;

pub use clock::Clock;
pub use faults::{Fault, Faults};
pub use gate::Gate;
pub use guests::Guests;
pub use ids::Ids;
pub use journal::{Entry, Journal};
pub use limits::Limits;
pub use names::Names;
pub use tasks::Tasks;

/// The shared ground of one sandbox. Cheap to clone by `Arc`; lives until [`Tasks::shut_down`].
#[derive(Debug)]
pub struct World {
    dir: PathBuf,
    /// Scaled durations: provisioning, TTL, retention, rate windows.
    pub clock: Clock,
    /// Every request that changed something, in order.
    pub journal: Journal,
    /// What goes wrong on purpose.
    pub faults: Faults,
    /// Identifiers in the vendors' shapes, reproducible by seed.
    pub ids: Ids,
    /// Host names of this world, kept in a hosts file for the namespaces of its programs.
    pub names: Names,
    /// Every task of the sandbox.
    pub tasks: Tasks,
    /// Whether the services answer.
    pub gate: Gate,
    /// Programs that were brought into the world.
    pub guests: Guests,
    limits: Mutex<Limits>,
}

impl World {
    /// A world whose whole state lives under `dir`, whose durations are divided by `speed`.
    pub fn new(dir: &Path, speed: f64, seed: u64) -> std::io::Result<Arc<Self>> {
        std::fs::create_dir_all(dir)?;
        let dir = dir.canonicalize()?;
        let names = Names::new(dir.join("hosts"))?;
        Ok(Arc::new(Self {
            clock: Clock::new(speed),
            journal: Journal::open(&dir.join(journal::FILE))?,
            faults: Faults::new(seed),
            ids: Ids::new(seed),
            names,
            tasks: Tasks::default(),
            gate: Gate::default(),
            guests: Guests::default(),
            limits: Mutex::default(),
            dir,
        }))
    }

    /// The folder `name` of this world, made if it is not there.
    pub fn folder(&self, name: &str) -> std::io::Result<PathBuf> {
        let folder = self.dir.join(name);
        std::fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// How long real programs may take.
    pub fn limits(&self) -> Limits {
        *self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Other limits from now on: for tests that cannot wait for the vendor's.
    pub fn limit(&self, limits: Limits) {
        *self.limits.lock().unwrap_or_else(PoisonError::into_inner) = limits;
    }

    /// The root of all state.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}
