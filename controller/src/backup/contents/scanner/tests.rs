//! A dump's text with every trap in it.

use super::*;
/// Every trap that a dump may hold: data that looks like code, and code that looks like data.
const DUMP: &str = r#"--
-- PostgreSQL database dump
--

\restrict abc'def
SET client_encoding = 'UTF8';
SELECT pg_catalog.set_config('search_path', '', false);

--
-- Name: trap(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.trap() RETURNS void LANGUAGE plpgsql AS $_$
begin
COPY public.fake (a) FROM stdin;
insert into x values ($1, 'it''s'); -- ' "
\.
end $_$;

--
-- Name: atomic(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.atomic() RETURNS void LANGUAGE sql
    BEGIN ATOMIC
 INSERT INTO public.fake VALUES (1);
 INSERT INTO public.fake VALUES (2);
END;

CREATE VIEW public.v AS SELECT E'a\'; COPY public.fake FROM stdin;' AS x, '$$' AS y; /* ; /* ' */ ; */

--
-- Data for Name: Élèves; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public."Élèves" (id, "a;b") FROM stdin;
1	one
\N	\\.
\\.	two
;	-- no comment
\.


--
-- Data for Name: nothing; Type: TABLE DATA; Schema: other place; Owner: -
--

COPY "other place".nothing (id) FROM stdin;
\.


--
-- Data for Name: by_insert; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.by_insert (a, b) VALUES (1, 'x;(y)');
INSERT INTO public.by_insert VALUES
	(2, 'it''s'),
	(3, (4));
INSERT INTO public.by_insert DEFAULT VALUES;


--
-- Data for Name: by_insert_empty; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Name: x_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.x_id_seq', 42, true);


--
-- Name: 16600; Type: BLOB; Schema: -; Owner: -
--

SELECT pg_catalog.lo_create('16600');

SELECT pg_catalog.lo_open('16600', 131072);
SELECT pg_catalog.lowrite(0, '\x00ff1700');
SELECT pg_catalog.lo_close(0);

--
-- Name: a late; Type: CHECK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE public.a
    ADD CONSTRAINT late CHECK ((x > 0)) NOT VALID;

\unrestrict abc'def
"#;

fn scan(text: &str, piece: usize) -> Result<Counts, ScanError> {
    let mut scanner = Scanner::default();
    text.as_bytes().chunks(piece).for_each(|piece| scanner.feed(piece));
    scanner.finish()
}

#[test]
fn data_is_counted_and_traps_are_not() {
    let counts = scan(DUMP, 4096).expect("a whole dump");
    let tables: Vec<_> =
        counts.tables.iter().map(|count| format!("{} {}", count.table, count.rows)).collect();
    assert_eq!(
        tables,
        ["other place.nothing 0", "public.by_insert 4", "public.by_insert_empty 0", "public.Élèves 4"]
    );
    assert_eq!(counts.table("public", "Élèves").map(|count| count.bytes), Some(37));
    assert_eq!(counts.sequences.len(), 1);
    assert_eq!((counts.large_objects, counts.large_object_bytes), (1, 4));
    assert_eq!(counts.not_valid, ["public a late"]);
}

#[test]
fn the_size_of_the_pieces_changes_nothing() {
    let whole = scan(DUMP, usize::MAX);
    for piece in 1..200 {
        assert_eq!(scan(DUMP, piece), whole, "in pieces of {piece} bytes");
    }
}

#[test]
fn a_cut_inside_of_rows_or_text_is_noticed() {
    let rows = DUMP.find("\ttwo").expect("a row");
    assert_eq!(scan(&DUMP[..rows], 64), Err(ScanError::EndsInside { inside: "the rows of a table" }));
    let body = DUMP.find("begin").expect("a body");
    assert_eq!(scan(&DUMP[..body], 64), Err(ScanError::EndsInside { inside: "a literal" }));
    let statement = DUMP.find(" NOT VALID").expect("a constraint");
    assert_eq!(scan(&DUMP[..statement], 64), Err(ScanError::EndsInside { inside: "a statement" }));
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>, piece in 1_usize..16) {
        let mut scanner = Scanner::default();
        bytes.chunks(piece).for_each(|piece| scanner.feed(piece));
        drop(scanner.finish());
    }
}

#[test]
fn where_the_text_is_cut_does_not_change_which_encoding_it_is_in() {
    let text: &[u8] = b"SET client_encoding = 'UTF8';\nSELECT '\xff\xff\xff';\nSET client_encoding = 'SQL_ASCII';\nSELECT 1;\n";
    let counted = |size: usize| {
        let mut scanner = Scanner::default();
        text.chunks(size).for_each(|piece| scanner.feed(piece));
        scanner.finish().expect("whole")
    };
    let whole = counted(text.len());
    assert!(!whole.foreign_text, "the odd bytes stand where the encoding is known");
    for size in 1..=16 {
        assert_eq!(format!("{:?}", counted(size)), format!("{whole:?}"), "cut into pieces of {size}");
    }
}

#[test]
fn a_schema_is_the_same_whoever_owns_it_and_whatever_is_in_it_and_another_with_every_column() {
    let digest = |text: &str| {
        let mut scanner = Scanner::default();
        scanner.feed(text.as_bytes());
        scanner.finish().expect("a whole text").schema_sha256
    };
    let table = "CREATE TABLE public.t (\n    id integer\n);\n";
    let filled = format!(
        "SET x = 1;\n{table}ALTER TABLE public.t OWNER TO ada;\nCOPY public.t (id) FROM stdin;\n1\n2\n\\.\n"
    );
    assert_eq!(digest(table), digest(&filled));
    assert_ne!(digest(table), digest(&table.replace("id integer", "id integer,\n    at date")));
    assert_ne!(
        digest(table),
        digest(&format!("{table}ALTER TABLE ONLY public.t ADD CONSTRAINT p PRIMARY KEY (id);\n"))
    );
}

#[test]
fn a_schema_is_the_same_with_one_partition_more() {
    let read = |text: &str| {
        let mut scanner = Scanner::default();
        scanner.feed(text.as_bytes());
        scanner.finish().expect("a whole text")
    };
    let entry = |kind: &str, name: &str, text: &str| {
        format!("--\n-- Name: {name}; Type: {kind}; Schema: public; Owner: ada\n--\n\n{text};\n\n")
    };
    let table = entry("TABLE", "log", "CREATE TABLE public.log (\n    day date\n)\nPARTITION BY RANGE (day)");
    let partition = |name: &str| {
        let parts = [
            ("TABLE", name.to_owned(), format!("CREATE TABLE public.\"{name}\" (\n    day date\n)")),
            (
                "TABLE ATTACH",
                name.to_owned(),
                format!("ALTER TABLE ONLY public.log ATTACH PARTITION public.\"{name}\" FOR VALUES IN (1)"),
            ),
            (
                "CONSTRAINT",
                format!("{name} {name}_pkey"),
                format!("ALTER TABLE ONLY public.\"{name}\" ADD CONSTRAINT k PRIMARY KEY (day)"),
            ),
            (
                "INDEX",
                format!("{name}_x"),
                format!("CREATE UNIQUE INDEX x ON public.\"{name}\" USING btree (day)"),
            ),
            (
                "INDEX ATTACH",
                format!("{name}_x"),
                format!("ALTER INDEX public.x ATTACH PARTITION public.{name}_x"),
            ),
        ];
        parts.map(|(kind, name, text)| entry(kind, &name, &text)).concat()
    };
    let (one, two) =
        (read(&format!("{table}{}", partition("d 1"))), read(&format!("{table}{}", partition("d 2"))));
    let more = read(&format!("{}{table}{}", partition("d 1"), partition("d2")));
    assert_eq!((&one.schema_sha256, &one.schema_sha256), (&two.schema_sha256, &more.schema_sha256));
    assert_eq!(more.partitions.len(), 2);
    let index = entry("INDEX", "log_x", "CREATE INDEX log_x ON ONLY public.log USING btree (day)");
    assert_ne!(one.schema_sha256, read(&format!("{table}{index}")).schema_sha256);
    let alike = entry("TABLE", "d 1", "CREATE TABLE public.\"d 1\" (\n    day date\n)");
    assert_ne!(one.schema_sha256, read(&format!("{table}{alike}")).schema_sha256, "it is no partition");
}
