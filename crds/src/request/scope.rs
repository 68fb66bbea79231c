//! Which parts of the estate a request is about.

use std::borrow::Cow;
use std::collections::BTreeSet;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize};

use crate::words::words;

words! {
    /// A part of the estate.
    pub enum Part {
        /// Everything.
        All = "all",
        /// The database: choose, provision, restore, check.
        Database = "database",
        /// The documents.
        Bucket = "bucket",
        /// The applications: create, configure, deploy.
        App = "app",
        /// The public names.
        Dns = "dns",
    }
}

/// A set of parts, never empty once validated. Written as one word or as a list; always printed as a list.
///
/// ```
/// # use reprise_crds::{Part, Scope};
/// let scope: Scope = serde_json::from_str(r#""database""#).unwrap();
/// assert!(scope.includes(Part::Database) && !scope.includes(Part::Dns));
/// assert!(Scope::default().includes(Part::Dns));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Scope(BTreeSet<Part>);

impl Scope {
    /// A scope of these parts.
    pub fn of(parts: impl IntoIterator<Item = Part>) -> Self {
        Self(parts.into_iter().collect())
    }

    /// Whether `part` is to be done; with [`Part::All`], every part is.
    pub fn includes(&self, part: Part) -> bool {
        self.0.contains(&Part::All) || self.0.contains(&part)
    }

    /// Whether the whole estate is meant.
    pub fn is_whole(&self) -> bool {
        self.includes(Part::All)
    }

    /// The parts as written.
    pub fn parts(&self) -> impl Iterator<Item = Part> + '_ {
        self.0.iter().copied()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Default for Scope {
    fn default() -> Self {
        Self::of([Part::All])
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum OneOrMany {
            One(Part),
            Many(BTreeSet<Part>),
        }
        Ok(match OneOrMany::deserialize(deserializer)? {
            OneOrMany::One(part) => Self::of([part]),
            OneOrMany::Many(parts) => Self(parts),
        })
    }
}

impl JsonSchema for Scope {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Scope".into()
    }

    /// Only the list: a structural schema knows no choice of types. A single word is made a list before it is looked at.
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = <Vec<Part>>::json_schema(generator);
        schema.insert("minItems".to_owned(), 1.into());
        schema
    }
}
