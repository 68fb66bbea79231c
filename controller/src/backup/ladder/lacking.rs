//! What a server lacks that the source's server had: files of the system's, and rights that only a superuser gives.

use std::collections::BTreeSet;

use crate::backup::restore::EntryError;

/// How such an error begins, how it goes on behind the name of what is lacking, and what to call that.
///
/// Source: `pg_locale.c`, `namespace.c`, `ts_utils.c`, the dictionaries, `aclchk.c`, `amcmds.c`, `typecmds.c`, `functioncmds.c`,
/// `guc.c` and `acl.c` of PostgreSQL 12 to 18.
const SAYS: &[(&str, &str, &str)] = &[
    ("could not create locale ", ": ", "the locale "),
    ("could not open collator for locale ", ": ", "the locale "),
    // One of the dump's own is called by its own schema, and whatever kept it from being made has told so itself.
    ("collation \"pg_catalog.", "\" for encoding ", "the collation "),
    ("could not open dictionary file ", ": ", "the dictionary file "),
    ("could not open affix file ", ": ", "the affix file "),
    ("could not open stop-word file ", ": ", "the stop-word file "),
    ("could not open synonym file ", ": ", "the synonym file "),
    ("could not open thesaurus file ", ": ", "the thesaurus file "),
    ("permission denied for foreign-data wrapper ", "\n", "the use of the foreign-data wrapper "),
    ("permission denied to create foreign-data wrapper ", "\n", "the making of the foreign-data wrapper "),
    ("permission denied for language ", "\n", "the use of the language "),
    ("permission denied to create access method ", "\n", "the making of the access method "),
    ("permission denied to set parameter ", "\n", "the setting of the parameter "),
    ("must be superuser to ", "\n", "the right to "),
    ("only superuser can ", "\n", "the right to "),
    ("permission denied to create extension ", "\n", "the making of the extension "),
    ("extension ", " is not available", "the extension "),
    ("could not open extension control file ", ": ", "the extension of the file "),
    ("required extension ", " is not installed", "the extension "),
    // A dump holds none.
    ("role \"", "\" does not exist", "the role "),
];

/// What these errors say that the server lacks, each once, in a few words.
///
/// Everything of a dump belongs to whoever restores it. So where no superuser has a hand in it (`ordinary`), whatever is denied him is
/// denied by the server, which owns what its extensions brought.
pub(super) fn lacking(errors: &[EntryError], ordinary: bool) -> BTreeSet<String> {
    let denied = |error: &EntryError| {
        let said = ordinary && DENIED.iter().any(|begins| error.message.starts_with(begins));
        said.then(|| format!("a right ({})", error.message))
    };
    errors.iter().filter_map(|error| of(&error.message).or_else(|| denied(error))).collect()
}

/// How a server says that somebody may not do something.
const DENIED: &[&str] = &["permission denied ", "must be "];

fn of(message: &str) -> Option<String> {
    SAYS.iter().find_map(|(begins, ends, called)| {
        let rest = message.strip_prefix(begins)?;
        let name = if *ends == "\n" { rest } else { rest.split_once(ends)?.0 };
        Some(format!("{called}{name}"))
    })
}

#[cfg(test)]
mod tests {
    use super::{EntryError, lacking, of};

    #[test]
    fn what_the_server_lacks_is_named_and_nothing_else_is() {
        let lacks = |message| of(message).unwrap_or_default();
        assert_eq!(
            lacks("could not create locale \"Q.utf8\": No such file or directory"),
            "the locale \"Q.utf8\""
        );
        assert_eq!(
            lacks("collation \"pg_catalog.fr_FR.utf8\" for encoding \"UTF8\" does not exist"),
            "the collation fr_FR.utf8"
        );
        assert_eq!(
            lacks("permission denied for foreign-data wrapper postgres_fdw"),
            "the use of the foreign-data wrapper postgres_fdw"
        );
        assert_eq!(lacks("must be superuser to create a base type"), "the right to create a base type");
        assert_eq!(lacks("role \"vendeur\" does not exist"), "the role vendeur");
        assert_eq!(
            lacks("permission denied to create extension \"postgis\""),
            "the making of the extension \"postgis\""
        );
        assert_eq!(lacks("extension \"postgis\" is not available"), "the extension \"postgis\"");
        for fault in [
            "collation \"public.x\" for encoding \"UTF8\" does not exist",
            "permission denied for table a",
            "role \"a\" cannot be dropped",
            "could not open file \"base/1/2\": No such file or directory",
        ] {
            assert_eq!(lacks(fault), "", "{fault}");
        }
    }

    #[test]
    fn what_is_denied_to_an_ordinary_user_is_the_server_s_doing() {
        let error =
            |message: &str| EntryError { entry: None, message: message.to_owned(), statement: String::new() };
        let denied = [error("permission denied for table spatial_ref_sys"), error("must be owner of view a")];
        assert_eq!(lacking(&denied, true).len(), 2);
        assert!(lacking(&denied, false).is_empty() && lacking(&[error("division by zero")], true).is_empty());
    }
}
