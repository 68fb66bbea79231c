//! The throwaway database on a server that the plan names. That server is somebody's: nothing of it is touched but databases of ours.
//!
//! *Ours* is a database whose random name our records have held since before it was made, that belongs to our user, and that bears our
//! comment, or none yet where a process was killed in between. Roles belong to the whole server, and are never made. Nobody but its
//! owner may enter (and that server's superusers).
//!
//! Each database has a name of its own: a `pg_restore` that outlives its killed daemon finds no database of that name any more.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::time::Instant;

use super::door::{Door, Facts};
use super::throwaway::{Place, create, remove_file, wipe};
use super::{ProofError, folder};
use crate::backup::ladder::Locale;
use crate::recovery::tools::Tools;
use crate::runtime::chain::Chain;
use crate::store::{PlanRow, Store, StoreError, ThrowawayRow};

/// What names begin with.
const PREFIX: &str = "reprise_proof_";
/// What comments begin with.
const MARK: &str = "Throwaway database of Reprise";

/// How long one may take to be made, and to be dropped with all its files.
const MAKE: Duration = Duration::from_mins(5);
const DROP: Duration = Duration::from_mins(10);

/// What holds for all sessions in it: time-outs of the user's are for others, zones of the server's too, and what a crash takes is made
/// anew. For the user in this one database: nothing wins over it.
const SETTINGS: [(&str, &str); 8] = [
    ("timezone", "UTC"),
    ("statement_timeout", "0"),
    ("lock_timeout", "0"),
    ("idle_in_transaction_session_timeout", "0"),
    // Since 14, and since 17: one session waits while another restores.
    ("idle_session_timeout", "0"),
    ("transaction_timeout", "0"),
    ("synchronous_commit", "off"),
    ("jit", "off"),
];

/// A server that the plan names, with our work on it.
#[derive(Debug)]
pub(super) struct Named {
    door: Door,
    facts: Facts,
    store: Store,
    plan: String,
    folder: PathBuf,
    lock: File,
    /// What the names of this run's databases begin with.
    stem: String,
    made: u32,
}

impl Named {
    /// Looks whether the server will do, drops what a killed predecessor left there, and makes the folder for the dump. The caller has
    /// the turn of the plan. `restorer` is the major of the newest `pg_restore` here.
    pub(super) async fn open(
        door: Door,
        (store, plan): (&Store, &str),
        folder: &Path,
        restorer: u32,
    ) -> Result<Self, ProofError> {
        let facts = door.facts().await?;
        door.suits(&facts, restorer)?;
        wipe(folder).await?;
        let file = |source| ProofError::File { doing: "make the folder of a dump", source };
        let lock = folder::hold(folder).map_err(file)?;
        let stem = format!("{PREFIX}{:016x}_", rand::random::<u64>());
        let (store, plan, folder) = (store.clone(), plan.to_owned(), folder.to_owned());
        let named = Self { door, facts, store, plan, folder, lock, stem, made: 0 };
        named.drop_all().await?;
        Ok(named)
    }

    /// Its folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// What it is.
    pub(super) fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Host and port.
    pub(super) fn place(&self) -> &str {
        self.door.place()
    }

    /// An empty database, in the `locale` that is asked for if the server has it; the former ones are gone.
    pub(super) async fn fresh(&mut self, locale: Option<&Locale>) -> Result<Place, ProofError> {
        self.drop_all().await?;
        self.made += 1;
        let name = format!("{}{}", self.stem, self.made);
        self.store.begin_throwaway(&name, &self.plan, self.door.place()).await?;
        let mut session = self.door.connect().await?;
        let made = async {
            create(&mut session, &name, locale).await?;
            sqlx::raw_sql(AssertSqlSafe(self.mark(&name))).execute(&mut session).await?;
            settle(&mut session, &name).await
        };
        self.door.asked("make the throwaway database", MAKE, made).await?;
        session.close().await.ok();
        Ok(Place { owner: self.door.database(&name), superuser: None })
    }

    fn mark(&self, name: &str) -> String {
        let plan = self.plan.replace('\'', "''");
        format!(
            "COMMENT ON DATABASE {name} IS '{MARK}: a backup of plan {plan} is tried in it. It goes by itself'; \
             REVOKE ALL ON DATABASE {name} FROM PUBLIC"
        )
    }

    /// Drops this plan's databases on this server, of this run and of those before it.
    pub(super) async fn drop_all(&self) -> Result<(), ProofError> {
        let rows = self.store.throwaways().await?;
        for row in rows.iter().filter(|row| row.plan == self.plan && row.server == self.door.place()) {
            drop_one(&self.door, &self.store, row).await?;
        }
        Ok(())
    }

    /// Drops everything, there and here.
    pub(super) async fn end(self) -> Result<(), ProofError> {
        remove_file(&super::server::dump_in(&self.folder))?;
        let dropped = self.drop_all().await;
        drop(self.lock);
        wipe(&self.folder).await.and(dropped)
    }

    /// Who looks at the database while others work in it.
    pub(super) fn watch(&self, most: Option<u64>) -> Watch {
        Watch { door: self.door.clone(), stem: self.stem.clone(), most }
    }
}

/// That the server refuses one of them changes how long things take, and nothing else.
async fn settle(session: &mut PgConnection, name: &str) -> sqlx::Result<()> {
    for (setting, value) in SETTINGS {
        let set = format!("ALTER ROLE CURRENT_USER IN DATABASE {name} SET {setting} = '{value}'");
        match sqlx::raw_sql(AssertSqlSafe(set)).execute(&mut *session).await {
            Err(sqlx::Error::Database(error)) => {
                tracing::info!(setting, error = error.message(), "a setting is not taken");
            }
            Err(error) => return Err(error),
            Ok(_) => {}
        }
    }
    Ok(())
}

/// Drops one database that our records name, if it is still ours.
async fn drop_one(door: &Door, store: &Store, row: &ThrowawayRow) -> Result<(), ProofError> {
    let ThrowawayRow { name, plan, .. } = row;
    let mut session = door.connect().await?;
    let look = sqlx::query_as(
        "SELECT datdba = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = current_user),
           pg_catalog.shobj_description(oid, 'pg_database') FROM pg_catalog.pg_database WHERE datname = $1",
    )
    .bind(name)
    .fetch_optional(&mut session);
    let seen: Option<(bool, Option<String>)> =
        door.asked("look for a throwaway database", MAKE, look).await?;
    match seen {
        None => store.forget_absent_throwaway(name).await?,
        Some((true, comment)) if comment.as_deref().is_none_or(|comment| comment.starts_with(MARK)) => {
            door.asked("drop a throwaway database", DROP, dropped(&mut session, name)).await?;
            store.end_throwaway(name).await?;
        }
        Some(_) => tracing::error!(
            plan,
            database = name,
            server = door.place(),
            "a throwaway database belongs to another user now, or bears another comment: it may hold personal data; look, and drop it by hand"
        ),
    }
    session.close().await.ok();
    Ok(())
}

/// Ends our own sessions in a database, and drops it. Not by force: that asks for a right over every session in it, and a worker of the
/// server's own that vacuums what was just restored is nobody's to end; a plain drop tells such workers to go, and waits some seconds.
async fn dropped(session: &mut PgConnection, name: &str) -> sqlx::Result<()> {
    let statement = format!("DROP DATABASE IF EXISTS \"{name}\"");
    for tried in 1.. {
        let end = "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity
                   WHERE datname = $1 AND usename = current_user AND pid <> pg_catalog.pg_backend_pid()";
        sqlx::query(end).bind(name).execute(&mut *session).await?;
        match sqlx::query(AssertSqlSafe(statement.as_str())).execute(&mut *session).await {
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(IN_USE) && tried < DROPS => {
                tracing::debug!(database = name, tried, "somebody is in it still");
                tokio::time::sleep(LOOK).await;
            }
            dropped => return dropped.map(drop),
        }
    }
    Ok(())
}

/// `object_in_use`.
const IN_USE: &str = "55006";
/// How often a drop is tried.
const DROPS: u32 = 10;

/// Who looks at the databases of a run: how large they are, and whether the server answers at all.
pub(super) struct Watch {
    door: Door,
    stem: String,
    most: Option<u64>,
}

/// Between two looks, and how long they may all fail.
const LOOK: Duration = Duration::from_secs(2);
const SILENCE: Duration = Duration::from_mins(3);

impl Watch {
    /// Resolves with the reason when the databases have outgrown their limit, or the server has not answered for too long.
    pub(super) async fn trouble(self) -> String {
        let (mut session, mut heard) = (None, Instant::now());
        loop {
            tokio::time::sleep(LOOK).await;
            match self.size(&mut session).await {
                Ok(size) => {
                    heard = Instant::now();
                    if let Some(most) = self.most.filter(|most| size > *most) {
                        return format!(
                            "its database needs more than the {most} bytes that there are for it"
                        );
                    }
                }
                Err(error) => {
                    session = None;
                    tracing::debug!(error = %Chain(&error), "no look at the throwaway database");
                    if heard.elapsed() >= SILENCE {
                        return Chain(&error).to_string();
                    }
                }
            }
        }
    }

    async fn size(&self, session: &mut Option<PgConnection>) -> Result<u64, ProofError> {
        let open = match session {
            Some(open) => open,
            None => session.insert(self.door.connect().await?),
        };
        let sql =
            "SELECT coalesce(sum(pg_catalog.pg_database_size(oid)), 0)::bigint FROM pg_catalog.pg_database
                   WHERE starts_with(datname::text, $1)";
        let size = sqlx::query_scalar::<_, i64>(sql).bind(&self.stem).fetch_one(open);
        self.door.asked("look at the throwaway database", SILENCE, size).await.map(i64::unsigned_abs)
    }
}

/// Drops what killed predecessors left on the servers that plans name. What is in use stays, and so does what cannot be reached, which
/// is told.
pub async fn sweep_named(tools: &Tools) -> Result<(), StoreError> {
    let rows = tools.store.throwaways().await?;
    if rows.is_empty() {
        return Ok(());
    }
    let doors = doors(tools).await?;
    for row in rows {
        let Some(_turn) = tools.store.proof_turn(&row.plan).await? else { continue };
        // Two plans may come to one server as two users.
        let there = || doors.iter().filter(|(_, door)| door.place() == row.server);
        let own = there().find(|(plan, _)| *plan == row.plan).or_else(|| there().next());
        let dropped = match own {
            Some((_, door)) => {
                drop_one(door, &tools.store, &row).await.map_err(|error| Chain(&error).to_string())
            }
            None => Err("no plan names that server any more, or its address cannot be read".to_owned()),
        };
        if let Err(error) = dropped {
            tracing::error!(
                plan = row.plan,
                database = row.name,
                server = row.server,
                error,
                "what an earlier process left cannot be dropped, and may be personal data: look there, and drop it by hand"
            );
        }
    }
    Ok(())
}

/// The servers that plans name, as far as their addresses can be read, by their plans.
async fn doors(tools: &Tools) -> Result<Vec<(String, Door)>, StoreError> {
    let plans = tools.store.plans().await?;
    let door = |plan: PlanRow| {
        let spec = reprise_crds::RecoveryPlanSpec::from_json(plan.spec).ok()?;
        Some((plan.name, Door::of(tools, &spec).ok().flatten()?))
    };
    Ok(plans.into_iter().filter_map(door).collect())
}

#[cfg(test)]
mod tests;
