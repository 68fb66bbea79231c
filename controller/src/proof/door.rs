//! The server that a plan names, before anything is made there: whether it answers, what it is, and what its user may do.

use std::time::Duration;

use reprise_crds::RecoveryPlanSpec;
use sqlx::{ConnectOptions as _, Connection as _, PgConnection};

use super::ProofError;
use super::address::Address;
use super::throwaway::OLDEST;
use crate::backup::restore::Target;
use crate::providers::authorities;
use crate::recovery::error::StepError;
use crate::recovery::tools::Tools;

/// How long the server may take to answer.
const ANSWER: Duration = Duration::from_mins(1);

/// The server that a plan names.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    address: Address,
    /// Host and port.
    at: String,
}

/// What the server says of itself, and of the user that we are there.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct Facts {
    /// Its version, such as `16.3`.
    pub version: String,
    major: i32,
    /// It follows another server, and takes nothing itself.
    standby: bool,
    user: String,
    createdb: bool,
    /// Roles that the user may act as, and that may do everything, or reach the server's own files and programs.
    powers: Vec<String>,
    /// The user may change other users.
    createrole: bool,
    /// Databases that the user may change, and that are not throwaway ones.
    owns: Vec<String>,
}

const FACTS: &str = "SELECT split_part(current_setting('server_version'), ' ', 1) AS version,
      current_setting('server_version_num')::int / 10000 AS major, pg_is_in_recovery() AS standby, me.rolname::text AS user,
      me.rolcreatedb AS createdb, me.rolcreaterole AS createrole,
      ARRAY(SELECT r.rolname::text FROM pg_catalog.pg_roles r WHERE pg_has_role(r.oid, 'MEMBER') AND (r.rolsuper OR r.rolname IN
        ('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files')
        -- Until 16 who may make roles may grant himself any of those.
        OR (r.rolcreaterole AND current_setting('server_version_num')::int < 160000)) ORDER BY 1) AS powers,
      ARRAY(SELECT d.datname::text FROM pg_catalog.pg_database d WHERE pg_has_role(d.datdba, 'MEMBER')
        AND d.datname !~ '^reprise_proof_' ORDER BY 1) AS owns
    FROM pg_catalog.pg_roles me WHERE me.rolname = current_user";

impl Door {
    /// That of a plan; `None` if it names none.
    pub(crate) fn of(tools: &Tools, spec: &RecoveryPlanSpec) -> Result<Option<Self>, ProofError> {
        let Some(server) = &spec.proof.server else { return Ok(None) };
        let text =
            tools.references.secret(server.reference()).map_err(StepError::reference("proof.server"))?;
        let extra = tools.http.extra_ca_pem.as_deref().unwrap_or_default();
        let address =
            Address::read(&text, || authorities::with_systems(extra)).map_err(ProofError::Address)?;
        Ok(Some(Self { at: address.place(), address }))
    }

    #[cfg(test)]
    pub(super) fn at_address(address: Address) -> Self {
        Self { at: address.place(), address }
    }

    /// Host and port.
    pub(crate) fn place(&self) -> &str {
        &self.at
    }

    /// A database of that server.
    pub(super) fn database(&self, name: &str) -> Target {
        self.address.database(name)
    }

    /// A session where databases are asked for.
    pub(super) async fn connect(&self) -> Result<PgConnection, ProofError> {
        let options = self.address.lobby().options("reprise-proof");
        let mut session = self.asked("open a session", ANSWER, options.connect()).await?;
        // Time-outs of the user's are for others: to make and to drop a database takes its time.
        let patient = sqlx::raw_sql("SET statement_timeout = 0; SET lock_timeout = 0").execute(&mut session);
        self.asked("open a session", ANSWER, patient).await?;
        Ok(session)
    }

    /// What `asking` comes to, which may take so long.
    pub(super) async fn asked<T>(
        &self,
        doing: &'static str,
        limit: Duration,
        asking: impl Future<Output = sqlx::Result<T>>,
    ) -> Result<T, ProofError> {
        let answer = tokio::time::timeout(limit, asking).await;
        let silent = |_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()));
        answer.unwrap_or_else(silent).map_err(|source| ProofError::Named {
            at: self.at.clone(),
            doing,
            source,
        })
    }

    /// Looks at the server. Only reads.
    pub(crate) async fn facts(&self) -> Result<Facts, ProofError> {
        let mut session = self.connect().await?;
        let facts = sqlx::query_as(FACTS).fetch_one(&mut session);
        let facts = self.asked("ask what it is", ANSWER, facts).await;
        session.close().await.ok();
        facts
    }

    /// Sees to it that the server will do. `restorer` is the major of the newest `pg_restore` here.
    pub(super) fn suits(&self, facts: &Facts, restorer: u32) -> Result<(), ProofError> {
        let unsuited = |why| ProofError::Unsuited { at: self.at.clone(), why };
        facts.obstacle(restorer).map_or(Ok(()), |why| Err(unsuited(why)))
    }
}

impl Facts {
    /// Of a server and a user as they should be.
    #[cfg(test)]
    pub(crate) fn ordinary(major: i32) -> Self {
        Self {
            version: format!("{major}.8"),
            major,
            standby: false,
            user: "prover".into(),
            createdb: true,
            powers: vec![],
            createrole: false,
            owns: vec![],
        }
    }

    /// The major of its version.
    pub(crate) fn major(&self) -> u32 {
        self.major.unsigned_abs()
    }

    /// Why it will not do, and what to do.
    pub(crate) fn obstacle(&self, restorer: u32) -> Option<String> {
        let Self { user, powers, .. } = self;
        let major = self.major();
        if major < OLDEST {
            return Some(format!("it is PostgreSQL {major}, and {OLDEST} is the oldest that will do"));
        }
        if restorer < major {
            return Some(format!(
                "it is PostgreSQL {major}, and the newest pg_restore here is of {restorer}: install postgresql-client-{major}"
            ));
        }
        if self.standby {
            return Some(
                "it follows another server, and takes no database: name the one that it follows".into(),
            );
        }
        if !powers.is_empty() {
            let powers = powers.join(", ");
            return Some(format!(
                "its user {user} may do too much (as {powers}), and a dump is somebody else's program, which runs as him: \
                 name one who may do nothing but CREATEDB"
            ));
        }
        (!self.createdb).then(|| format!("its user {user} may make no database: ALTER ROLE {user} CREATEDB"))
    }

    /// What would be better otherwise: what a dump's program could do there, as this user.
    pub(crate) fn risk(&self) -> Option<String> {
        let user = &self.user;
        let roles = self.createrole.then(|| "may change other roles (CREATEROLE)".to_owned());
        let owns = (!self.owns.is_empty()).then(|| format!("owns {}", self.owns.join(", ")));
        let told: Vec<String> = roles.into_iter().chain(owns).collect();
        (!told.is_empty()).then(|| {
            format!(
                "{user} {}: a dump's functions run as him; a user who owns nothing is better",
                told.join(" and ")
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts::ordinary(15)
    }

    #[test]
    fn a_server_that_will_not_do_is_told_with_what_to_do() {
        assert_eq!((facts().obstacle(15), facts().obstacle(18), facts().risk()), (None, None, None));
        for (facts, told) in [
            (Facts { major: 12, ..facts() }, "13 is the oldest"),
            (Facts { major: 17, ..facts() }, "install postgresql-client-17"),
            (Facts { standby: true, ..facts() }, "name the one that it follows"),
            (Facts { powers: vec!["postgres".into()], ..facts() }, "prover may do too much (as postgres)"),
            (Facts { createdb: false, ..facts() }, "ALTER ROLE prover CREATEDB"),
        ] {
            let said = facts.obstacle(15).unwrap_or_default();
            assert!(said.contains(told), "{said}");
        }
    }

    #[test]
    fn a_user_who_owns_more_than_throwaway_databases_is_a_risk() {
        let risk =
            Facts { createrole: true, owns: vec!["shop".into()], ..facts() }.risk().unwrap_or_default();
        assert!(risk.contains("CREATEROLE") && risk.contains("owns shop"), "{risk}");
    }
}
