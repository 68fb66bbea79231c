//! Whether the code is as new as the database: a migration that was applied and that the code does not have was made by newer
//! code, and the older code would run on a schema that it does not know. For Django; deciding is pure.
//!
//! Django numbers its migrations (`0007_name`) and keeps those that were applied in `django_migrations`. Older rows may well
//! have no file any more: migrations are squashed and thrown away. So what counts is the newest: a row that the code lacks
//! and whose number is not below the code's newest. Apps of packages are not in the tree, and are told as not judged.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, PgConnection};

use super::{CheckError, USER_SCHEMA, failed, forget_search_path};

/// A report names so many.
const NAMED: usize = 5;

/// The migrations of one Django app, by their names without `.py`.
type Names = BTreeSet<String>;

/// The migrations in the code of one app of the plan.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeLevel {
    /// The app of the plan.
    pub app: String,
    /// By the label of the Django app: the folder that holds its `migrations`.
    pub labels: BTreeMap<String, BTreeSet<String>>,
    /// The commit, where it is not the code of now but what the archive keeps.
    pub kept: Option<String>,
}

impl CodeLevel {
    /// From the paths of a tree.
    pub fn of_tree<'a>(app: &str, paths: impl IntoIterator<Item = &'a str>) -> Self {
        let mut labels: BTreeMap<String, Names> = BTreeMap::new();
        for (label, name) in paths.into_iter().filter_map(migration) {
            labels.entry(label.to_owned()).or_default().insert(name.to_owned());
        }
        Self { app: app.to_owned(), labels, kept: None }
    }
}

/// `…/LABEL/migrations/NNNN_NAME.py`.
fn migration(path: &str) -> Option<(&str, &str)> {
    let mut parts = path.rsplit('/');
    let name = parts.next()?.strip_suffix(".py").filter(|name| number(name).is_some())?;
    (parts.next()? == "migrations").then_some(())?;
    Some((parts.next()?, name))
}

fn number(name: &str) -> Option<u64> {
    name.split('_').next()?.parse().ok()
}

/// The number up to which a migration stands for others: its own, or, as `0001_squashed_0040_name`, the second one.
fn reaches(name: &str) -> Option<u64> {
    let squashed = name.split_once("_squashed_").and_then(|(_, last)| number(last));
    squashed.max(number(name))
}

/// A migration that was applied to the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The label of the Django app.
    pub label: String,
    /// The migration.
    pub name: String,
}

/// What is known of the code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Code {
    /// Its migrations.
    Known(Vec<CodeLevel>),
    /// It is not at hand, for this reason.
    Unknown(String),
}

/// A migration that the code does not have, and does not have because it is older.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Ahead {
    /// The app of the plan whose code it is.
    pub app: String,
    /// The label of the Django app.
    pub label: String,
    /// The migration that was applied.
    pub migration: String,
    /// The newest one of the code.
    pub newest: String,
}

impl fmt::Display for Ahead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { app, label, migration, newest } = self;
        write!(f, "{label} {migration} was applied, and the code of {app} ends at {newest}")
    }
}

/// What holding the one against the other found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MigrationLevel {
    /// The database has no `django_migrations`.
    NotDjango,
    /// The code is not at hand, for this reason.
    NotCompared(String),
    /// They were compared.
    Compared {
        /// Applied migrations of Django apps that the code holds.
        judged: u64,
        /// Those that the code is too old for.
        ahead: Vec<Ahead>,
        /// Older ones that the code does not have: squashed, or another branch's.
        unknown: Vec<String>,
        /// Django apps of which the code holds nothing: packages, or apps that are gone.
        foreign: Vec<String>,
        /// Apps of the plan whose code is what the archive keeps, each with its commit.
        kept: BTreeMap<String, String>,
    },
}

impl MigrationLevel {
    /// What the code of now is too old for. What the archive keeps may merely be older than that.
    pub fn ahead(&self) -> Vec<Ahead> {
        match self {
            Self::Compared { ahead, kept, .. } => {
                ahead.iter().filter(|one| !kept.contains_key(&one.app)).cloned().collect()
            }
            _ => Vec::new(),
        }
    }
}

impl fmt::Display for MigrationLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotDjango => f.write_str("migrations: not applicable, there is no table django_migrations"),
            Self::NotCompared(why) => write!(f, "migrations were not held against the code: {why}"),
            Self::Compared { judged, ahead, unknown, foreign, kept } => {
                match ahead.len() {
                    0 => write!(f, "migrations: the code is as new as the {judged} applied of its own"),
                    _ => write!(f, "the database is ahead of the code: {}", some(ahead)),
                }?;
                if !unknown.is_empty() {
                    write!(f, "; not in the code, and not newer than it: {}", some(unknown))?;
                }
                if !foreign.is_empty() {
                    write!(f, "; not of this code: {}", some(foreign))?;
                }
                let kept: Vec<_> = kept.iter().map(|(app, commit)| format!("{app} at {commit}")).collect();
                if kept.is_empty() {
                    Ok(())
                } else {
                    write!(f, "; the code is what the archive keeps: {}", some(&kept))
                }
            }
        }
    }
}

/// The first few, and how many more.
pub(crate) fn some<T: ToString>(all: &[T]) -> String {
    let named = all.iter().take(NAMED).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match all.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

/// Holds what was applied against the code.
pub fn compare_migrations(applied: Option<&[Applied]>, code: &Code) -> MigrationLevel {
    let Some(applied) = applied else { return MigrationLevel::NotDjango };
    let levels = match code {
        Code::Known(levels) => levels,
        Code::Unknown(why) => return MigrationLevel::NotCompared(why.clone()),
    };
    let (mut judged, mut ahead, mut unknown, mut foreign) = (0, Vec::new(), Vec::new(), BTreeSet::new());
    for one in applied {
        let holding: Vec<(&CodeLevel, &Names)> =
            levels.iter().filter_map(|level| Some((level, level.labels.get(&one.label)?))).collect();
        if holding.is_empty() {
            foreign.insert(one.label.clone());
            continue;
        }
        judged += 1;
        for (level, names) in holding.into_iter().filter(|(_, names)| !names.contains(&one.name)) {
            match newer(&one.name, names) {
                Some(newest) => ahead.push(Ahead {
                    app: level.app.clone(),
                    label: one.label.clone(),
                    migration: one.name.clone(),
                    newest: newest.to_owned(),
                }),
                None => unknown.push(format!("{} {}", one.label, one.name)),
            }
        }
    }
    unknown.dedup();
    let kept = levels.iter().filter_map(|level| Some((level.app.clone(), level.kept.clone()?)));
    MigrationLevel::Compared {
        judged,
        ahead,
        unknown,
        foreign: foreign.into_iter().collect(),
        kept: kept.collect(),
    }
}

/// The newest of the code, if `name` is not older than it.
fn newer<'a>(name: &str, code: &'a Names) -> Option<&'a str> {
    let squashed = code.iter().filter(|one| reaches(one) != number(one)).filter_map(|one| reaches(one)).max();
    let newest = code.iter().max_by_key(|one| (number(one), one.as_str()))?;
    let applied = number(name)?;
    (Some(applied) > squashed && Some(applied) >= number(newest)).then_some(newest)
}

/// The migrations that were applied; `None` in a database that Django does not keep.
pub async fn applied_migrations(conn: &mut PgConnection) -> Result<Option<Vec<Applied>>, CheckError> {
    let doing = "read the applied migrations";
    forget_search_path(conn).await?;
    let tables = format!(
        "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_catalog.pg_class c
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relname = 'django_migrations' AND c.relkind = 'r' AND {USER_SCHEMA}
           AND 2 = (SELECT count(*) FROM pg_catalog.pg_attribute a
                    WHERE a.attrelid = c.oid AND a.attname IN ('app', 'name') AND NOT a.attisdropped)
         ORDER BY n.nspname <> 'public', 1 LIMIT 1"
    );
    let table: Option<String> =
        sqlx::query_scalar(AssertSqlSafe(tables)).fetch_optional(&mut *conn).await.map_err(failed(doing))?;
    let Some(table) = table else { return Ok(None) };
    let sql = format!("SELECT DISTINCT app::text, name::text FROM {table} ORDER BY 1, 2");
    let rows: Vec<(String, String)> =
        sqlx::query_as(AssertSqlSafe(sql)).fetch_all(&mut *conn).await.map_err(failed(doing))?;
    Ok(Some(rows.into_iter().map(|(label, name)| Applied { label, name }).collect()))
}

#[cfg(test)]
mod tests;
