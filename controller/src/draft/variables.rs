//! What becomes of each variable. Its value is looked at to recognise it, and goes no further. Pure.

use std::collections::{BTreeMap, BTreeSet};

use reprise_crds::plan::Computed;
use reprise_crds::variables::is_reserved;
use secrecy::ExposeSecret as _;

use super::places::{BUCKETS, Dsn, Places, redis, redis_says_more};
use super::seen::Seen;

/// What the platform or a recovery sets by itself, by the beginnings of its names.
const BY_THEMSELVES: [&str; 2] = ["SCALINGO_", "REPRISE_"];
/// Keys of sessions: made anew, they sign people out, and nothing is lost. Keys that others hold too, or that open what is stored, are
/// kept.
const REGENERATED: [&str; 6] = [
    "COOKIE_SECRET",
    "DJANGO_SECRET_KEY",
    "FLASK_SECRET_KEY",
    "SECRET_KEY",
    "SESSION_SECRET",
    "SESSION_SECRET_KEY",
];
/// What a rehearsal may see: it says how the app runs, and calls nobody.
const HARMLESS: [&str; 15] = [
    "APP_ENV",
    "DEBUG",
    "DJANGO_SETTINGS_MODULE",
    "ENVIRONMENT",
    "LANG",
    "LC_ALL",
    "LOGLEVEL",
    "LOG_LEVEL",
    "NODE_ENV",
    "PYTHONPATH",
    "PYTHONUNBUFFERED",
    "RACK_ENV",
    "RAILS_ENV",
    "TZ",
    "WEB_CONCURRENCY",
];
/// The other halves of a bucket, by the names under which applications look for them.
const STORE: [(&str, Computed); 22] = [
    ("AWS_S3_ENDPOINT_URL", Computed::BucketEndpoint),
    ("AWS_S3_ENDPOINT", Computed::BucketEndpoint),
    ("AWS_ENDPOINT_URL_S3", Computed::BucketEndpoint),
    ("AWS_ENDPOINT_URL", Computed::BucketEndpoint),
    ("AWS_ENDPOINT", Computed::BucketEndpoint),
    ("S3_ENDPOINT_URL", Computed::BucketEndpoint),
    ("S3_ENDPOINT", Computed::BucketEndpoint),
    ("AWS_S3_REGION_NAME", Computed::BucketRegion),
    ("AWS_S3_REGION", Computed::BucketRegion),
    ("AWS_DEFAULT_REGION", Computed::BucketRegion),
    ("AWS_REGION", Computed::BucketRegion),
    ("S3_REGION", Computed::BucketRegion),
    ("AWS_ACCESS_KEY_ID", Computed::BucketAccessKeyId),
    ("AWS_S3_ACCESS_KEY_ID", Computed::BucketAccessKeyId),
    ("S3_ACCESS_KEY_ID", Computed::BucketAccessKeyId),
    ("S3_ACCESS_KEY", Computed::BucketAccessKeyId),
    ("S3_KEY_ID", Computed::BucketAccessKeyId),
    ("AWS_SECRET_ACCESS_KEY", Computed::BucketSecretAccessKey),
    ("AWS_S3_SECRET_ACCESS_KEY", Computed::BucketSecretAccessKey),
    ("S3_SECRET_ACCESS_KEY", Computed::BucketSecretAccessKey),
    ("S3_SECRET_KEY", Computed::BucketSecretAccessKey),
    ("S3_KEY_SECRET", Computed::BucketSecretAccessKey),
];

const UNREAD: &str = "this account may not see its value";
const OTHER_DATABASE: &str = "the address of a database that the recovery does not bring back";
const OTHER_REDIS: &str = "the address of a Redis that the recovery does not bring back";
const OTHER_BUCKET: &str = "another bucket, which the recovery does not bring back";
const READER: &str = "somebody else who enters the database; taken for a user that only reads";
const REDIS_MORE: &str = "its address named a database or options, which the new one does not";
const DATABASE_MORE: &str = "its address named options, which the new one does not";
const TWO: &str =
    "there are two of this kind with different values: one of them may be for something else than the bucket";
const NO_SCHEME: &str = "it was written without https://, and will begin with it";
const MORE_HOSTS: &str = "it named other hosts too, which are left out";
const SLASH: &str = "it ended in a slash, which is left out";
const LEADS_BACK: &str = "its value names a place of the old estate, and would lead there";

/// What becomes of one variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// The recovery computes it.
    Computed(Computed),
    /// As it was; a rehearsal may see it.
    KeptOpenly,
    /// As it was.
    Kept,
    /// A new secret.
    Regenerated,
}

/// The same, with what a person should look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Decided {
    pub(super) what: Decision,
    pub(super) check: Option<&'static str>,
}

impl Decided {
    const fn surely(what: Decision) -> Self {
        Self { what, check: None }
    }

    const fn perhaps(what: Decision, why: &'static str) -> Self {
        Self { what, check: Some(why) }
    }

    const fn computed(what: Computed) -> Self {
        Self::surely(Decision::Computed(what))
    }

    const fn checked(what: Computed, check: Option<&'static str>) -> Self {
        Self { what: Decision::Computed(what), check }
    }
}

/// The variables of all apps, sorted.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Those of which every app has one, to the same effect.
    pub(super) all: BTreeMap<String, Decided>,
    /// What else each app has.
    pub(super) own: Vec<BTreeMap<String, Decided>>,
    /// Names whose new secret is one for all.
    pub(super) shared: Vec<String>,
    /// Names that are left out.
    pub(super) left: BTreeSet<String>,
}

/// Decides for every variable of every app.
pub(super) fn table(apps: &[Seen], places: &Places) -> Table {
    let mut table = Table { own: vec![BTreeMap::new(); apps.len()], ..Table::default() };
    let names: BTreeSet<&str> =
        apps.iter().flat_map(|app| app.variables.keys()).map(String::as_str).collect();
    for name in names {
        if is_reserved(name) || BY_THEMSELVES.iter().any(|start| name.starts_with(start)) {
            table.left.insert(name.to_owned());
            continue;
        }
        let decided: Vec<Option<Decided>> =
            apps.iter().map(|app| Some(decide(name, app.value(name)?.trim(), app, places))).collect();
        match common(&decided) {
            Some(one) => {
                if one.what == Decision::Regenerated && apps.len() > 1 && is_one(name, apps) {
                    table.shared.push(name.to_owned());
                }
                table.all.insert(name.to_owned(), one);
            }
            None => {
                for (own, decided) in table.own.iter_mut().zip(decided) {
                    own.extend(decided.map(|decided| (name.to_owned(), decided)));
                }
            }
        }
    }
    table
}

/// What is decided for every app alike; a remark about one app is one about all.
fn common(decided: &[Option<Decided>]) -> Option<Decided> {
    let first = decided.first().copied().flatten()?;
    let alike = decided.iter().all(|one| one.is_some_and(|one| one.what == first.what));
    let check = decided.iter().flatten().find_map(|one| one.check);
    alike.then_some(Decided { what: first.what, check })
}

/// All apps have the same value.
fn is_one(name: &str, apps: &[Seen]) -> bool {
    let values: BTreeSet<Option<&str>> = apps.iter().map(|app| app.value(name)).collect();
    values.len() == 1 && !values.contains(&Some(""))
}

fn decide(name: &str, value: &str, app: &Seen, places: &Places) -> Decided {
    let by_value = || {
        address(value, places)
            .or_else(|| part_of_database(name, value, places))
            .or_else(|| host(name, value, app))
    };
    if REGENERATED.contains(&name) {
        return Decided::surely(Decision::Regenerated);
    }
    if let Some(decided) = store(name, value, app, places).or_else(by_value) {
        return decided;
    }
    let kept = if HARMLESS.contains(&name) { Decision::KeptOpenly } else { Decision::Kept };
    if value.is_empty() {
        return Decided::perhaps(kept, UNREAD);
    }
    if places.names_one(value) { Decided::perhaps(kept, LEADS_BACK) } else { Decided::surely(kept) }
}

/// The whole address of a database or of a Redis.
fn address(value: &str, places: &Places) -> Option<Decided> {
    if let Some(dsn) = Dsn::parse(value) {
        let ours = places.database.as_ref().filter(|database| database.is_at(&dsn));
        return Some(match ours {
            Some(database) if database.user == dsn.user => {
                Decided::checked(Computed::DatabaseUrl, says_more(value).then_some(DATABASE_MORE))
            }
            Some(_) => Decided::checked(Computed::ReadOnlyUrl, Some(READER)),
            None => Decided::perhaps(Decision::Kept, OTHER_DATABASE),
        });
    }
    let place = redis(value)?;
    let check = redis_says_more(value).then_some(REDIS_MORE);
    Some(if places.has_redis && places.redis.contains(&place) {
        Decided::checked(Computed::RedisUrl, check)
    } else {
        Decided::perhaps(Decision::Kept, OTHER_REDIS)
    })
}

/// Whether a database's address has options of its own: the platform's has its TLS mode alone.
fn says_more(value: &str) -> bool {
    let options = value.split_once('?').map_or("", |(_, options)| options).split('&');
    options.into_iter().any(|option| !option.is_empty() && !option.starts_with("sslmode="))
}

/// One part of the database's address. Short ones (a port, a name) may be anything else: there the variable's name has to say so.
fn part_of_database(name: &str, value: &str, places: &Places) -> Option<Decided> {
    let database = places.database.as_ref()?;
    let says = |words: &[&str]| words.iter().any(|word| name.contains(word));
    let of_database = says(&["DB", "DATABASE", "PG", "POSTGRES", "SQL"]);
    let reads = places.reader.is_some() && says(&["READ", "_RO", "RO_"]);
    let pick = |whole, read| Some(Decided::computed(if reads { read } else { whole }));
    if let Some(reader) = &places.reader {
        if reader.has_password(value) && !value.is_empty() {
            return Some(Decided::computed(Computed::ReadOnlyPassword));
        }
        if reader.user == value {
            return Some(Decided::checked(Computed::ReadOnlyUser, Some(READER)));
        }
    }
    if value.is_empty() {
        return None;
    }
    if database.has_password(value) {
        return Some(Decided::computed(Computed::DatabasePassword));
    }
    if value == database.host {
        return pick(Computed::DatabaseHost, Computed::ReadOnlyHost);
    }
    if !of_database {
        return None;
    }
    // The platform gives the database and its user the same name.
    let is_user = value == database.user && says(&["USER", "LOGIN", "ROLE"]);
    match () {
        () if is_user => Some(Decided::computed(Computed::DatabaseUser)),
        () if value == database.name => pick(Computed::DatabaseName, Computed::ReadOnlyName),
        () if value == database.user => Some(Decided::computed(Computed::DatabaseUser)),
        () if value == database.port.to_string() => pick(Computed::DatabasePort, Computed::ReadOnlyPort),
        () => None,
    }
}

/// The bucket and what belongs to it, by their names: where there is no bucket, such a key pair is for something else.
fn store(name: &str, value: &str, app: &Seen, places: &Places) -> Option<Decided> {
    let (_, bucket) = places.bucket.as_ref()?;
    if BUCKETS.contains(&name) {
        let same = value == bucket.expose_secret().trim();
        return Some(if same {
            Decided::computed(Computed::BucketName)
        } else {
            Decided::perhaps(Decision::Kept, OTHER_BUCKET)
        });
    }
    let (_, computed) = STORE.iter().find(|(known, _)| *known == name)?;
    let bare = *computed == Computed::BucketEndpoint && !value.is_empty() && !value.contains("://");
    let kin = STORE.iter().filter(|(_, kind)| kind == computed);
    let two = kin.filter_map(|(other, _)| app.value(other)).any(|theirs| theirs != value);
    Some(Decided::checked(*computed, two.then_some(TWO).or_else(|| bare.then_some(NO_SCHEME))))
}

/// The app's own host names.
fn host(name: &str, value: &str, app: &Seen) -> Option<Decided> {
    let primary = app.domains.first();
    let default = app.default_host.as_ref();
    let own = |host: &str| app.domains.iter().chain(default).any(|known| known.eq_ignore_ascii_case(host));
    let list: Vec<&str> = value.split(',').map(str::trim).filter(|host| !host.is_empty()).collect();
    let known = list.iter().filter(|host| own(host)).count();
    let for_hosts = name.ends_with("ALLOWED_HOSTS");
    if known > 0 && known == list.len() && (for_hosts || known > 1) {
        return Some(Decided::computed(Computed::Hosts));
    }
    if known > 0 && for_hosts {
        return Some(Decided::checked(Computed::Hosts, Some(MORE_HOSTS)));
    }
    if default.is_some_and(|default| default == value) {
        return Some(Decided::computed(Computed::DefaultHost));
    }
    let primary = primary?;
    if primary == value {
        return Some(Decided::computed(Computed::PrimaryHost));
    }
    let bare = value.trim_end_matches('/');
    let is_url = bare.strip_prefix("https://") == Some(primary.as_str());
    is_url.then(|| Decided::checked(Computed::PrimaryUrl, (bare != value).then_some(SLASH)))
}

#[cfg(test)]
pub(super) mod tests;
