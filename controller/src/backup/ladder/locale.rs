//! How the database that was dumped sorts text, and whether the one that it is tried in does so too. A range of texts, or a check that
//! compares some, holds in one locale and not in another: what a server of another one does not take says nothing of the backup.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use sqlx::PgConnection;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};

use crate::backup::PgTools;
use crate::backup::checks::CheckError;
use crate::backup::process::Group;
use crate::backup::restore::Report;
use crate::backup::toc::{Entry, Toc};

/// The statement that makes the database is the first one of its dump.
const MAX_HEAD: u64 = 64 << 10;

/// What `CREATE DATABASE` may say of it. Every custom dump of `pg_dump` 11 and newer holds that statement.
const OPTIONS: &[&str] =
    &["LOCALE_PROVIDER", "LOCALE", "LC_COLLATE", "LC_CTYPE", "ICU_LOCALE", "ICU_RULES", "BUILTIN_LOCALE"];

/// The locale of a database, in the words of the statement that makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locale {
    options: Vec<(String, String)>,
}

impl Locale {
    /// That of the database of which `file` is a dump. `None` where the dump does not tell it.
    pub async fn read(tools: &PgTools, file: &Path) -> Option<Self> {
        let mut command = tools.command("pg_restore");
        command.args(["--create", "--schema-only", "--file=-"]).arg(file).stderr(Stdio::null());
        let mut pg_restore = Group::spawn(&mut command).ok()?;
        let mut head = BufReader::new(pg_restore.child().stdout.take()?.take(MAX_HEAD));
        let mut line = Vec::new();
        while head.read_until(b'\n', &mut line).await.ok()? > 0 {
            if line.starts_with(b"CREATE DATABASE ") {
                return Self::told_by(std::str::from_utf8(&line).ok()?.trim_end());
            }
            line.clear();
        }
        None
    }

    /// Reads `CREATE DATABASE … WITH TEMPLATE = template0 ENCODING = 'UTF8' LOCALE_PROVIDER = libc LOCALE = 'fr_FR.UTF-8';`.
    pub(crate) fn told_by(statement: &str) -> Option<Self> {
        let (_, mut rest) = statement.strip_suffix(';')?.rsplit_once(" WITH TEMPLATE = template0")?;
        let mut options = Vec::new();
        while !rest.is_empty() {
            let (name, after) = rest.trim_start().split_once(" = ")?;
            let (value, after) = value(after)?;
            if OPTIONS.contains(&name) {
                options.push((name.to_owned(), value));
            }
            rest = after;
        }
        (!options.is_empty()).then_some(Self { options })
    }

    /// The same words, for another `CREATE DATABASE`.
    pub fn sql(&self) -> String {
        let one = |(name, value): &(String, String)| format!(" {name} = '{}'", value.replace('\'', "''"));
        self.options.iter().map(one).collect()
    }

    /// Whether it is this locale of the system's, by whichever name: `C.UTF-8` is `C.utf8`.
    pub fn is(&self, name: &str) -> bool {
        self.provider() == "libc"
            && [self.collate(), self.ctype()].iter().all(|part| plain(part) == plain(name))
    }

    fn provider(&self) -> &str {
        self.option("LOCALE_PROVIDER").unwrap_or("libc")
    }

    fn collate(&self) -> &str {
        self.option("LC_COLLATE").or_else(|| self.option("LOCALE")).unwrap_or_default()
    }

    fn ctype(&self) -> &str {
        self.option("LC_CTYPE").or_else(|| self.option("LOCALE")).unwrap_or_default()
    }

    fn option(&self, wanted: &str) -> Option<&str> {
        self.options.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
    }

    /// That of the provider, where it is not the system's.
    fn own(&self) -> Option<&str> {
        self.option("ICU_LOCALE").or_else(|| self.option("BUILTIN_LOCALE"))
    }

    /// Whether the database with this row in `pg_database` has it.
    fn is_of(&self, row: &Value) -> bool {
        let here = |column: &str| row[column].as_str();
        let provider = match here("datlocprovider") {
            None | Some("c") => "libc",
            Some("i") => "icu",
            Some(_) => "builtin",
        };
        let same = |told: &str, here: Option<&str>| plain(told) == plain(here.unwrap_or_default());
        if provider != self.provider() {
            return false;
        }
        if provider != "libc" {
            let own = here("datlocale").or_else(|| here("daticulocale"));
            return same(self.own().unwrap_or_default(), own);
        }
        same(self.collate(), here("datcollate")) && same(self.ctype(), here("datctype"))
    }
}

impl fmt::Display for Locale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.own().unwrap_or_else(|| self.collate()))
    }
}

/// A name of a locale as all systems write it.
fn plain(name: &str) -> String {
    name.to_ascii_lowercase().replace('-', "")
}

/// A word, or a text in quotes, and what follows.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(mut rest) = text.strip_prefix('\'') else {
        let end = text.find(' ').unwrap_or(text.len());
        return Some((text[..end].to_owned(), &text[end..]));
    };
    let mut value = String::new();
    loop {
        let (piece, after) = rest.split_once('\'')?;
        value.push_str(piece);
        match after.strip_prefix('\'') {
            Some(more) => (value, rest) = (value + "'", more),
            None => return Some((value, after)),
        }
    }
}

/// How a server says that a text is not where it should be.
///
/// Source: `execMain.c`, `execPartition.c`, `tablecmds.c` and `partbounds.c` of PostgreSQL 12 to 18.
const MISPLACED: &[&str] = &[
    "violates partition constraint",
    "violates check constraint",
    "is violated by some row",
    "no partition of relation ",
    "empty range bound specified for partition ",
    "would overlap partition ",
];

/// What the server lacks where such errors may come of its locale, which is not the one that the dump tells, or is none that it tells.
pub(super) async fn sorted_otherwise(
    told: Option<&Locale>,
    toc: &Toc,
    report: &Report,
    connection: &mut PgConnection,
) -> Result<Option<String>, CheckError> {
    let misplaced =
        report.errors.iter().filter(|error| MISPLACED.iter().any(|said| error.message.contains(said)));
    let tables: BTreeSet<_> = misplaced.filter_map(|error| table(toc.entry(error.entry?)?)).collect();
    if tables.is_empty() {
        return Ok(None);
    }
    let failed = |source| CheckError { doing: "look for the throwaway database's locale", source };
    let here =
        "SELECT pg_catalog.to_jsonb(d) FROM pg_catalog.pg_database d WHERE datname = current_database()";
    let here: Value = sqlx::query_scalar(here).fetch_one(&mut *connection).await.map_err(failed)?;
    if told.is_some_and(|told| told.is_of(&here)) {
        return Ok(None);
    }
    for (schema, table) in tables {
        let texts: bool = sqlx::query_scalar(TEXTS)
            .bind(schema)
            .bind(table)
            .fetch_one(&mut *connection)
            .await
            .map_err(failed)?;
        if texts {
            let locale = match told {
                Some(told) => format!("the locale {told}"),
                None => "the source's locale (the dump does not tell which)".to_owned(),
            };
            return Ok(Some(format!("{locale}, by which the texts of {schema}.{table} are compared")));
        }
    }
    Ok(None)
}

/// The table of an entry: most are told as `TABLE NAME`.
fn table(entry: &Entry) -> Option<(&str, &str)> {
    let whole = ["TABLE", "TABLE DATA", "TABLE ATTACH"].contains(&entry.kind.as_str());
    let name = if whole { &entry.name } else { entry.name.split(' ').next()? };
    Some((entry.schema.as_deref()?, name))
}

/// Whether a table has a column of text that is compared in its database's way.
const TEXTS: &str = "SELECT EXISTS (SELECT FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation
    WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped AND l.collname = 'default')";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told_by(options: &str) -> Option<Locale> {
        Locale::told_by(&format!(
            "CREATE DATABASE \"a b\" WITH TEMPLATE = template0 ENCODING = 'UTF8'{options};"
        ))
    }

    #[test]
    fn every_release_tells_the_locale_in_its_own_way() {
        let c = json!({ "datcollate": "C.UTF-8", "datctype": "C.UTF-8", "datlocprovider": "c" });
        let icu =
            json!({ "datcollate": "C", "datctype": "C", "datlocprovider": "i", "daticulocale": "fr-FR" });
        for (options, shown, is_c, is_icu) in [
            (" LC_COLLATE = 'fr_FR.UTF-8' LC_CTYPE = 'fr_FR.UTF-8'", "fr_FR.UTF-8", false, false),
            (" LC_COLLATE = 'C.utf8' LC_CTYPE = 'C.utf8'", "C.utf8", true, false),
            (" LOCALE = 'C.UTF-8'", "C.UTF-8", true, false),
            (" LOCALE_PROVIDER = libc LOCALE = 'C.UTF-8'", "C.UTF-8", true, false),
            (" LOCALE_PROVIDER = icu LOCALE = 'C.UTF-8' ICU_LOCALE = 'fr-FR'", "fr-FR", false, true),
            (" LOCALE_PROVIDER = libc LC_COLLATE = 'C' LC_CTYPE = 'C.UTF-8'", "C", false, false),
        ] {
            let locale = told_by(options).unwrap_or_else(|| panic!("{options}"));
            let seen = (locale.to_string(), locale.is_of(&c), locale.is_of(&icu), locale.is("C.UTF-8"));
            assert_eq!(seen, (shown.to_owned(), is_c, is_icu, is_c), "{options}");
        }
        assert_eq!(told_by(""), None);
        assert_eq!(told_by(" LOCALE = 'cut"), None);
    }

    #[test]
    fn nothing_but_a_locale_gets_into_the_statement() {
        let odd =
            told_by(" LOCALE_PROVIDER = x\"y LOCALE = 'l''été' TABLESPACE = lent").map(|locale| locale.sql());
        assert_eq!(odd.as_deref(), Some(" LOCALE_PROVIDER = 'x\"y' LOCALE = 'l''été'"));
    }
}
