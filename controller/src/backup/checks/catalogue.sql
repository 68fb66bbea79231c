-- Kind and path of every object of the users', as a dump's table of contents names them.
WITH n AS (
  SELECT oid, nspname FROM pg_catalog.pg_namespace
  WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
), c AS (
  SELECT c.oid, c.relkind, c.relname, c.relrowsecurity, c.relispopulated,
         n.nspname || ' ' || c.relname AS path, n.nspname,
         CASE c.relkind WHEN 'r' THEN 'TABLE' WHEN 'p' THEN 'TABLE' WHEN 'v' THEN 'VIEW'
           WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE' WHEN 'f' THEN 'FOREIGN TABLE'
           WHEN 'c' THEN 'TYPE' ELSE 'INDEX' END AS kind
  FROM pg_catalog.pg_class c JOIN n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'c', 'i', 'I')
), p AS (
  SELECT p.oid, n.nspname,
         quote_ident(p.proname) || '(' || pg_catalog.pg_get_function_identity_arguments(p.oid) || ')' AS identity,
         CASE p.prokind WHEN 'a' THEN 'AGGREGATE' WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END AS kind,
         p.proname || '(' || CASE WHEN p.prokind = 'a' AND p.pronargs = 0 THEN '*' ELSE coalesce((
           SELECT string_agg(pg_catalog.format_type(a.type, NULL), ', ' ORDER BY a.place)
           FROM unnest(p.proargtypes) WITH ORDINALITY AS a (type, place)), '') END || ')' AS signature
  FROM pg_catalog.pg_proc p JOIN n ON n.oid = p.pronamespace
), k AS (
  SELECT k.oid, k.contype, c.nspname, c.relname, k.conname
  FROM pg_catalog.pg_constraint k JOIN c ON c.oid = k.conrelid
)
SELECT 'SCHEMA' AS kind, nspname::text AS path FROM n
UNION ALL SELECT 'EXTENSION', extname::text FROM pg_catalog.pg_extension
UNION ALL SELECT kind, path::text FROM c
UNION ALL SELECT 'MATERIALIZED VIEW DATA', path::text FROM c WHERE relkind = 'm' AND relispopulated
UNION ALL SELECT 'ROW SECURITY', path::text FROM c WHERE relrowsecurity
UNION ALL SELECT CASE WHEN c.kind = 'INDEX' THEN 'INDEX ATTACH' ELSE 'TABLE ATTACH' END, c.path::text
  FROM pg_catalog.pg_inherits i JOIN c ON c.oid = i.inhrelid
UNION ALL SELECT CASE contype WHEN 'f' THEN 'FK CONSTRAINT' WHEN 'c' THEN 'CHECK CONSTRAINT' ELSE 'CONSTRAINT' END,
  nspname || ' ' || relname || ' ' || conname FROM k
UNION ALL SELECT 'CHECK CONSTRAINT', n.nspname || ' ' || t.typname || ' ' || k.conname
  FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_type t ON t.oid = k.contypid JOIN n ON n.oid = t.typnamespace
UNION ALL SELECT 'TRIGGER', c.path || ' ' || t.tgname
  FROM pg_catalog.pg_trigger t JOIN c ON c.oid = t.tgrelid WHERE NOT t.tgisinternal
UNION ALL SELECT 'POLICY', c.path || ' ' || y.polname FROM pg_catalog.pg_policy y JOIN c ON c.oid = y.polrelid
UNION ALL SELECT 'RULE', c.path || ' ' || r.rulename FROM pg_catalog.pg_rewrite r JOIN c ON c.oid = r.ev_class
UNION ALL SELECT 'DEFAULT', c.path || ' ' || a.attname
  FROM pg_catalog.pg_attrdef d JOIN c ON c.oid = d.adrelid
  JOIN pg_catalog.pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
UNION ALL SELECT 'SEQUENCE OWNED BY', c.path::text FROM c
  WHERE c.relkind = 'S' AND EXISTS (SELECT FROM pg_catalog.pg_depend d
    WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('a', 'i')
      AND d.refobjsubid > 0)
UNION ALL SELECT p.kind, p.nspname || ' ' || p.signature FROM p
UNION ALL SELECT CASE t.typtype WHEN 'd' THEN 'DOMAIN' ELSE 'TYPE' END, n.nspname || ' ' || t.typname
  FROM pg_catalog.pg_type t JOIN n ON n.oid = t.typnamespace WHERE t.typtype IN ('b', 'd', 'e', 'm', 'r')
UNION ALL SELECT 'COLLATION', n.nspname || ' ' || o.collname
  FROM pg_catalog.pg_collation o JOIN n ON n.oid = o.collnamespace
UNION ALL SELECT 'STATISTICS', n.nspname || ' ' || s.stxname
  FROM pg_catalog.pg_statistic_ext s JOIN n ON n.oid = s.stxnamespace
UNION ALL SELECT 'TEXT SEARCH CONFIGURATION', n.nspname || ' ' || f.cfgname
  FROM pg_catalog.pg_ts_config f JOIN n ON n.oid = f.cfgnamespace
UNION ALL SELECT 'TEXT SEARCH DICTIONARY', n.nspname || ' ' || d.dictname
  FROM pg_catalog.pg_ts_dict d JOIN n ON n.oid = d.dictnamespace
UNION ALL SELECT 'PUBLICATION', pubname::text FROM pg_catalog.pg_publication
UNION ALL SELECT 'FOREIGN DATA WRAPPER', fdwname::text FROM pg_catalog.pg_foreign_data_wrapper
UNION ALL SELECT 'SERVER', srvname::text FROM pg_catalog.pg_foreign_server
-- Comments, as "SCHEMA WHAT NAME".
UNION ALL SELECT 'COMMENT', CASE WHEN d.objsubid = 0 THEN c.nspname || ' ' || c.kind || ' ' || quote_ident(c.relname)
    ELSE c.nspname || ' COLUMN ' || quote_ident(c.relname) || '.' || quote_ident(a.attname) END
  FROM pg_catalog.pg_description d JOIN c ON c.oid = d.objoid
  LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.objsubid
  WHERE d.classoid = 'pg_catalog.pg_class'::regclass
UNION ALL SELECT 'COMMENT', k.nspname || ' CONSTRAINT ' || quote_ident(k.conname) || ' ON ' || quote_ident(k.relname)
  FROM pg_catalog.pg_description d JOIN k ON k.oid = d.objoid
  WHERE d.classoid = 'pg_catalog.pg_constraint'::regclass
UNION ALL SELECT 'COMMENT', c.nspname || ' TRIGGER ' || quote_ident(t.tgname) || ' ON ' || quote_ident(c.relname)
  FROM pg_catalog.pg_description d JOIN pg_catalog.pg_trigger t ON t.oid = d.objoid JOIN c ON c.oid = t.tgrelid
  WHERE d.classoid = 'pg_catalog.pg_trigger'::regclass
UNION ALL SELECT 'COMMENT', p.nspname || ' ' || p.kind || ' ' || p.identity
  FROM pg_catalog.pg_description d JOIN p ON p.oid = d.objoid WHERE d.classoid = 'pg_catalog.pg_proc'::regclass
UNION ALL SELECT 'COMMENT', n.nspname || ' ' || CASE t.typtype WHEN 'd' THEN 'DOMAIN ' ELSE 'TYPE ' END
    || quote_ident(t.typname)
  FROM pg_catalog.pg_description d JOIN pg_catalog.pg_type t ON t.oid = d.objoid JOIN n ON n.oid = t.typnamespace
  WHERE d.classoid = 'pg_catalog.pg_type'::regclass
UNION ALL SELECT 'COMMENT', 'SCHEMA ' || quote_ident(n.nspname)
  FROM pg_catalog.pg_description d JOIN n ON n.oid = d.objoid
  WHERE d.classoid = 'pg_catalog.pg_namespace'::regclass
