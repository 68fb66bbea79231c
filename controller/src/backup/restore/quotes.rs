//! The server's messages without what they quote of rows: these are personal data, and end in records that outlive the database. Pure.

const MAX_MESSAGE: usize = 300;

/// What is told of an error that a function of the database raises.
pub(in crate::backup) const RAISED: &str = "an error that a function of the database raises";

/// The words before a name in quotes. Whatever else stands in quotes may be a value of a row.
///
/// Source: the messages of the server, PostgreSQL 12 to 18: what it names of its catalogue or of its machine it calls by its kind.
const NAMED: &[&str] = &[
    "aggregate",
    "attribute",
    "class",
    "collation",
    "column",
    "configuration",
    "constraint",
    "conversion",
    "database",
    "dictionary",
    "domain",
    "encoding",
    "extension",
    "family",
    "file",
    "function",
    "group",
    "index",
    "language",
    "library",
    "locale",
    "method",
    "object",
    "operator",
    "option",
    "parameter",
    "parent",
    "parser",
    "partition",
    "policy",
    "procedure",
    "publication",
    "relation",
    "role",
    "rule",
    "schema",
    "sequence",
    "server",
    "socket",
    "statistics",
    "subscription",
    "table",
    "tablespace",
    "template",
    "transform",
    "trigger",
    "type",
    "user",
    "view",
    "wrapper",
];

/// The server's own words, without what it quotes of rows: all from the first quote that is before no name to the last one. A value may
/// hold quotes and line ends itself.
pub(in crate::backup) fn without_values(message: &str) -> String {
    let message = message.split_once("ERROR:  ").map_or(message, |(_, own)| own);
    let mut kept = String::new();
    let mut rest = message;
    while let Some((before, after)) = rest.split_once('"') {
        kept.push_str(before);
        match after.split_once('"') {
            Some((name, behind)) if names(&kept) => {
                kept.extend(["\"", name, "\""]);
                rest = behind;
            }
            _ => {
                kept.push('…');
                rest = after.rsplit_once('"').map_or("", |(_, behind)| behind);
                break;
            }
        }
    }
    kept.push_str(rest);
    kept.chars().take(MAX_MESSAGE).collect()
}

/// Whether what stands in quotes behind these words is a name; one in two parts is told as `"a"."b"`.
fn names(before: &str) -> bool {
    if before.ends_with("\".") {
        return true;
    }
    let word = before.strip_suffix(' ').and_then(|before| before.rsplit(' ').next()).unwrap_or_default();
    NAMED.contains(&word.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_quoted_and_is_no_name_is_no_longer_there() {
        for (said, kept) in [
            (
                "value \"0612345678\" is out of range for type integer",
                "value … is out of range for type integer",
            ),
            ("invalid cidr value: \"10.0.0.7/8\"", "invalid cidr value: …"),
            ("time zone \"12 rue Haute\" not recognized", "time zone … not recognized"),
            (
                "invalid input syntax for type integer: \"Zoé \"la\" Durand\"",
                "invalid input syntax for type integer: …",
            ),
            ("invalid input syntax for type json: \"Zoé", "invalid input syntax for type json: …"),
            ("\"Zoé\" is not a valid binary digit", "… is not a valid binary digit"),
            ("syntax error at or near \"Durand\"", "syntax error at or near …"),
            (
                "invalid value for parameter \"work_mem\": \"x\"",
                "invalid value for parameter \"work_mem\": …",
            ),
        ] {
            assert_eq!(without_values(said), kept);
        }
        for name in [
            "insert or update on table \"a\" violates foreign key constraint \"a_b_fkey\"",
            "column \"a\".\"b\" does not exist",
            "invalid byte sequence for encoding \"UTF8\": 0xff",
            "could not open dictionary file \"/usr/share/x.dict\": No such file or directory",
            "must be able to SET ROLE \"a\"",
            "collation \"pg_catalog.x\" for encoding \"UTF8\" does not exist",
        ] {
            assert_eq!(without_values(name), name);
        }
    }
}
