//! Everything that is looked at in a database that was just restored. The looks do not need each other, and each is work of
//! the server's: they are taken at once, in a session each.

use sqlx::{Connection as _, PgConnection};

use super::{Halt, Scratch, connect};
use crate::backup::checks::{CheckError, Finding, Observed, Structure, integrity, observe, structure};

/// What was seen.
pub(super) struct Look {
    /// What is there.
    pub(super) observed: Observed,
    /// Whether it is sound in itself.
    pub(super) inside: Inside,
}

/// Whether what is there is sound in itself, as far as it could be looked at.
pub(super) struct Inside {
    /// Sequences, constraints, indexes that are marked as unusable.
    pub(super) sound: Result<Vec<Finding>, CheckError>,
    /// Indexes and tables from within.
    pub(super) structure: Result<(Structure, Vec<Finding>), CheckError>,
}

impl Look {
    pub(super) async fn take(scratch: &Scratch<'_>, connection: &mut PgConnection) -> Result<Self, Halt> {
        let counted = async {
            let observed = observe(&mut *connection, |_, _| {}).await;
            (observed, integrity(connection).await)
        };
        let (counted, inside) = tokio::join!(counted, inside(scratch));
        let (observed, sound) = counted;
        Ok(Self { observed: observed?, inside: Inside { sound, structure: inside? } })
    }
}

async fn inside(scratch: &Scratch<'_>) -> Result<Result<(Structure, Vec<Finding>), CheckError>, Halt> {
    let Scratch { target, superuser, application, structure_limit, jobs, .. } = *scratch;
    let mut sessions = Vec::new();
    for _ in 0..jobs.max(1) {
        sessions.push(connect(superuser.unwrap_or(target), application).await?);
    }
    let looked = structure(&mut sessions, structure_limit).await;
    for session in sessions {
        session.close().await.ok();
    }
    Ok(looked)
}
