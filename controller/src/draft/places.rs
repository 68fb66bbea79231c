//! Where the estate's database, Redis and bucket are, read out of the values of its variables. Pure; nothing of it is ever written.

use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::seen::Seen;

/// The names under which applications look for their bucket, the most telling first.
pub(super) const BUCKETS: [&str; 8] = [
    "AWS_STORAGE_BUCKET_NAME",
    "AWS_S3_BUCKET_NAME",
    "AWS_S3_BUCKET",
    "AWS_BUCKET_NAME",
    "AWS_BUCKET",
    "S3_BUCKET_NAME",
    "S3_BUCKET",
    "BUCKET_NAME",
];
/// What the platform's addons set by themselves.
const OF_THE_ADDONS: [&str; 2] = ["SCALINGO_POSTGRESQL_URL", "SCALINGO_REDIS_URL"];

/// The address of a database.
#[derive(Debug, Clone)]
pub(super) struct Dsn {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) name: String,
    pub(super) user: String,
    pub(super) password: SecretString,
}

impl Dsn {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "postgres" | "postgresql"))?;
        let decoded =
            |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
        Some(Self {
            host: url.host_str()?.to_owned(),
            port: url.port().unwrap_or(5432),
            name: decoded(url.path().trim_start_matches('/')),
            user: decoded(url.username()),
            password: decoded(url.password().unwrap_or_default()).into(),
        })
    }

    /// The same database, whoever enters it.
    pub(super) fn is_at(&self, other: &Self) -> bool {
        (&self.host, self.port, &self.name) == (&other.host, other.port, &other.name)
    }

    pub(super) fn has_password(&self, text: &str) -> bool {
        self.password.expose_secret() == text
    }
}

/// A Redis, by host and port.
pub(super) fn redis(text: &str) -> Option<(String, u16)> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "redis" | "rediss"))?;
    Some((url.host_str()?.to_owned(), url.port().unwrap_or(6379)))
}

/// Whether an address of a Redis says more than where it is and how to enter.
pub(super) fn redis_says_more(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| !matches!(url.path(), "" | "/" | "/0") || url.query().is_some())
}

/// Where everything of an estate is.
#[derive(Debug, Default)]
pub(super) struct Places {
    pub(super) database: Option<Dsn>,
    /// Somebody else who enters that database: taken for the one who only reads.
    pub(super) reader: Option<Dsn>,
    /// The addresses of Redis that the apps' addons set, else all that are told.
    pub(super) redis: Vec<(String, u16)>,
    /// An app has a Redis of the platform's, so the recovered ones get one.
    pub(super) has_redis: bool,
    /// The variable that names the bucket, and its value.
    pub(super) bucket: Option<(&'static str, SecretString)>,
    /// Hosts on the platform.
    pub(super) hosts: Vec<String>,
}

impl Places {
    /// Reads them from all apps; what the addons set comes before what people set.
    pub(super) fn of(apps: &[Seen]) -> Self {
        let values = || apps.iter().flat_map(Seen::values);
        let dsns = |by_addons: bool| {
            let told = values().filter(move |(name, _)| OF_THE_ADDONS.contains(name) == by_addons);
            told.filter_map(|(_, value)| Dsn::parse(value))
        };
        let named = || apps.iter().filter_map(|app| Dsn::parse(app.value("DATABASE_URL")?));
        let database = dsns(true).next().or_else(|| named().next()).or_else(|| dsns(false).next());
        let reader = database.as_ref().and_then(|database| {
            dsns(false).find(|other| other.is_at(database) && other.user != database.user)
        });
        let redis_of = |by_addons: bool| -> Vec<(String, u16)> {
            let told = values().filter(|(name, _)| OF_THE_ADDONS.contains(name) || !by_addons);
            told.filter_map(|(_, value)| redis(value)).collect()
        };
        let of_the_addons = redis_of(true);
        let bucket = BUCKETS.iter().find_map(|wanted| {
            let value = apps.iter().find_map(|app| app.value(wanted))?;
            Some((*wanted, SecretString::from(value)))
        });
        Self {
            database,
            reader,
            redis: if of_the_addons.is_empty() { redis_of(false) } else { of_the_addons },
            has_redis: apps.iter().any(|app| app.redis.is_some()),
            bucket,
            hosts: apps.iter().filter_map(|app| app.default_host.clone()).collect(),
        }
    }

    /// What another app shares with this estate, going by its variables.
    pub(super) fn shared_with(&self, other: &Seen) -> Option<&'static str> {
        let has = |text: &str| other.values().any(|(_, value)| value == text);
        let in_parts = |database: &Dsn| has(&database.host) && has(&database.name);
        let database = self.database.as_ref().is_some_and(|database| {
            let mut dsns = other.values().filter_map(|(_, value)| Dsn::parse(value));
            dsns.any(|dsn| dsn.is_at(database)) || in_parts(database)
        });
        let bucket = self.bucket.as_ref().is_some_and(|(_, name)| {
            let name = name.expose_secret();
            !name.is_empty() && BUCKETS.iter().any(|wanted| other.value(wanted) == Some(name))
        });
        match (database, bucket) {
            (true, true) => Some("the database and the bucket"),
            (true, false) => Some("the database"),
            (false, true) => Some("the bucket"),
            (false, false) => None,
        }
    }

    /// Whether `value` names a place of the old estate: kept as it is, it would lead there.
    pub(super) fn names_one(&self, value: &str) -> bool {
        let database = self.database.as_ref().is_some_and(|database| value.contains(&database.host));
        let redis = self.redis.iter().any(|(host, _)| value.contains(host.as_str()));
        let bucket = self.bucket.as_ref().is_some_and(|(_, name)| {
            let name = name.expose_secret();
            name.len() > 3 && value.contains(name)
        });
        database || redis || bucket || self.hosts.iter().any(|host| value.contains(host.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::variables::tests::app;
    use super::*;

    fn other(variables: &[(&str, &str)]) -> Seen {
        let all = variables.iter();
        let all = all.map(|(name, value)| ((*name).to_owned(), SecretString::from(*value)));
        Seen { variables: all.collect(), ..Seen::default() }
    }

    #[test]
    fn an_app_belongs_to_the_estate_by_its_database_or_its_bucket() {
        let places = Places::of(&[app(&[("S3_BUCKET", "the-documents")])]);
        for (variables, shared) in [
            (&[("URL", "postgres://reader:x@app-42.db.example:31000/app_42")][..], Some("the database")),
            (&[("A", "app-42.db.example"), ("B", "app_42")][..], Some("the database")),
            (&[("BUCKET_NAME", "the-documents")][..], Some("the bucket")),
            // The same server holds other databases, and the same name is elsewhere too.
            (&[("URL", "postgres://app_42:x@app-42.db.example:31000/other")][..], None),
            (&[("URL", "postgres://app_42:x@app-43.db.example:31000/app_42")][..], None),
            (&[("BACKUPS", "the-documents"), ("BUCKET_NAME", "others")][..], None),
        ] {
            assert_eq!(places.shared_with(&other(variables)), shared, "{variables:?}");
        }
        assert_eq!(Places::of(&[other(&[])]).shared_with(&other(&[("S3_BUCKET", "")])), None);
    }
}
