//! The extensions of PostgreSQL that the platform offers. It has no call that lists them before a database is there, so this is what it
//! publishes.

/// What a customer may create. Source: user documentation "Managing PostgreSQL extensions", read 2026-08.
pub const OFFERED: [&str; 29] = [
    "anon",
    "btree_gin",
    "btree_gist",
    "citext",
    "cube",
    "dblink",
    "dict_int",
    "earthdistance",
    "fuzzystrmatch",
    "hstore",
    "intarray",
    "isn",
    "ltree",
    "pg_repack",
    "pg_stat_statements",
    "pg_trgm",
    "pgcrypto",
    "pgrowlocks",
    "postgis",
    "postgis_raster",
    "postgis_sfcgal",
    "postgis_tiger_geocoder",
    "postgis_topology",
    "postgres_fdw",
    "tablefunc",
    "timescaledb",
    "unaccent",
    "uuid-ossp",
    "vector",
];

/// What a customer may create and not restore: its dumps need rights that only the vendor's support has. Source: user documentation
/// "TimescaleDB extension", read 2026-08.
pub const BY_SUPPORT: [&str; 1] = ["timescaledb"];
