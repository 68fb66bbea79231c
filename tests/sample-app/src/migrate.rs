//! The `postdeploy` command: it leaves a mark in the database, once for each application and revision.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection, PgPool, Row as _};

use crate::error::AppError;
use crate::settings::Settings;

/// Several applications share the database, and their hooks may run at once: `CREATE … IF NOT EXISTS` alone would race.
const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtext('reprise_migrations'))";
const TABLE: &str = "CREATE TABLE IF NOT EXISTS reprise_migrations (
    app text NOT NULL,
    revision text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (app, revision)
)";
const MARK: &str = "INSERT INTO reprise_migrations (app, revision) VALUES ($1, $2) ON CONFLICT DO NOTHING";

/// Marks this revision as migrated. Safe to repeat.
pub(crate) async fn run(settings: &Settings) -> Result<(), AppError> {
    let doing = "migrating";
    let mut connection =
        PgConnection::connect_with(&settings.database).await.map_err(AppError::database(doing))?;
    let mut transaction = connection.begin().await.map_err(AppError::database(doing))?;
    for statement in [LOCK, TABLE] {
        sqlx::query(statement).execute(&mut *transaction).await.map_err(AppError::database(doing))?;
    }
    let revision = settings.revision.as_deref().unwrap_or("unknown");
    let mark = sqlx::query(MARK).bind(&settings.app).bind(revision);
    mark.execute(&mut *transaction).await.map_err(AppError::database(doing))?;
    transaction.commit().await.map_err(AppError::database(doing))
}

/// What was migrated, oldest first; nothing if there never was a migration.
pub(crate) async fn list(pool: &PgPool) -> Result<Value, AppError> {
    let doing = "listing migrations";
    let known = sqlx::query_scalar::<_, bool>("SELECT to_regclass('reprise_migrations') IS NOT NULL");
    if !known.fetch_one(pool).await.map_err(AppError::database(doing))? {
        return Ok(json!([]));
    }
    let rows = sqlx::query("SELECT app, revision, at FROM reprise_migrations ORDER BY at, app, revision");
    let rows = rows.fetch_all(pool).await.map_err(AppError::database(doing))?;
    let entry = |row: &sqlx::postgres::PgRow| -> Result<Value, sqlx::Error> {
        let at: DateTime<Utc> = row.try_get("at")?;
        let (app, revision): (String, String) = (row.try_get("app")?, row.try_get("revision")?);
        Ok(json!({"app": app, "revision": revision, "at": at.to_rfc3339()}))
    };
    rows.iter().map(entry).collect::<Result<_, _>>().map(Value::Array).map_err(AppError::database(doing))
}
