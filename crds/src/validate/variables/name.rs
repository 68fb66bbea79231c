//! What the platform takes as the name and the value of a variable.

/// The longest value, in characters.
const MAX_VALUE: usize = 32_768;

/// The longest name, in characters.
const MAX_NAME: usize = 64;

/// Set by the platform itself (in containers, at build time), by its addons, or by this program as its mark of ownership.
const RESERVED: [&str; 22] = [
    "APP",
    "CONTAINER",
    "CONTAINER_MEMORY",
    "CONTAINER_SIZE",
    "CONTAINER_VERSION",
    "HOSTNAME",
    "PORT",
    "REGION_NAME",
    "REPRISE_REQUEST",
    "SCALINGO_APPLICATION_ID",
    "SCALINGO_ELASTICSEARCH_URL",
    "SCALINGO_INFLUX_URL",
    "SCALINGO_MONGO_URL",
    "SCALINGO_MYSQL_URL",
    "SCALINGO_OPENSEARCH_URL",
    "SCALINGO_POSTGRESQL_URL",
    "SCALINGO_PRIVATE_HOSTNAME",
    "SCALINGO_PRIVATE_NETWORK_ID",
    "SCALINGO_REDIS_URL",
    "SCALINGO_USER_ID",
    "SOURCE_VERSION",
    "STACK",
];

/// Whether somebody else sets a variable of this name.
pub fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name)
}

/// What is wrong with the name of a variable.
pub(super) fn wrong(name: &str) -> Option<&'static str> {
    let sound = name.len() <= MAX_NAME
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !sound {
        return Some(
            "is not the name of a variable: at most 64 letters, digits and underscores, a letter first",
        );
    }
    is_reserved(name).then_some("is a name that the platform or the recovery sets itself")
}

/// What is wrong with a value.
pub(super) fn wrong_value(value: &str) -> Option<&'static str> {
    if value.trim().is_empty() {
        return Some("is blank, which the platform refuses; leave the variable out to have it unset");
    }
    if value.contains('\0') {
        return Some("holds a NUL, which no environment can");
    }
    (value.chars().count() > MAX_VALUE).then_some("is longer than 32,768 characters, the platform's limit")
}
