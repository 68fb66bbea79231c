//! The plan's own checks: a query, and what its one value must be.
//!
//! They run in a transaction that cannot write, as a single statement each, under a time-out: a plan is trusted, a typo
//! in one is not.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sqlx::error::DatabaseError;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::{CheckError, failed};
use crate::backup::restore::without_values;

/// What the value of a check must be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expectation {
    /// This text, as PostgreSQL prints the value.
    Equals(String),
    /// A number, not below this.
    AtLeast(f64),
    /// A number, not above this.
    AtMost(f64),
    /// Anything but nothing: one row at least, whose value is not null.
    Present,
}

/// A check of the plan's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DataCheck {
    /// Its name, for reports.
    pub name: String,
    /// One `SELECT`, whose first column of its first row is the value.
    pub sql: String,
    /// What it must be.
    pub expectation: Expectation,
}

/// What came of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataOutcome {
    /// The check's name.
    pub name: String,
    /// Whether it holds.
    pub holds: bool,
    /// The value that was found, if it is a number or a truth, else what kind it is; or why there is none. It goes into records that
    /// outlive the database, where nobody's name or address belongs.
    pub found: String,
}

/// Runs all `checks`, each given at most `limit`. A check that cannot be run does not hold.
pub async fn run_data_checks(
    conn: &mut PgConnection,
    checks: &[DataCheck],
    limit: Duration,
) -> Result<Vec<DataOutcome>, CheckError> {
    let mut outcomes = Vec::with_capacity(checks.len());
    for check in checks {
        let (holds, found) = match value_of(conn, check, limit).await {
            Ok(value) => (check.expectation.holds(value.as_deref()), told(value.as_deref())),
            Err(CheckError { source: sqlx::Error::Database(error), .. }) => (false, fault(&*error)),
            Err(other) => return Err(other),
        };
        outcomes.push(DataOutcome { name: check.name.clone(), holds, found });
    }
    Ok(outcomes)
}

/// A value as it may be kept.
fn told(value: Option<&str>) -> String {
    let Some(value) = value else { return "nothing".to_owned() };
    let plain = value.trim().parse::<f64>().is_ok() || ["t", "f", "true", "false"].contains(&value);
    if plain { value.to_owned() } else { format!("a text of {} characters", value.chars().count()) }
}

/// An error as it may be kept. One that a function of the database raises may say anything.
fn fault(error: &dyn DatabaseError) -> String {
    match error.code().as_deref() {
        Some("P0001") => "an error that a function of the database raises".to_owned(),
        _ => format!("an error: {}", without_values(error.message())),
    }
}

async fn value_of(
    conn: &mut PgConnection,
    check: &DataCheck,
    limit: Duration,
) -> Result<Option<String>, CheckError> {
    let doing = "run a data check";
    let mut transaction = conn.begin_with("BEGIN READ ONLY").await.map_err(failed(doing))?;
    let time_out = format!("SET LOCAL statement_timeout = {}", limit.as_millis().max(1));
    sqlx::query(AssertSqlSafe(time_out)).execute(&mut *transaction).await.map_err(failed(doing))?;
    let statement = check.sql.trim().trim_end_matches(';');
    let sql = format!("SELECT answer.value::text FROM (\n{statement}\n) AS answer (value) LIMIT 1");
    let value: Option<Option<String>> = sqlx::query_scalar(AssertSqlSafe(sql))
        .persistent(false)
        .fetch_optional(&mut *transaction)
        .await
        .map_err(failed(doing))?;
    transaction.rollback().await.map_err(failed(doing))?;
    Ok(value.flatten())
}

impl Expectation {
    /// Whether `value` is as expected. A value that is no number is never at least or at most one.
    pub fn holds(&self, value: Option<&str>) -> bool {
        let Some(value) = value else { return false };
        let number = value.trim().parse::<f64>().ok().filter(|number| !number.is_nan());
        match self {
            Self::Equals(expected) => value == expected,
            Self::AtLeast(limit) => number.is_some_and(|number| number >= *limit),
            Self::AtMost(limit) => number.is_some_and(|number| number <= *limit),
            Self::Present => true,
        }
    }
}

#[cfg(test)]
mod unit {
    use super::{Expectation, told};

    #[test]
    fn numbers_and_truths_are_told_and_texts_are_not() {
        assert_eq!([Some("12"), Some("-0.5"), Some("t"), None].map(told), ["12", "-0.5", "t", "nothing"]);
        assert_eq!(told(Some("Zoé <zoe@example.org>")), "a text of 21 characters");
    }

    #[test]
    fn nothing_and_nonsense_meet_no_expectation() {
        for expectation in [Expectation::AtLeast(0.0), Expectation::AtMost(9.0), Expectation::Present] {
            assert!(!expectation.holds(None), "{expectation:?}");
        }
        assert!(!Expectation::AtLeast(0.0).holds(Some("many")));
        assert!(!Expectation::AtMost(0.0).holds(Some("NaN")));
        assert!(Expectation::AtLeast(12.0).holds(Some("12")));
        assert!(Expectation::Equals("t".into()).holds(Some("t")));
    }
}
