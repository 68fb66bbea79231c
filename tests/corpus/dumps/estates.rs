//! The databases that dumps are made from.

/// A small shop with a mark for each thing that surgery changes.
pub(crate) const TILL: &str = r"
CREATE EXTENSION pg_trgm;
CREATE TABLE public.client (id serial PRIMARY KEY, nom text NOT NULL);
CREATE TABLE public.facture (
  id serial PRIMARY KEY, client integer NOT NULL REFERENCES public.client (id), montant integer NOT NULL);
CREATE TABLE public.journal (ligne text);
CREATE INDEX client_nom ON public.client USING gin (nom public.gin_trgm_ops);
COMMENT ON TABLE public.client IS 'clients de la caisse';
INSERT INTO public.client (nom) SELECT 'client numero ' || n FROM generate_series(1, 49) AS n;
INSERT INTO public.client (nom) VALUES ('Zoé Durand');
INSERT INTO public.facture (client, montant)
  SELECT n % 50 + 1, CASE n WHEN 500 THEN 424242 ELSE n END FROM generate_series(1, 2000) AS n;
INSERT INTO public.journal SELECT md5(n::text) FROM generate_series(1, 500) AS n;
INSERT INTO public.journal VALUES ('avant apres');
SELECT lo_from_bytea(0, decode(repeat('00ff17', 20000), 'hex'));
SELECT lo_from_bytea(0, 'bonjour');
";

/// A check that looks for its table by a bare name finds none under the empty search path of a restore.
pub(crate) const BARE_NAME: &str = "
CREATE TABLE public.connus (nom text PRIMARY KEY);
CREATE FUNCTION public.est_connu(n text) RETURNS boolean LANGUAGE plpgsql AS
  'begin return exists (select from connus where nom = n); end';
INSERT INTO public.connus VALUES ('Zoé');
CREATE TABLE public.invites (id serial PRIMARY KEY, nom text CHECK (public.est_connu(nom)));
INSERT INTO public.invites (nom) VALUES ('Zoé'), ('Zoé');
";

/// Owners, grants and default privileges of roles that are nowhere else.
pub(crate) const OWNERS: &str = r#"
CREATE ROLE chef; CREATE ROLE "aide de camp";
CREATE SCHEMA atelier AUTHORIZATION chef;
CREATE TABLE atelier.piece (id serial PRIMARY KEY, nom text);
ALTER TABLE atelier.piece OWNER TO chef;
CREATE TABLE public.outil (id serial PRIMARY KEY);
ALTER TABLE public.outil OWNER TO "aide de camp";
CREATE FUNCTION public.compte() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM public.outil';
ALTER FUNCTION public.compte() OWNER TO chef;
INSERT INTO atelier.piece (nom) VALUES ('clou'), ('vis');
INSERT INTO public.outil DEFAULT VALUES;
GRANT SELECT ON public.outil TO chef WITH GRANT OPTION;
GRANT SELECT (nom) ON atelier.piece TO "aide de camp";
REVOKE ALL ON FUNCTION public.compte() FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE chef IN SCHEMA atelier GRANT SELECT ON TABLES TO "aide de camp";
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO "aide de camp";
"#;

/// Names that are hard to quote, to list and to compare.
pub(crate) const NAMES: &str = r#"
CREATE SCHEMA "autre lieu";
CREATE TABLE "autre lieu"."Élèves; Type: TABLE; Schema: public" (id serial PRIMARY KEY, "a""b" text);
CREATE TABLE public."deux
lignes" (id integer PRIMARY KEY);
CREATE TABLE public."fin " (id integer);
CREATE TABLE public."error: from TOC entry 3" (id integer PRIMARY KEY);
CREATE TABLE public."while INITIALIZING; finished item 1" (id integer PRIMARY KEY);
INSERT INTO public."error: from TOC entry 3" VALUES (1);
CREATE TABLE public."-- Name: x; Type: TABLE DATA" (id integer);
CREATE TABLE public."TABLE DATA" ("COPY" text);
CREATE TABLE public."order" ("select" integer CHECK ("select" > 0));
CREATE FUNCTION public."f(x)"("un nom" integer, VARIADIC r text[]) RETURNS integer LANGUAGE sql AS 'SELECT 1';
CREATE INDEX "index ; --" ON public."fin " (id);
CREATE SEQUENCE public."s'q";
SELECT setval('public."s''q"', 41);
INSERT INTO "autre lieu"."Élèves; Type: TABLE; Schema: public" ("a""b") VALUES ('x'), (E'\\.'), (E'\n');
INSERT INTO public."deux
lignes" VALUES (1), (2), (3);
INSERT INTO public."fin " VALUES (1);
INSERT INTO public."-- Name: x; Type: TABLE DATA" VALUES (7), (8);
INSERT INTO public."TABLE DATA" VALUES (E'\\restrict abc'), ('COPY public.x FROM stdin;'), ('-- Data for Name: y');
INSERT INTO public."order" VALUES (1);
COMMENT ON TABLE public."fin " IS E'deux\nlignes -- et un tiret';
COMMENT ON COLUMN "autre lieu"."Élèves; Type: TABLE; Schema: public"."a""b" IS 'c';
"#;

/// Text that looks like the end of something.
pub(crate) const TRAPS: &str = r"
CREATE TABLE public.piege (t text, b bytea, j jsonb, a text[], n numeric, v text);
INSERT INTO public.piege VALUES
  (E'\\.', '\x5c2e0a', '{}', '{}', 'NaN', NULL), (E'\\restrict k', '\x', NULL, '{NULL}', NULL, '\N'),
  (E'\\unrestrict k', '\x00', '[]', '{{1},{2}}', 0, ''), (E'a\nCOPY public.piege FROM stdin;\n\\.\n', NULL, NULL, NULL, 1e300, E'\t'),
  ('--', '\x2d2d', NULL, NULL, NULL, ';'), (repeat('x', 100000), NULL, NULL, NULL, NULL, E'\x01');
CREATE FUNCTION public.corps() RETURNS trigger LANGUAGE plpgsql AS $f$
begin
/*
COPY public.faux (a) FROM stdin;
1
\.
\restrict rien
*/
COPY public.faux (a) FROM stdin;
return new; end $f$;
CREATE TABLE public.apres (id integer);
INSERT INTO public.apres SELECT generate_series(1, 10);
CREATE VIEW public.vue AS SELECT ';''--$$' AS texte;
";

/// Every kind of thing that stands in a dump without rows of its own, or in an unusual place.
pub(crate) const ZOO: &str = r#"
CREATE TYPE public.humeur AS ENUM ('gai', 'triste');
CREATE TYPE public.paire AS (a integer, b text);
CREATE DOMAIN public.positif AS integer CONSTRAINT plus_que_rien CHECK (VALUE > 0);
CREATE COLLATION public.ordre FROM pg_catalog."C";
CREATE TABLE public.mesure (jour date NOT NULL, valeur integer) PARTITION BY RANGE (jour);
CREATE TABLE public.mesure_2025 PARTITION OF public.mesure FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE public.mesure_2026 PARTITION OF public.mesure FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE INDEX mesure_jour ON public.mesure (jour);
CREATE TABLE public.parent (id integer PRIMARY KEY, p public.positif);
CREATE TABLE public.enfant (extra text) INHERITS (public.parent);
CREATE TABLE public.genere (a integer, b integer GENERATED ALWAYS AS (a * 2) STORED,
  id bigint GENERATED ALWAYS AS IDENTITY (INCREMENT BY -2 START -1 MINVALUE -100000), h public.humeur, c public.paire);
CREATE UNLOGGED TABLE public.cache (k text PRIMARY KEY);
CREATE TABLE public.a (id integer PRIMARY KEY, b integer);
CREATE TABLE public.b (id integer PRIMARY KEY, a integer REFERENCES public.a DEFERRABLE);
ALTER TABLE public.a ADD FOREIGN KEY (b) REFERENCES public.b DEFERRABLE;
CREATE TABLE public.sans_colonne ();
CREATE MATERIALIZED VIEW public.totaux AS SELECT sum(valeur) AS total FROM public.mesure;
CREATE MATERIALIZED VIEW public.totaux_des_totaux AS SELECT total * 2 AS double FROM public.totaux;
CREATE MATERIALIZED VIEW public.jamais AS SELECT 1 AS x WITH NO DATA;
CREATE VIEW public.vue AS SELECT a FROM public.genere;
CREATE RULE rien AS ON INSERT TO public.vue DO INSTEAD NOTHING;
CREATE FUNCTION public.plus(a integer, b integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT a + b';
CREATE AGGREGATE public.somme (integer) (sfunc = public.plus, stype = integer);
CREATE OPERATOR public.@+ (LEFTARG = integer, RIGHTARG = integer, FUNCTION = public.plus);
CREATE PROCEDURE public.fait(INOUT x integer) LANGUAGE sql AS 'SELECT x';
CREATE CAST (public.paire AS text) WITH INOUT;
CREATE STATISTICS public.liees ON a, b FROM public.genere;
CREATE TEXT SEARCH CONFIGURATION public.fr (COPY = pg_catalog.french);
CREATE FUNCTION public.t() RETURNS trigger LANGUAGE plpgsql AS 'begin return new; end';
CREATE TRIGGER t BEFORE INSERT ON public.a FOR EACH ROW EXECUTE FUNCTION public.t();
ALTER TABLE public.a DISABLE TRIGGER t;
ALTER TABLE public.b ADD CONSTRAINT tardive CHECK (id < 10) NOT VALID;
ALTER TABLE public.b ENABLE ROW LEVEL SECURITY;
CREATE POLICY tout ON public.b USING (true);
INSERT INTO public.mesure SELECT '2025-06-01'::date + n, n FROM generate_series(1, 500) AS n;
INSERT INTO public.parent VALUES (1, 1), (2, 2);
INSERT INTO public.enfant VALUES (3, 3, 'x');
INSERT INTO public.genere (a, h, c) SELECT n, 'gai', '(1,x)'::public.paire FROM generate_series(1, 20) AS n;
INSERT INTO public.cache VALUES ('x');
INSERT INTO public.sans_colonne DEFAULT VALUES; INSERT INTO public.sans_colonne DEFAULT VALUES;
INSERT INTO public.a VALUES (1, NULL); INSERT INTO public.b VALUES (1, 1); UPDATE public.a SET b = 1;
REFRESH MATERIALIZED VIEW public.totaux; REFRESH MATERIALIZED VIEW public.totaux_des_totaux;
COMMENT ON TYPE public.humeur IS 'h'; COMMENT ON CONSTRAINT tardive ON public.b IS 'c';
COMMENT ON COLUMN public.genere.a IS 'a'; COMMENT ON FUNCTION public.plus(integer, integer) IS 'p';
"#;

/// What an ordinary owner makes and the zoo has not.
pub(crate) const WORKSHOP: &str = r#"
CREATE TYPE public.creneau AS RANGE (subtype = timestamptz, multirange_type_name = public.creneaux);
CREATE TYPE public.adresse AS (rue text, ville text);
CREATE DOMAIN public.code AS text COLLATE "C" DEFAULT 'X' CONSTRAINT court CHECK (length(VALUE) < 9) NOT NULL;
CREATE DOMAIN public.codes AS public.code[];
CREATE TABLE public.modele OF public.adresse (PRIMARY KEY (rue));
CREATE TABLE public.atelier (
  id integer GENERATED ALWAYS AS IDENTITY (START 10 INCREMENT 5 CYCLE) PRIMARY KEY, a public.adresse, tous public.adresse[],
  c public.code, plusieurs public.codes, quand public.creneau, quands public.creneaux,
  ville text GENERATED ALWAYS AS (upper((a).ville)) STORED,
  EXCLUDE USING gist (quand WITH &&), UNIQUE NULLS NOT DISTINCT (c) DEFERRABLE INITIALLY DEFERRED);
CREATE UNLOGGED TABLE public.brouillon (id bigint GENERATED BY DEFAULT AS IDENTITY, t text); ALTER TABLE public.brouillon ALTER COLUMN t SET STORAGE EXTERNAL;
CREATE TABLE public.an (annee integer, mois integer, PRIMARY KEY (annee, mois)) PARTITION BY LIST (annee);
CREATE TABLE public.an_2026 PARTITION OF public.an FOR VALUES IN (2026) PARTITION BY RANGE (mois);
CREATE TABLE public.an_2026_a PARTITION OF public.an_2026 FOR VALUES FROM (1) TO (7);
CREATE TABLE public.an_reste PARTITION OF public.an DEFAULT;
CREATE TABLE public.ligne (annee integer, mois integer, FOREIGN KEY (annee, mois) REFERENCES public.an ON DELETE CASCADE);
CREATE SEQUENCE public.seule AS smallint INCREMENT -3 MINVALUE -100 MAXVALUE 50 START 20 CYCLE;
CREATE VIEW public.vue_gardee WITH (security_barrier) AS SELECT id, c FROM public.atelier WHERE id > 0 WITH CASCADED CHECK OPTION;
ALTER VIEW public.vue_gardee ALTER COLUMN c SET DEFAULT 'V';
CREATE RECURSIVE VIEW public.suite (n) AS VALUES (1) UNION ALL SELECT n + 1 FROM suite WHERE n < 5;
CREATE MATERIALIZED VIEW public.par_ville AS SELECT ville, count(*) AS n FROM public.atelier GROUP BY ville;
CREATE UNIQUE INDEX par_ville_u ON public.par_ville (ville);
CREATE FUNCTION public.f(a integer DEFAULT 1, OUT b integer, VARIADIC c integer[] DEFAULT '{}') LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION public.f(a text) RETURNS TABLE (x integer) LANGUAGE sql BEGIN ATOMIC SELECT 1; END;
CREATE FUNCTION public.garde() RETURNS trigger LANGUAGE plpgsql AS 'begin return null; end';
CREATE CONSTRAINT TRIGGER garde AFTER INSERT ON public.atelier DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.garde();
CREATE TRIGGER suivi AFTER UPDATE ON public.an REFERENCING NEW TABLE AS n FOR EACH STATEMENT EXECUTE FUNCTION public.garde();
CREATE INDEX atelier_e ON public.atelier ((lower((a).rue)), id DESC NULLS LAST) INCLUDE (c) WHERE id > 10;
ALTER INDEX public.atelier_e ALTER COLUMN 1 SET STATISTICS 100;
ALTER TABLE public.atelier CLUSTER ON atelier_pkey; ALTER TABLE public.atelier REPLICA IDENTITY FULL;
ALTER TABLE public.atelier ALTER COLUMN c SET STATISTICS 7, ALTER COLUMN c SET (n_distinct = 5), SET (fillfactor = 70);
CREATE STATISTICS public.liees ON lower((a).rue), id FROM public.atelier;
CREATE CONVERSION public.vers FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
CREATE TEXT SEARCH DICTIONARY public.simple_fr (TEMPLATE = pg_catalog.simple, stopwords = 'french');
CREATE COLLATION public.sans_casse (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
INSERT INTO public.modele VALUES ('r', 'v');
INSERT INTO public.atelier (a, tous, c, plusieurs, quand, quands)
  SELECT ROW('rue ' || n, 'Lyon')::public.adresse, ARRAY[ROW('a', 'b')::public.adresse], 'c' || n, ARRAY['x', 'y'],
         public.creneau(now() + n * interval '1 day', now() + (n + 1) * interval '1 day'), '{}' FROM generate_series(1, 9) AS n;
INSERT INTO public.brouillon (t) VALUES ('perdu en cas de panne');
INSERT INTO public.an VALUES (2026, 3), (2026, 6), (2020, 1); INSERT INTO public.ligne VALUES (2026, 3), (2020, 1);
SELECT nextval('public.seule'), nextval('public.seule');
REFRESH MATERIALIZED VIEW public.par_ville;
SELECT lo_from_bytea(4242, 'bonjour'), lo_create(4243); COMMENT ON LARGE OBJECT 4242 IS 'salut'; GRANT SELECT ON LARGE OBJECT 4242 TO PUBLIC;
COMMENT ON DOMAIN public.code IS 'd'; COMMENT ON CONSTRAINT court ON DOMAIN public.code IS 'cd'; COMMENT ON COLUMN public.adresse.rue IS 'r';
COMMENT ON MATERIALIZED VIEW public.par_ville IS 'm'; COMMENT ON TRIGGER suivi ON public.an IS 's'; COMMENT ON INDEX public.atelier_e IS 'i';
COMMENT ON CONVERSION public.vers IS 'v'; COMMENT ON STATISTICS public.liees IS 'l'; COMMENT ON COLLATION public.sans_casse IS 's';
COMMENT ON TEXT SEARCH DICTIONARY public.simple_fr IS 'f'; COMMENT ON TYPE public.creneau IS 'c'; COMMENT ON SEQUENCE public.seule IS 'q';
"#;

/// What only a superuser makes.
pub(crate) const SUPERUSER: &str = "
CREATE TABLE public.x (id integer PRIMARY KEY);
INSERT INTO public.x VALUES (1);
CREATE FUNCTION public.e() RETURNS event_trigger LANGUAGE plpgsql AS 'begin end';
CREATE EVENT TRIGGER guet ON ddl_command_end EXECUTE FUNCTION public.e();
CREATE EVENT TRIGGER dort ON sql_drop WHEN TAG IN ('DROP TABLE') EXECUTE FUNCTION public.e();
ALTER EVENT TRIGGER dort DISABLE;
CREATE SCHEMA publie;
CREATE TABLE publie.y (id integer PRIMARY KEY, secret text);
INSERT INTO publie.y VALUES (1, 's');
CREATE PUBLICATION tout FOR ALL TABLES;
CREATE PUBLICATION partie FOR TABLE publie.y (id) WHERE (id > 0), TABLE public.x;
CREATE PUBLICATION ailleurs FOR TABLES IN SCHEMA publie;
CREATE SUBSCRIPTION abonne CONNECTION 'host=/nowhere dbname=x' PUBLICATION p WITH (connect = false, slot_name = NONE);
COMMENT ON EVENT TRIGGER guet IS 'g'; COMMENT ON PUBLICATION tout IS 't'; COMMENT ON PUBLICATION partie IS 'p';
COMMENT ON SUBSCRIPTION abonne IS 'a';
";

/// Extensions in schemas of their own, one that needs another elsewhere, and those that only a superuser makes.
pub(crate) const EXTENSIONS: &str = r#"
CREATE SCHEMA outils; CREATE SCHEMA "autre lieu";
CREATE EXTENSION hstore SCHEMA outils; CREATE EXTENSION tablefunc SCHEMA outils;
CREATE EXTENSION cube SCHEMA "autre lieu"; CREATE EXTENSION earthdistance SCHEMA outils;
CREATE EXTENSION pg_stat_statements SCHEMA outils; CREATE EXTENSION pageinspect SCHEMA "autre lieu";
SET search_path = outils, "autre lieu";
CREATE TABLE public.lieu (id serial PRIMARY KEY, h hstore, point earth);
INSERT INTO public.lieu (h, point) SELECT 'x=>1', ll_to_earth(48, n) FROM generate_series(1, 30) AS n;
CREATE INDEX lieu_h ON public.lieu USING gin (h);
CREATE VIEW public.lentes AS SELECT query FROM pg_stat_statements;
CREATE FUNCTION public.croise(text) RETURNS SETOF tablefunc_crosstab_2 LANGUAGE sql AS 'SELECT NULL::outils.tablefunc_crosstab_2';
CREATE TABLE outils.marteau (id integer); INSERT INTO outils.marteau VALUES (1);
COMMENT ON SCHEMA outils IS 'o';
"#;

/// An extension that lets users fill a table and a sequence of its own, as PostGIS does, and keeps others to itself.
pub(crate) const FILLED: &str = "
CREATE EXTENSION hstore;
CREATE TABLE public.spatial_ref_sys (srid integer PRIMARY KEY, nom text);
CREATE SEQUENCE public.prochain;
INSERT INTO public.spatial_ref_sys VALUES (4326, 'monde'), (2154, 'lambert');
ALTER EXTENSION hstore ADD TABLE public.spatial_ref_sys; ALTER EXTENSION hstore ADD SEQUENCE public.prochain;
CREATE TABLE public.prive (id serial PRIMARY KEY);
ALTER EXTENSION hstore ADD TABLE public.prive; ALTER EXTENSION hstore ADD SEQUENCE public.prive_id_seq;
UPDATE pg_catalog.pg_extension SET
  extconfig = ARRAY['public.spatial_ref_sys'::regclass::oid, 'public.prochain'::regclass::oid],
  extcondition = ARRAY['WHERE srid > 900000', ''] WHERE extname = 'hstore';
";

/// Rows that their own owner does not see, and a sequence that feeds them.
pub(crate) const VEILED: &str = r#"
CREATE TABLE public."compte client" (id serial PRIMARY KEY, locataire integer NOT NULL);
INSERT INTO public."compte client" (locataire) SELECT n % 3 FROM generate_series(1, 1000) AS n;
CREATE TABLE public.registre (jour date NOT NULL, locataire integer) PARTITION BY RANGE (jour);
CREATE TABLE public.registre_2026 PARTITION OF public.registre FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
INSERT INTO public.registre SELECT '2026-01-01'::date + n, n % 3 FROM generate_series(1, 300) AS n;
ALTER TABLE public."compte client" ENABLE ROW LEVEL SECURITY; ALTER TABLE public."compte client" FORCE ROW LEVEL SECURITY;
ALTER TABLE public.registre_2026 ENABLE ROW LEVEL SECURITY; ALTER TABLE public.registre_2026 FORCE ROW LEVEL SECURITY;
CREATE POLICY sien ON public."compte client" USING (locataire = current_setting('app.locataire', true)::integer);
CREATE POLICY sien ON public.registre_2026 USING (locataire = current_setting('app.locataire', true)::integer);
"#;

/// A year a partition.
pub(crate) const ROTATED: &str = "
CREATE TABLE public.mesure (id serial, jour date NOT NULL, PRIMARY KEY (id, jour)) PARTITION BY RANGE (jour);
CREATE TABLE public.mesure_2025 PARTITION OF public.mesure FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE public.mesure_2026 PARTITION OF public.mesure FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
INSERT INTO public.mesure (jour) SELECT '2025-01-01'::date + n FROM generate_series(1, 250) AS n;
INSERT INTO public.mesure (jour) SELECT '2026-01-01'::date + n FROM generate_series(1, 200) AS n;
";

/// Photographs, each a large object of ten bytes that a row names.
pub(crate) const ALBUM: &str = "
CREATE TABLE public.photo (id serial PRIMARY KEY, image oid NOT NULL);
INSERT INTO public.photo (image) SELECT lo_from_bytea(0, 'dix octets') FROM generate_series(1, 40) AS n;
";

/// What stands on files of the system's.
pub(crate) const FILES: &str = "
CREATE COLLATION public.ordre (provider = libc, locale = 'C.utf8');
CREATE TEXT SEARCH DICTIONARY public.mots (TEMPLATE = pg_catalog.synonym, synonyms = 'synonym_sample');
CREATE TEXT SEARCH CONFIGURATION public.fr (COPY = pg_catalog.french);
ALTER TEXT SEARCH CONFIGURATION public.fr ALTER MAPPING FOR asciiword WITH public.mots, french_stem;
CREATE TABLE public.titre (t text COLLATE public.ordre, l tsvector);
INSERT INTO public.titre VALUES ('été', to_tsvector('public.fr', 'postgres'));
CREATE INDEX titre_t ON public.titre (t);
";

/// Tables that are elsewhere, in a server that only a superuser lets an owner ask.
pub(crate) const FOREIGN: &str = "
CREATE EXTENSION postgres_fdw;
CREATE SERVER ailleurs FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '/nowhere', dbname 'x');
CREATE USER MAPPING FOR PUBLIC SERVER ailleurs OPTIONS (user 'x', password 'y');
CREATE FOREIGN TABLE public.loin (id integer) SERVER ailleurs;
CREATE TABLE public.pres (id integer PRIMARY KEY); INSERT INTO public.pres VALUES (1);
";

/// Very many entries, and one very long one.
pub(crate) const HUGE: &str = "
DO $$ begin
  for n in 1..400 loop
    execute format('CREATE TABLE public.table_%s (id integer, valeur integer)', n);
    execute format('INSERT INTO public.table_%s VALUES (%s, %s)', n, n, n);
    execute format('COMMENT ON TABLE public.table_%s IS %L', n, repeat('mot ', 50));
  end loop;
  execute format('CREATE FUNCTION public.longue() RETURNS text LANGUAGE sql AS %L', 'SELECT ''' || repeat('long ', 200000) || '''');
end $$;
";
