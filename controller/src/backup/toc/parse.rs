//! The text of `pg_restore -l`: a header of comments, then one line an entry.
//!
//! Source: `PrintTOCSummary` in PostgreSQL's `pg_backup_archiver.c`, releases 12 to 18.

use super::{Entry, Toc};

/// Kinds of more than one word, those first that begin like another. All other kinds are one word.
const LONG_KINDS: &[&str] = &[
    "ACCESS METHOD",
    "BLOB COMMENTS",
    "BLOB METADATA",
    "CHECK CONSTRAINT",
    "DATABASE PROPERTIES",
    "DEFAULT ACL",
    "EVENT TRIGGER",
    "FK CONSTRAINT",
    "FOREIGN DATA WRAPPER",
    "FOREIGN SERVER",
    "FOREIGN TABLE",
    "INDEX ATTACH",
    "LARGE OBJECT",
    "MATERIALIZED VIEW DATA",
    "MATERIALIZED VIEW",
    "OPERATOR CLASS",
    "OPERATOR FAMILY",
    "PROCEDURAL LANGUAGE",
    "PUBLICATION TABLES IN SCHEMA",
    "PUBLICATION TABLE",
    "ROW SECURITY",
    "SECURITY LABEL",
    "SEQUENCE OWNED BY",
    "SEQUENCE SET",
    "SHELL TYPE",
    "STATISTICS DATA",
    "SUBSCRIPTION TABLE",
    "TABLE ATTACH",
    "TABLE DATA",
    "TEXT SEARCH CONFIGURATION",
    "TEXT SEARCH DICTIONARY",
    "TEXT SEARCH PARSER",
    "TEXT SEARCH TEMPLATE",
    "USER MAPPING",
];

/// Parses a listing. An error names the line and what was missing in it.
pub fn parse(listing: &str) -> Result<Toc, String> {
    let mut toc = Toc {
        database: field(listing, "dbname").unwrap_or_default(),
        archive_version: required(listing, "Dump Version")?,
        server_version: field(listing, "Dumped from database version").unwrap_or_default(),
        dump_version: field(listing, "Dumped by pg_dump version").unwrap_or_default(),
        compression: required(listing, "Compression")?,
        created_at: created_at(listing),
        entries_total: required(listing, "TOC Entries")?
            .parse()
            .map_err(|_| "the listing's number of entries is no number".to_owned())?,
        entries: Vec::new(),
    };
    for (index, line) in listing.lines().enumerate().filter(|(_, line)| !is_comment(line)) {
        let entry = entry(line).ok_or_else(|| format!("line {} of the listing is no entry", index + 1))?;
        toc.entries.push(entry);
    }
    Ok(toc)
}

fn is_comment(line: &str) -> bool {
    line.starts_with(';') || line.trim().is_empty()
}

fn required(listing: &str, name: &str) -> Result<String, String> {
    field(listing, name).ok_or_else(|| format!("the listing has no {name:?}"))
}

/// The header's field `name`: `;     NAME: VALUE`.
fn field(listing: &str, name: &str) -> Option<String> {
    listing
        .lines()
        .take_while(|line| is_comment(line))
        .filter_map(|line| line.trim_start_matches([';', ' ']).split_once(':'))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.trim().to_owned())
}

fn created_at(listing: &str) -> String {
    let created = listing.lines().find_map(|line| line.strip_prefix("; Archive created at "));
    created.unwrap_or_default().trim().to_owned()
}

/// `ID; TABLEOID OID KIND SCHEMA NAME OWNER`, where a schema of `-` is none and an owner may be empty.
fn entry(line: &str) -> Option<Entry> {
    let (id, rest) = line.split_once("; ")?;
    let (_table_oid, rest) = rest.split_once(' ')?;
    let (_oid, rest) = rest.split_once(' ')?;
    let (kind, rest) = split_kind(rest)?;
    let (schema, rest) = rest.split_once(' ')?;
    let (name, owner) = rest.rsplit_once(' ')?;
    Some(Entry {
        id: id.parse().ok()?,
        kind: kind.to_owned(),
        schema: (schema != "-").then(|| schema.to_owned()),
        name: name.to_owned(),
        owner: owner.to_owned(),
    })
}

fn split_kind(text: &str) -> Option<(&str, &str)> {
    let long = LONG_KINDS.iter().find_map(|kind| {
        let rest = text.strip_prefix(kind)?.strip_prefix(' ')?;
        Some((&text[..kind.len()], rest))
    });
    long.or_else(|| text.split_once(' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTING: &str = "\
;
; Archive created at 2026-11-22 19:14:26 UTC
;     dbname: shop
;     TOC Entries: 12
;     Compression: -1
;     Dump Version: 1.14-0
;     Format: CUSTOM
;     Integer: 4 bytes
;     Offset: 8 bytes
;     Dumped from database version: 15.18 (Debian 15.18-0+deb12u1)
;     Dumped by pg_dump version: 15.18 (Debian 15.18-0+deb12u1)
;
;
; Selected TOC Entries:
;
3; 3079 16688 EXTENSION - pg_trgm 
4375; 0 0 COMMENT - EXTENSION pg_trgm 
235; 1259 16510 TABLE public Élèves et amis shop
4379; 0 16510 TABLE DATA public Élèves et amis shop
236; 1255 16533 FUNCTION public plus(integer, integer) shop
4100; 2606 16540 FK CONSTRAINT public orders orders_client_fk shop
4200; 2613 16600 BLOB - 16600 shop
4201; 0 0 BLOBS - BLOBS 
";

    #[test]
    fn a_listing_is_read_whole() {
        let toc = parse(LISTING).expect("a listing");
        assert_eq!((toc.database.as_str(), toc.entries_total, toc.entries.len()), ("shop", 12, 8));
        assert_eq!(toc.server_major(), Some(15));
        assert_eq!(toc.created_at, "2026-11-22 19:14:26 UTC");
        let paths: Vec<_> =
            toc.entries.iter().map(|e| format!("{}|{}|{}", e.kind, e.path(), e.owner)).collect();
        assert_eq!(
            paths,
            [
                "EXTENSION|pg_trgm|",
                "COMMENT|EXTENSION pg_trgm|",
                "TABLE|public Élèves et amis|shop",
                "TABLE DATA|public Élèves et amis|shop",
                "FUNCTION|public plus(integer, integer)|shop",
                "FK CONSTRAINT|public orders orders_client_fk|shop",
                "BLOB|16600|shop",
                "BLOBS|BLOBS|",
            ]
        );
    }

    #[test]
    fn nonsense_is_told_by_its_line() {
        assert_eq!(parse("hello"), Err("the listing has no \"Dump Version\"".to_owned()));
        let broken = format!("{LISTING}what is this\n");
        assert_eq!(parse(&broken), Err("line 24 of the listing is no entry".to_owned()));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".*") {
            let broken = format!("{LISTING}{text}");
            drop(parse(&broken));
        }
    }
}
