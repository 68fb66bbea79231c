//! References to values that live elsewhere: the environment or a file.

use std::collections::BTreeMap;

use reprise_crds::Reference;
use secrecy::SecretString;

/// Largest file that a reference may name: nothing that we need is larger.
const LIMIT_BYTES: u64 = 64 << 10;

/// Resolves `env:` and `file:` references. The environment is read once, at the start.
#[derive(Clone)]
pub struct References {
    environment: BTreeMap<String, String>,
}

impl std::fmt::Debug for References {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("References").field("names", &self.environment.len()).finish()
    }
}

/// Why a reference leads nowhere. Never holds the value.
#[derive(Debug, thiserror::Error)]
pub enum ReferenceError {
    /// No such variable.
    #[error("the environment variable {0} is not set where the daemon runs")]
    Unset(String),
    /// It is there, and blank.
    #[error("{0} is empty")]
    Blank(String),
    /// The file cannot be read.
    #[error("cannot read {path}")]
    Unreadable {
        /// Its path.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is a folder, a pipe or a device.
    #[error("{0} is not a regular file")]
    NoFile(String),
    /// The file is too large or not text.
    #[error("{0} is larger than 64 KiB or not UTF-8 text")]
    NotText(String),
}

impl References {
    /// Those of this process's environment.
    pub fn of_this_process() -> Self {
        Self::new(
            std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
        )
    }

    /// Those of the given environment.
    pub fn new(environment: impl IntoIterator<Item = (String, String)>) -> Self {
        Self { environment: environment.into_iter().collect() }
    }

    /// A variable of the environment, if it is set and not blank.
    pub fn environment(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str).filter(|value| !value.trim().is_empty())
    }

    /// The value behind `reference`. One trailing newline of a file is dropped.
    pub fn resolve(&self, reference: &Reference) -> Result<String, ReferenceError> {
        match reference {
            Reference::Env(name) => match self.environment.get(name) {
                None => Err(ReferenceError::Unset(name.clone())),
                Some(value) if value.trim().is_empty() => {
                    Err(ReferenceError::Blank(format!("environment variable {name}")))
                }
                Some(value) => Ok(value.clone()),
            },
            Reference::File(path) => read(&path.display().to_string()),
        }
    }

    /// The same, kept secret.
    pub fn secret(&self, reference: &Reference) -> Result<SecretString, ReferenceError> {
        self.resolve(reference).map(SecretString::from)
    }
}

fn read(path: &str) -> Result<String, ReferenceError> {
    use std::io::Read as _;
    let unreadable = |source| ReferenceError::Unreadable { path: path.to_owned(), source };
    let mut text = Vec::new();
    // To open a pipe would wait for somebody who writes into it, and with it everything else.
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(ReferenceError::NoFile(path.to_owned()));
    }
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(LIMIT_BYTES + 1)
        .read_to_end(&mut text)
        .map_err(|source| ReferenceError::Unreadable { path: path.to_owned(), source })?;
    if text.len() as u64 > LIMIT_BYTES {
        return Err(ReferenceError::NotText(path.to_owned()));
    }
    let text = String::from_utf8(text).map_err(|_| ReferenceError::NotText(path.to_owned()))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.trim().is_empty() { Err(ReferenceError::Blank(path.to_owned())) } else { Ok(text.to_owned()) }
}
