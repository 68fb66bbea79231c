//! Statements: quoting, and the rights of the owner and of other users.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::DatabaseError;

/// A name that needs no quoting anywhere: lower-case letters, digits, `_` and `-`, a letter first, at most 63.
pub(super) fn check_name(name: &str) -> Result<(), DatabaseError> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    let good =
        name.len() <= 63 && name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.bytes().all(plain);
    if good { Ok(()) } else { Err(DatabaseError::Name(name.to_owned())) }
}

pub(super) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// What is documented of the default user at provisioning.
pub(super) fn owner_grants(owner: &str) -> String {
    format!(
        "GRANT CREATE, USAGE ON SCHEMA public TO {owner};
         GRANT ALL ON DATABASE {owner} TO {owner};
         GRANT ALL ON ALL TABLES IN SCHEMA public TO {owner};
         GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {owner};
         ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA public GRANT ALL ON TABLES TO {owner};
         ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA public GRANT ALL ON SEQUENCES TO {owner}"
    )
}

/// Rights on what is there, and by default on what the owner will make; not on what third users make.
pub(super) fn user_grants(owner: &str, user: &str, read_only: bool) -> String {
    let (on_schema, on_content) = if read_only { ("USAGE", "SELECT") } else { ("CREATE, USAGE", "ALL") };
    format!(
        "GRANT CONNECT ON DATABASE {owner} TO {user};
         GRANT {on_schema} ON SCHEMA public TO {user};
         GRANT {on_content} ON ALL TABLES IN SCHEMA public TO {user};
         GRANT {on_content} ON ALL SEQUENCES IN SCHEMA public TO {user};
         ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA public GRANT {on_content} ON TABLES TO {user};
         ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA public GRANT {on_content} ON SEQUENCES TO {user}"
    )
}

/// Adds to an I/O error whose files they are.
pub(super) fn files(resource: &str) -> impl FnOnce(std::io::Error) -> DatabaseError {
    let resource = resource.to_owned();
    move |source| DatabaseError::Files { resource, source }
}

/// A file that only its owner can read from the start.
pub(super) fn write_secret(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.create(true).truncate(true).write(true).mode(0o600).open(path)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_name_stays_one_name() {
        assert_eq!(identifier(r#"a"; DROP"#), r#""a""; DROP""#);
        assert_eq!(literal("it's"), "'it''s'");
    }

    #[test]
    fn names_that_are_no_resource_ids_are_refused() {
        assert!(check_name("my_app_4553").is_ok());
        for bad in ["", "1a", "a b", "../a", "a\"b", &"a".repeat(64)] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
    }
}
