//! What a backup is of: how its dump is made, and what it is called.

use std::path::Path;

use crate::paas::Plane;

/// A kind of database that is backed up.
#[derive(Debug, Clone, Copy)]
pub(in crate::paas) enum Kind {
    /// By `pg_dump`.
    Postgresql,
    /// By the server itself.
    Redis,
}

impl Kind {
    /// That of a provider's addons.
    pub(super) fn of(provider: &str) -> Self {
        if provider == "redis" { Self::Redis } else { Self::Postgresql }
    }

    /// What the dump's name ends with.
    pub(super) const fn ending(self) -> &'static str {
        match self {
            Self::Postgresql => "pgsql",
            Self::Redis => "rdb",
        }
    }

    /// Dumps `resource` into `file`.
    pub(super) async fn dump(self, plane: &Plane, resource: &str, file: &Path) -> Result<(), String> {
        match self {
            Self::Postgresql => {
                let dumped = plane.databases.dump(resource, file).await;
                dumped.map(drop).map_err(|error| error.to_string())
            }
            Self::Redis => plane.redis.dump(resource, file).await.map_err(|error| error.to_string()),
        }
    }
}
