//! Where a value is kept: `env:NAME` or `file:/path`. The value itself never comes near this crate.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// What a well-formed reference looks like; the same rule as [`Reference::from_str`], for other people's tools.
pub(crate) const PATTERN: &str = "^(env:[A-Za-z_][A-Za-z0-9_]*|file:/[^\\u0000-\\u001f]+)$";

/// A place from which the controller reads a value when it needs it.
///
/// ```
/// # use reprise_crds::Reference;
/// assert_eq!("env:S3_KEY".parse(), Ok(Reference::Env("S3_KEY".to_owned())));
/// assert_eq!("file:/run/secrets/key".parse(), Ok(Reference::File("/run/secrets/key".into())));
/// assert!("file:relative".parse::<Reference>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reference {
    /// A variable of the controller's environment.
    Env(String),
    /// A file with an absolute path; one trailing line end is not part of the value.
    File(PathBuf),
}

/// Why a text is not a reference. Never repeats the text: it may be the secret itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadReference {
    /// Neither `env:` nor `file:`.
    #[error("starts neither with env: nor with file:")]
    Scheme,
    /// Not the name of an environment variable.
    #[error("needs a variable name of letters, digits and underscores after env:")]
    Name,
    /// Not an absolute path.
    #[error("needs an absolute path after file:")]
    Path,
}

impl FromStr for Reference {
    type Err = BadReference;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(name) = text.strip_prefix("env:") {
            let first = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
            let rest = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            return if first && rest { Ok(Self::Env(name.to_owned())) } else { Err(BadReference::Name) };
        }
        let path = text.strip_prefix("file:").ok_or(BadReference::Scheme)?;
        let sound = path.len() > 1 && path.starts_with('/') && !path.chars().any(|c| c < ' ');
        if sound { Ok(Self::File(path.into())) } else { Err(BadReference::Path) }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

/// A secret, by reference only: a literal one does not fit into this type.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SecretRef(Reference);

impl SecretRef {
    /// Where the secret is kept.
    pub fn reference(&self) -> &Reference {
        &self.0
    }
}

impl From<Reference> for SecretRef {
    fn from(reference: Reference) -> Self {
        Self(reference)
    }
}

impl TryFrom<String> for SecretRef {
    type Error = BadReference;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse().map(Self)
    }
}

impl From<SecretRef> for String {
    fn from(secret: SecretRef) -> Self {
        secret.0.to_string()
    }
}

impl JsonSchema for SecretRef {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "SecretRef".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": PATTERN })
    }
}

/// A text that is no secret: written out, or kept elsewhere (`env:NAME`, `file:/path`).
///
/// ```
/// # use reprise_crds::Setting;
/// let endpoint = Setting::from("https://s3.fr-par.scw.cloud");
/// assert_eq!(endpoint.literal(), Some("https://s3.fr-par.scw.cloud"));
/// assert!(Setting::from("env:S3_ENDPOINT").reference().is_some());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct Setting(String);

impl Setting {
    /// Where the text is kept; `None` if it is written out.
    pub fn reference(&self) -> Option<Reference> {
        self.claims_reference().then(|| self.0.parse().ok()).flatten()
    }

    /// The text, if it is written out.
    pub fn literal(&self) -> Option<&str> {
        (!self.claims_reference()).then_some(self.0.as_str())
    }

    /// As written in the document.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Starts like a reference, so it is one or it is a mistake. `file://` begins the URL of a repository on disk.
    pub(crate) fn claims_reference(&self) -> bool {
        self.0.starts_with("env:") || self.0.starts_with("file:/") && !self.0.starts_with("file://")
    }
}

impl From<&str> for Setting {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_secret_does_not_parse_and_is_not_repeated() {
        let error = SecretRef::try_from("hunter2hunter2".to_owned()).unwrap_err();
        assert_eq!(error, BadReference::Scheme);
        assert!(!format!("{error:?} {error}").contains("hunter2"));
    }

    #[test]
    fn a_file_url_of_a_repository_is_no_reference() {
        let repository = Setting::from("file:///srv/git/app.git");
        assert_eq!(repository.literal(), Some("file:///srv/git/app.git"));
        assert_eq!(repository.reference(), None);
    }
}
