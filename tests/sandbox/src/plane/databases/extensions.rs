//! Extensions as on the platform: those of a whitelist can be made by the addon's owner, and belong to the superuser.
//!
//! The platform has a server module for it. Here two event triggers do the same: the first lends the superuser's rights to the
//! one statement that makes an extension which is not `trusted` by its own file, in the statement's own transaction; the second
//! takes them back, refuses what is not on the list, and hands extensions over. Both are members of `plpgsql`, so that no dump
//! holds them.

/// What the vendor allows, separated by commas. Not all of them are installed on every machine.
pub const WHITELIST: &str = "anon,btree_gin,btree_gist,citext,cube,dblink,dict_int,earthdistance,fuzzystrmatch,hstore,intarray,isn,\
ltree,pg_repack,pg_stat_statements,pg_trgm,pgcrypto,pgrowlocks,postgis,postgis_raster,postgis_sfcgal,postgis_tiger_geocoder,\
postgis_topology,postgres_fdw,tablefunc,timescaledb,unaccent,uuid-ossp,vector";

/// The statements that set a database up, to be run once in it by the superuser.
pub(super) fn guards() -> String {
    GUARDS.replace("@whitelist@", WHITELIST)
}

const GUARDS: &str = r#"
CREATE FUNCTION pg_catalog.sandbox_caller() RETURNS name LANGUAGE sql STABLE SET search_path = pg_catalog AS
$$ SELECT CASE current_setting('role') WHEN 'none' THEN session_user ELSE current_setting('role')::name END $$;

CREATE FUNCTION pg_catalog.sandbox_extension_start() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog AS $$
DECLARE
    caller name := sandbox_caller();
    wanted text := lower(substring(current_query() FROM '(?i)create\s+extension\s+(?:if\s+not\s+exists\s+)?"?([a-z0-9_-]+)'));
BEGIN
    IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = caller)
       AND has_database_privilege(caller, current_database(), 'CREATE')
       AND wanted = ANY (string_to_array('@whitelist@', ','))
       AND EXISTS (SELECT FROM pg_available_extension_versions WHERE name = wanted AND superuser AND NOT trusted) THEN
        EXECUTE format('ALTER ROLE %I SUPERUSER', caller);
    END IF;
END $$;

CREATE FUNCTION pg_catalog.sandbox_extension_end() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog AS $$
DECLARE
    caller name := sandbox_caller();
    made record;
    kept record;
BEGIN
    IF caller = 'postgres' THEN
        RETURN;
    END IF;
    IF (SELECT rolsuper FROM pg_roles WHERE rolname = caller) THEN
        EXECUTE format('ALTER ROLE %I NOSUPERUSER', caller);
    END IF;
    FOR made IN SELECT oid, extname FROM pg_extension WHERE extowner <> 10 LOOP
        IF made.extname <> ALL (string_to_array('@whitelist@', ',')) THEN
            RAISE insufficient_privilege USING MESSAGE = format('permission denied to create extension "%s"', made.extname),
                HINT = 'Must be superuser to create this extension.';
        END IF;
        FOR kept IN SELECT * FROM (VALUES
                ('pg_proc', 'proowner'), ('pg_class', 'relowner'), ('pg_type', 'typowner'), ('pg_operator', 'oprowner'),
                ('pg_opclass', 'opcowner'), ('pg_opfamily', 'opfowner'), ('pg_namespace', 'nspowner'),
                ('pg_foreign_data_wrapper', 'fdwowner'), ('pg_ts_dict', 'dictowner'), ('pg_ts_config', 'cfgowner'),
                ('pg_conversion', 'conowner'), ('pg_collation', 'collowner'), ('pg_language', 'lanowner'))
                AS owned (catalogue, owner) LOOP
            EXECUTE format('UPDATE %I SET %I = 10 WHERE oid IN (SELECT objid FROM pg_depend WHERE deptype = ''e''
                AND refclassid = ''pg_extension''::regclass AND refobjid = %s AND classid = %L::regclass)',
                kept.catalogue, kept.owner, made.oid, kept.catalogue);
        END LOOP;
        -- The superuser is pinned: what it owns is not recorded as shared dependency.
        DELETE FROM pg_shdepend WHERE deptype = 'o' AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND ((classid = 'pg_extension'::regclass AND objid = made.oid) OR (classid, objid) IN (SELECT classid, objid
                 FROM pg_depend WHERE deptype = 'e' AND refclassid = 'pg_extension'::regclass AND refobjid = made.oid));
        UPDATE pg_extension SET extowner = 10 WHERE oid = made.oid;
    END LOOP;
END $$;

CREATE EVENT TRIGGER sandbox_extension_start ON ddl_command_start WHEN TAG IN ('CREATE EXTENSION')
    EXECUTE FUNCTION pg_catalog.sandbox_extension_start();
CREATE EVENT TRIGGER sandbox_extension_end ON ddl_command_end WHEN TAG IN ('CREATE EXTENSION')
    EXECUTE FUNCTION pg_catalog.sandbox_extension_end();
ALTER EXTENSION plpgsql ADD FUNCTION pg_catalog.sandbox_caller();
ALTER EXTENSION plpgsql ADD FUNCTION pg_catalog.sandbox_extension_start();
ALTER EXTENSION plpgsql ADD FUNCTION pg_catalog.sandbox_extension_end();
ALTER EXTENSION plpgsql ADD EVENT TRIGGER sandbox_extension_start;
ALTER EXTENSION plpgsql ADD EVENT TRIGGER sandbox_extension_end"#;
