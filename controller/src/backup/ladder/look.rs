//! Everything that is looked at in a database that was just restored. The looks do not need each other, and each is work of
//! the server's: they are taken at once, in a session each.

use sqlx::{Connection as _, PgConnection};

use super::{Halt, Scratch, connect};
use crate::backup::checks::{
    CheckError, Finding, Observed, Structure, analyze, integrity, observe, structure,
};

/// So many steps of a histogram do for the plan's questions; the default costs as much time as the restore.
const COARSE: &str = "SET default_statistics_target = 10";

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
        let mut second = connect(scratch.target, scratch.application).await?;
        let counted = async {
            let observed = observe(&mut *connection, |_, _| {}).await;
            (observed, integrity(connection).await)
        };
        let (counted, statistics, inside) = tokio::join!(counted, statistics(&mut second), inside(scratch));
        second.close().await.ok();
        statistics?;
        let (observed, sound) = counted;
        Ok(Self { observed: observed?, inside: Inside { sound, structure: inside? } })
    }
}

/// For the plan's questions, which would be planned blindly without.
async fn statistics(connection: &mut PgConnection) -> Result<(), CheckError> {
    let set = sqlx::query(COARSE).execute(&mut *connection).await;
    set.map_err(|source| CheckError { doing: "choose coarse statistics", source })?;
    analyze(connection, |_, _| {}).await
}

async fn inside(scratch: &Scratch<'_>) -> Result<Result<(Structure, Vec<Finding>), CheckError>, Halt> {
    let Scratch { target, superuser, application, structure_limit, .. } = *scratch;
    let mut connection = connect(superuser.unwrap_or(target), application).await?;
    let looked = structure(&mut connection, structure_limit).await;
    connection.close().await.ok();
    Ok(looked)
}
