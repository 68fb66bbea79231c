//! How a restored database proves that its data is there.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::text::Literal;

/// A question to the restored database. It runs in a read-only transaction; the first column of the first row counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DataCheck {
    /// What is asked, in a few words; unique in the plan.
    pub name: String,
    /// One SELECT (or WITH, VALUES, TABLE).
    pub sql: String,
    /// The answer that counts as good.
    pub expect: Expectation,
}

/// An answer: `equals` alone, or `atLeast` and `atMost` (one or both), or `notEmpty` alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Expectation {
    /// Exactly this. A decimal number is written in quotes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub equals: Option<Literal>,
    /// This number or more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<i64>,
    /// This number or less.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<i64>,
    /// `true`: at least one row, whose first column is not null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_empty: Option<bool>,
}

/// A column that holds the keys of objects in the bucket. After a restore they are held against the documents: a row whose object
/// is missing is *dangling*, an object that no row names is an *orphan*.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ObjectKeys {
    /// The table, with its schema: `public.documents`.
    pub table: String,
    /// The column. Null and empty values name no object.
    pub column: String,
    /// What comes before the column's value in the object's key, for example `media/`. Only objects below it can be orphans.
    #[serde(default)]
    pub prefix: String,
}
