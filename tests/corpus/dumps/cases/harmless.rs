//! Dumps that only look broken: each comes back whole, and none may be blamed.

use reprise::backup::checks::{DataCheck, Expectation};
use reprise::backup::ladder::Recorded;
use reprise::store::Rung;
use tar::EntryType;

use super::{Till, album, album_rows, digest_of, rotated, till_rows};
use crate::case::Case;
use crate::estates::{
    EXTENSIONS, FILES, FILLED, FOREIGN, HUGE, NAMES, OWNERS, SUPERUSER, TRAPS, VEILED, WORKSHOP, ZOO,
};
use crate::lab::Lab;
use crate::pack::{NAME, entry, gzip, header, served, tar, tar_of};
use crate::surgery::replaced;

const UNSEALED: &[&str] = &["unsealed"];
const LATIN1: &str = "ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0";

pub(crate) async fn all(lab: &Lab, till: &Till) -> Vec<Case> {
    let mut cases = containers(till);
    cases.extend(evidence(lab, till));
    cases.extend(sources(lab).await);
    cases.push(rotated(lab).await);
    let fewer = album(lab, "SELECT lo_unlink(image) FROM public.photo WHERE id > 35", &[]).await;
    cases
        .push(Case::harmless("large-objects-fewer", "five of 40 unlinked since", fewer).before(album_rows()));
    cases.extend(asked(lab).await);
    cases.extend(lacking(lab, till).await);
    cases.extend(options(lab, till).await);
    cases
}

fn containers(till: &Till) -> Vec<Case> {
    let dump = &till.packed;
    let member = entry(NAME, EntryType::Regular, dump);
    let named = |name: &[u8]| gzip(&tar_of(name, dump));
    let whole = tar_of(NAME, dump);
    let (first, second) = whole.split_at(whole.len() / 2);
    let long = [b"dossier/".repeat(40).as_slice(), NAME, b"\0"].concat();
    let long = [entry(b"././@LongLink", EntryType::GNULongName, &long), member.clone()];
    let pax = [entry(b"PaxHeaders/x", EntryType::XHeader, b"19 path=ailleurs/x\n"), member.clone()];
    let noise = [header(b"./", 0, EntryType::Directory), header(b"dumps/", 0, EntryType::Directory), member];
    let padded = [served(dump), vec![0; 10_240]].concat();
    vec![
        Case::harmless("as-served", "tar in gzip, as the platform has it", served(dump)),
        Case::harmless("member-absolute", "a leading / in the member's name", named(b"/etc/caisse.pgsql")),
        Case::harmless("member-climbing", "../ in the member's name", named(b"../../root/caisse.pgsql")),
        Case::harmless("member-not-utf8", "a member's name in Latin-1", named(b"sauv\xe9e.pgsql")),
        Case::harmless("member-wrong-ending", "a dump named .sql.zip", named(b"caisse.sql.zip")),
        Case::harmless("member-long-name", "a name of 350 bytes, in GNU's way", gzip(&tar(&long))),
        Case::harmless("member-pax", "a POSIX extended header", gzip(&tar(&pax))),
        Case::harmless("directory-noise", "directories before the member", gzip(&tar(&noise))),
        Case::harmless("gzip-two-members", "gzip in two members", [gzip(first), gzip(second)].concat()),
        Case::harmless("gzip-padded", "10 KiB of zeros behind the gzip", padded),
        Case::harmless(
            "tar-without-end-mark",
            "no zero blocks at the end",
            gzip(&whole[..whole.len() - 1024]),
        ),
        Case::harmless("gzip-alone", "gzip without tar", gzip(dump)),
    ]
}

/// Whole dumps for which nothing, or something else than gzip, vouches.
fn evidence(lab: &Lab, till: &Till) -> Vec<Case> {
    let as_before = Recorded { rows: Some(till_rows()), ..digest_of(&till.packed) };
    let unsealed =
        |name, made, download| Case::harmless(name, made, download).stops(Rung::Restored, UNSEALED);
    vec![
        unsealed("bare", "the dump alone, nothing recorded", till.packed.clone()),
        Case::harmless("bare-digest", "the same, its digest recorded", till.packed.clone())
            .recorded(digest_of(&till.packed)),
        unsealed("tar-alone", "tar without gzip, nothing recorded", tar_of(NAME, &till.packed)),
        unsealed("uncompressed", "pg_dump -Z0, nothing recorded", served(&till.bare)),
        Case::harmless("uncompressed-digest", "the same, its digest recorded", served(&till.bare))
            .recorded(digest_of(&till.bare)),
        Case::harmless("all-recorded", "digest, rows and the backup before", served(&till.packed))
            .recorded(as_before)
            .before(till_rows()),
        Case {
            announced: None,
            ..Case::harmless("length-not-told", "no Content-Length", served(&till.packed))
        },
        Case::harmless("piped", "pg_dump into a pipe: no offsets", served(&lab.piped_dump(&till.database))),
    ]
}

async fn sources(lab: &Lab) -> Vec<Case> {
    let owners = lab.source("", OWNERS).await;
    let owners = served(&lab.dump(&owners, &[]));
    lab.execute(
        "postgres",
        "ALTER ROLE chef RENAME TO chef_parti; ALTER ROLE \"aide de camp\" RENAME TO aide_partie",
    )
    .await;
    let zoo = lab.source("", ZOO).await;
    let names = lab.source("", NAMES).await;
    let behind = "CREATE TABLE public.a (id serial PRIMARY KEY); INSERT INTO public.a VALUES (1), (7); SELECT setval('public.a_id_seq', 3)";
    let latin =
        "CREATE TABLE public.\"élève\" (nom text); INSERT INTO public.\"élève\" VALUES ('Zoé'), ('Léa');
                 COMMENT ON TABLE public.\"élève\" IS 'été'";
    let empty_tables = "CREATE TABLE public.a (id serial PRIMARY KEY); CREATE TABLE public.b (a integer REFERENCES public.a)";
    let comments = "CREATE EXTENSION pg_trgm; CREATE EXTENSION hstore; COMMENT ON EXTENSION pg_trgm IS 'x';
                    COMMENT ON SCHEMA public IS 'le public'; CREATE TABLE public.a (h public.hstore);
                    INSERT INTO public.a VALUES ('x=>1')";
    let mut cases = Vec::new();
    for (name, made, options, sql) in [
        ("empty-by-design", "a database with nothing in it", "", "SELECT 1"),
        ("empty-tables", "tables without a row", "", empty_tables),
        ("text-traps", "rows and functions with \\. \\restrict COPY", "", TRAPS),
        ("extension-comments", "comments on extensions and on public", "", comments),
        ("extension-schemas", "extensions of superusers, in schemas of the dump", "", EXTENSIONS),
        (
            "extension-of-superusers",
            "an extension for superusers only",
            "",
            "CREATE EXTENSION pageinspect; CREATE TABLE public.a AS SELECT 1 AS x",
        ),
        ("workshop", "types, sequences, views and rows of rarer kinds", "", WORKSHOP),
        ("superuser-objects", "event triggers, publications, a subscription", "", SUPERUSER),
        ("rows-veiled", "FORCE ROW LEVEL SECURITY: their owner sees no row", "", VEILED),
        ("latin1", "a database in Latin-1, names too", LATIN1, latin),
        ("sequence-behind-in-source", "so it was in the source", "", behind),
        ("huge-toc", "1,201 entries, one of 1 MB", "", HUGE),
    ] {
        let database = lab.source(options, sql).await;
        cases.push(Case::harmless(name, made, served(&lab.dump(&database, &[]))));
    }
    let inserts = ["--inserts", "--rows-per-insert=7", "--on-conflict-do-nothing"];
    cases.extend([
        Case::harmless("owners-and-grants", "roles that are nowhere", owners),
        Case::harmless("zoo", "every kind of object", served(&lab.dump(&zoo, &[]))),
        Case::harmless("zoo-inserts", "rows as INSERTs", served(&lab.dump(&zoo, &inserts))),
        Case::harmless(
            "zoo-column-inserts",
            "INSERTs with columns",
            served(&lab.dump(&zoo, &["--column-inserts"])),
        ),
        Case::harmless(
            "zoo-partition-root",
            "rows loaded through the root",
            served(&lab.dump(&zoo, &["--load-via-partition-root"])),
        ),
        Case::harmless("names", "quotes, spaces, line ends in names", served(&lab.dump(&names, &[]))),
        Case::harmless("names-inserts", "the same as INSERTs", served(&lab.dump(&names, &["--inserts"]))),
        Case::harmless("names-latin1", "pg_dump -E LATIN1", served(&lab.dump(&names, &["-E", "LATIN1"]))),
    ]);
    cases
}

/// What of these is there is asked for: an entry that was passed over by a rule is not missed.
async fn asked(lab: &Lab) -> Vec<Case> {
    let question = |sql: &str, expected: &str| DataCheck {
        name: "rows".to_owned(),
        sql: sql.to_owned(),
        expectation: Expectation::Equals(expected.to_owned()),
    };
    let spatial = "CREATE TABLE public.spatial_ref_sys (srid integer PRIMARY KEY, nom text);
                   INSERT INTO public.spatial_ref_sys VALUES (990001, 'atelier'), (990002, 'cour')";
    let spatial = lab.source("", spatial).await;
    let rows = |expected| vec![question("SELECT count(*) FROM public.spatial_ref_sys", expected)];
    let own =
        "INSERT INTO public.spatial_ref_sys VALUES (990001, 'atelier'); SELECT setval('public.prochain', 41)";
    let filled = lab.source("", &format!("{FILLED}{own}")).await;
    let (spatial, filled) = (lab.dump(&spatial, &[]), lab.dump(&filled, &[]));
    let harmless = |name, made, dump: &[u8]| Case::harmless(name, made, served(dump));
    vec![
        Case {
            questions: rows("2"),
            ..harmless("name-of-postgis", "a table spatial_ref_sys without PostGIS", &spatial)
        },
        Case {
            questions: rows("3"),
            ..harmless("extension-filled", "a user's rows in an extension's table", &filled).prepare(FILLED)
        },
    ]
}

/// What comes back wherever the server offers what the source's did: not here, and that is not the backup's fault.
async fn lacking(lab: &Lab, till: &Till) -> Vec<Case> {
    let lacking = |name, made, dump: &[u8]| {
        Case::harmless(name, made, served(dump)).stops(Rung::Readable, &["restore-incomplete"])
    };
    let extension = replaced(&till.packed, b"pg_trgm", b"pg_trgx");
    let here = lab.tools.version();
    let rest = here.trim_start_matches(|c: char| c.is_ascii_digit());
    let newer = replaced(&till.packed, here.as_bytes(), format!("99{rest}").as_bytes());
    let older = replaced(&till.packed, here.as_bytes(), format!("10{rest}").as_bytes());
    let files = lab.dump(&lab.source("", FILES).await, &[]);
    let foreign = lab.dump(&lab.source("", FOREIGN).await, &[]);
    vec![
        lacking("extension-unknown", "an extension that this server does not offer", &extension),
        Case::harmless("files-there", "a collation and a dictionary", served(&files)),
        lacking(
            "locale-lacking",
            "the collation's locale is not here",
            &replaced(&files, b"C.utf8", b"Q.utf8"),
        ),
        lacking(
            "dictionary-lacking",
            "the dictionary's file is not here",
            &replaced(&files, b"synonym_sample", b"synonym_simple"),
        ),
        lacking("server-older", "a dump of a newer major than any server here", &newer)
            .stops(Rung::Readable, &["server-older"]),
        Case::harmless("server-newer", "a dump of an older major than any server here", served(&older)),
        lacking("foreign-tables", "a wrapper that only a superuser lets others use", &foreign),
    ]
}

async fn options(lab: &Lab, till: &Till) -> Vec<Case> {
    let till_dump = |options: &[&str]| served(&lab.dump(&till.database, options));
    let settings = format!(
        "ALTER DATABASE {0} SET work_mem = '5MB'; COMMENT ON DATABASE {0} IS 'caisse'",
        till.database
    );
    lab.execute(&till.database, &settings).await;
    vec![
        Case::harmless("level-9", "pg_dump -Z9", till_dump(&["-Z9"])),
        Case::harmless("level-1", "pg_dump -Z1", till_dump(&["-Z1"])),
        Case::harmless("with-database", "pg_dump --create, settings and comment", till_dump(&["--create"])),
        Case::harmless("with-clean", "pg_dump --clean --if-exists", till_dump(&["--clean", "--if-exists"])),
        Case::harmless(
            "without-large-objects",
            "--no-blobs, nothing known of before",
            till_dump(&["--no-blobs"]),
        ),
        Case::harmless("without-owner", "pg_dump -O -x", till_dump(&["-O", "-x"])),
        Case::harmless(
            "quoted-all",
            "pg_dump --quote-all-identifiers",
            till_dump(&["--quote-all-identifiers"]),
        ),
        Case::harmless("disable-triggers", "pg_dump --disable-triggers", till_dump(&["--disable-triggers"])),
        Case::harmless("extension-there", "the platform made the extension", served(&till.packed))
            .prepare("CREATE EXTENSION pg_trgm"),
        Case::harmless("public-not-ours", "public belongs to another", served(&till.packed))
            .prepare("GRANT ALL ON SCHEMA public TO PUBLIC"),
    ]
}
