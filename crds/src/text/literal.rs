//! A value written out in a plan.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A text, a whole number or a truth value.
///
/// Decimal numbers must be quoted: `1.10` as a number would arrive as `1.1`. Truth values arrive as `true` and `false`;
/// an application that wants `True` is given `"True"` in quotes.
///
/// ```
/// # use reprise_crds::Literal;
/// assert_eq!(serde_json::from_str::<Literal>("8080").unwrap().to_string(), "8080");
/// assert!(serde_json::from_str::<Literal>("1.10").is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Literal {
    /// Letter for letter.
    Text(String),
    /// In decimal digits.
    Integer(i64),
    /// `true` or `false`.
    Bool(bool),
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Integer(number) => number.fmt(f),
            Self::Bool(truth) => truth.fmt(f),
        }
    }
}

impl JsonSchema for Literal {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Literal".into()
    }

    /// A structural schema knows no choice of types, so Kubernetes is told to keep whatever comes; `crate::schema`
    /// turns this mark into the exact list of types for everybody else.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "x-kubernetes-preserve-unknown-fields": true })
    }
}
