//! The variables without which nothing starts.

use sqlx::postgres::PgConnectOptions;

use crate::error::AppError;

/// Needed by every command; a blank one is as good as none.
const REQUIRED: [&str; 15] = [
    "SECRET_KEY",
    "ENVIRONMENT",
    "DB_HOST",
    "DB_PORT",
    "DB_NAME",
    "DB_USER",
    "DB_PASSWORD",
    "DB_READONLY",
    "REDIS_URL",
    "ALLOWED_HOSTS",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_STORAGE_BUCKET_NAME",
    "AWS_S3_ENDPOINT_URL",
    "AWS_S3_REGION_NAME",
];
/// Written by a build that has no other way to tell the running application which commit it is.
const REVISION_FILE: &str = "REVISION";

/// What the application was told. It holds secrets: never printed.
pub(crate) struct Settings {
    /// The platform's name of this application.
    pub(crate) app: String,
    pub(crate) environment: String,
    /// The deployed commit, where it is known.
    pub(crate) revision: Option<String>,
    /// The port to serve on, given to web processes only.
    pub(crate) port: Option<u16>,
    pub(crate) allowed_hosts: Vec<String>,
    pub(crate) database: PgConnectOptions,
    pub(crate) read_only: PgConnectOptions,
    pub(crate) redis: redis::Client,
    pub(crate) bucket: BucketSettings,
}

/// Where the documents are.
#[derive(Default)]
pub(crate) struct BucketSettings {
    pub(crate) name: String,
    pub(crate) endpoint: String,
    pub(crate) region: String,
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: String,
}

impl Settings {
    /// Reads all variables; the error names every missing one at once.
    pub(crate) fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, AppError> {
        let get = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let missing: Vec<_> = REQUIRED.into_iter().filter(|name| get(name).is_none()).collect();
        if !missing.is_empty() {
            return Err(AppError::Missing(missing));
        }
        let text = |name: &str| get(name).unwrap_or_default();
        let port = |name: &'static str| text(name).parse().map_err(|_| AppError::Variable(name));
        let database = PgConnectOptions::new_without_pgpass()
            .host(&text("DB_HOST"))
            .port(port("DB_PORT")?)
            .database(&text("DB_NAME"))
            .username(&text("DB_USER"))
            .password(&text("DB_PASSWORD"));
        Ok(Self {
            app: get("APP").unwrap_or_else(|| "sample-app".into()),
            environment: text("ENVIRONMENT"),
            revision: get("SOURCE_VERSION").or_else(revision_file),
            port: get("PORT").map(|_| port("PORT")).transpose()?,
            allowed_hosts: text("ALLOWED_HOSTS").split(',').map(|host| host.trim().to_lowercase()).collect(),
            database,
            read_only: text("DB_READONLY").parse().map_err(|_| AppError::Variable("DB_READONLY"))?,
            redis: redis::Client::open(text("REDIS_URL")).map_err(|_| AppError::Variable("REDIS_URL"))?,
            bucket: BucketSettings {
                name: text("AWS_STORAGE_BUCKET_NAME"),
                endpoint: text("AWS_S3_ENDPOINT_URL"),
                region: text("AWS_S3_REGION_NAME"),
                access_key_id: text("AWS_ACCESS_KEY_ID"),
                secret_access_key: text("AWS_SECRET_ACCESS_KEY"),
            },
        })
    }
}

fn revision_file() -> Option<String> {
    let text = std::fs::read_to_string(REVISION_FILE).ok()?;
    Some(text.trim().to_owned()).filter(|revision| !revision.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(name: &str) -> Option<String> {
        Some(match name {
            "DB_PORT" => "5432".into(),
            "DB_READONLY" => "postgres://reader:secret@db.example.test:5432/app".into(),
            "REDIS_URL" => "redis://:secret@redis.example.test:6379".into(),
            "PORT" => return None,
            other => other.to_lowercase(),
        })
    }

    #[test]
    fn every_missing_variable_is_named_at_once() {
        let absent = ["SECRET_KEY", "DB_PASSWORD", "AWS_S3_REGION_NAME"];
        let error = Settings::read(|name| match name {
            "DB_PASSWORD" => Some("  ".into()),
            name => value(name).filter(|_| !absent.contains(&name)),
        });
        let message = error.err().map(|error| error.chain()).unwrap_or_default();
        assert!(absent.iter().all(|name| message.contains(name)), "{message}");
        assert!(!message.contains("DB_HOST"), "{message}");
    }

    #[test]
    fn a_bad_value_is_named_and_not_shown() {
        let error =
            Settings::read(|name| if name == "REDIS_URL" { Some("hunter2".into()) } else { value(name) });
        let message = error.err().map(|error| error.chain()).unwrap_or_default();
        assert!(message.contains("REDIS_URL") && !message.contains("hunter2"), "{message}");
    }

    #[test]
    fn everything_given_is_enough() {
        assert!(Settings::read(value).is_ok());
    }
}
