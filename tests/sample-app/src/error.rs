//! What can go wrong, and how it is told. No message holds a secret.

use thiserror::Error;

/// Why the application stopped, or could not answer.
#[derive(Debug, Error)]
pub(crate) enum AppError {
    #[error("usage: reprise-sample-app web|worker|migrate")]
    Usage,
    #[error("these variables are missing: {}", .0.join(", "))]
    Missing(Vec<&'static str>),
    #[error("the variable {0} cannot be understood")]
    Variable(&'static str),
    #[error("{doing} in the database")]
    Database {
        doing: &'static str,
        #[source]
        source: sqlx::Error,
    },
    #[error("pinging Redis")]
    Redis(#[source] redis::RedisError),
    #[error("Redis does not answer")]
    RedisSilent,
    #[error("getting an object from the bucket")]
    Bucket(#[source] Box<aws_sdk_s3::Error>),
    #[error("{doing}")]
    System {
        doing: &'static str,
        #[source]
        source: std::io::Error,
    },
}

impl AppError {
    /// Adds to a database error what we were doing.
    pub(crate) fn database(doing: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| Self::Database { doing, source }
    }

    /// Adds to an I/O error what we were doing.
    pub(crate) fn system(doing: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::System { doing, source }
    }

    /// The error and its causes on one line.
    pub(crate) fn chain(&self) -> String {
        let first: Option<&(dyn std::error::Error + 'static)> = Some(self);
        let causes = std::iter::successors(first, |error| error.source());
        causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
    }
}
