//! The plan's own checks: a query, and what its one value must be.
//!
//! They run in a transaction that cannot write, as a single statement each, under a time-out: a plan is trusted, a typo
//! in one is not. Names are found as the application finds them: by the search path that the server gives to its sessions, whatever was set
//! in this one.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::{CheckError, failed};

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

/// Why a check could not be asked: what is at fault then is not the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unasked {
    /// The question itself: it names what is not there, or is no SQL that may be asked.
    Question {
        /// It names a table, a column or a function that is not there.
        absent: bool,
    },
    /// The machine: it took too long, or memory, disk or the connection gave out.
    Machine,
}

/// What came of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataOutcome {
    /// The check's name.
    pub name: String,
    /// Whether it holds.
    pub holds: bool,
    /// Why it could not be asked; it does not hold then.
    pub unasked: Option<Unasked>,
    /// The value that was found, if it is a number or a truth, else what kind it is; or why there is none. It goes into records that
    /// outlive the database, where nobody's name or address belongs.
    pub found: String,
    /// What was expected, in the plan's own words.
    pub expected: String,
}

impl fmt::Display for DataOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, unasked, found, expected, .. } = self;
        match unasked {
            Some(_) => write!(f, "{name} ({found})"),
            None => write!(f, "{name} (found {found}, expected {expected})"),
        }
    }
}

/// Runs all `checks`, each given at most `limit`. A check that cannot be asked does not hold.
pub async fn run_data_checks(
    conn: &mut PgConnection,
    checks: &[DataCheck],
    limit: Duration,
) -> Result<Vec<DataOutcome>, CheckError> {
    let mut outcomes = Vec::with_capacity(checks.len());
    for check in checks {
        let (holds, unasked, found) = match value_of(conn, check, limit).await {
            Ok(value) => (check.expectation.holds(value.as_deref()), None, told(value.as_deref())),
            Err(CheckError { source: sqlx::Error::Database(error), .. }) => {
                let fault = format!("an error: {}", error.message());
                (false, unasked(error.code().as_deref().unwrap_or_default()), fault)
            }
            Err(other) => return Err(other),
        };
        let (name, expected) = (check.name.clone(), check.expectation.to_string());
        outcomes.push(DataOutcome { name, holds, unasked, found, expected });
    }
    Ok(outcomes)
}

/// Whose fault an error with this code is; `None` where the data may have led to it: a division by a count that is 0, a value that is no
/// number, what a function of the database raises.
///
/// Source: "Appendix A. PostgreSQL Error Codes"; 25006 is a write, 54 a limit of the server's program, XX an error in it.
fn unasked(code: &str) -> Option<Unasked> {
    match code.get(..2).unwrap_or_default() {
        // Such as a materialized view without rows.
        "55" if code == "55000" => None,
        "21" | "22" | "23" | "2F" | "38" | "39" | "P0" => None,
        "08" | "40" | "53" | "55" | "57" | "58" | "XX" => Some(Unasked::Machine),
        _ => {
            let absent = ["3F000", "42P01", "42703", "42704", "42883"].contains(&code);
            Some(Unasked::Question { absent })
        }
    }
}

/// A value as it may be kept.
fn told(value: Option<&str>) -> String {
    let Some(value) = value else { return "nothing".to_owned() };
    let plain = value.trim().parse::<f64>().is_ok() || ["t", "f", "true", "false"].contains(&value);
    if plain { value.to_owned() } else { format!("a text of {} characters", value.chars().count()) }
}

/// The search path as sessions begin with it: other looks of ours have emptied this one's.
const OWN_SEARCH_PATH: &str = "SELECT pg_catalog.set_config('search_path', reset_val, true)
    FROM pg_catalog.pg_settings WHERE name = 'search_path'";

async fn value_of(
    conn: &mut PgConnection,
    check: &DataCheck,
    limit: Duration,
) -> Result<Option<String>, CheckError> {
    let doing = "run a data check";
    let mut transaction = conn.begin_with("BEGIN READ ONLY").await.map_err(failed(doing))?;
    let time_out = format!("SET LOCAL statement_timeout = {}", limit.as_millis().max(1));
    for setting in [time_out.as_str(), OWN_SEARCH_PATH] {
        sqlx::raw_sql(AssertSqlSafe(setting.to_owned()))
            .execute(&mut *transaction)
            .await
            .map_err(failed(doing))?;
    }
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

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Equals(value) => write!(f, "{value:?}"),
            Self::AtLeast(limit) => write!(f, "{limit} or more"),
            Self::AtMost(limit) => write!(f, "{limit} or less"),
            Self::Present => f.write_str("a value"),
        }
    }
}

#[cfg(test)]
mod unit {
    use super::{Expectation, Unasked, told, unasked};

    #[test]
    fn numbers_and_truths_are_told_and_texts_are_not() {
        assert_eq!([Some("12"), Some("-0.5"), Some("t"), None].map(told), ["12", "-0.5", "t", "nothing"]);
        assert_eq!(told(Some("Zoé <zoe@example.org>")), "a text of 21 characters");
    }

    #[test]
    fn only_what_the_data_may_have_led_to_is_an_answer() {
        for (code, whose) in [
            ("22012", None),
            ("P0001", None),
            ("21000", None),
            ("55000", None),
            ("57014", Some(Unasked::Machine)),
            ("53100", Some(Unasked::Machine)),
            ("53200", Some(Unasked::Machine)),
            ("42601", Some(Unasked::Question { absent: false })),
            ("25006", Some(Unasked::Question { absent: false })),
            ("42P01", Some(Unasked::Question { absent: true })),
            ("", Some(Unasked::Question { absent: false })),
        ] {
            assert_eq!(unasked(code), whose, "{code}");
        }
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
