//! What a single statement of a dump means for the count.

use super::names::{identifier, literal, qualified};

/// A name, and its schema if that was told.
pub(super) type Name = (Option<String>, String);

/// A statement that the count has to know of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Statement {
    /// Rows of this relation follow as lines.
    Copy(Option<String>, String),
    /// Rows of this relation, `columns` telling whether it has a column list.
    Insert { schema: Option<String>, table: String, columns: bool, default_values: bool },
    /// The state of this sequence.
    SetValue { schema: Option<String>, sequence: String, last_value: i64, is_called: bool },
    /// A large object is made.
    LargeObject,
    /// This many bytes go into one.
    LargeObjectBytes(u64),
    /// An extension is made in this schema.
    Extension { name: String, schema: String },
    /// Something that is for these roles: none can be made without them.
    ForRoles(Vec<String>),
    /// A policy of this table that is for these roles.
    Policy(Name, Vec<String>),
    /// Row-level security binds the owner of this table too.
    Forced(Name),
    /// A table becomes a part of another.
    Partition { partition: Name, of: Name },
    /// A table is made that inherits from others.
    Heir,
    /// Anything else; whether it ends in `NOT VALID`.
    Other { not_valid: bool },
}

/// Reads a statement without its semicolon. `text` may be cut at its end if it is very long.
pub(super) fn read(text: &str) -> Statement {
    let known = match text.split_once(' ') {
        Some(("COPY", rest)) if rest.ends_with(" FROM stdin") => copy(rest),
        Some(("INSERT", rest)) => insert(rest),
        Some(("SELECT", rest)) => select(rest),
        Some(("CREATE", rest)) => extension(rest)
            .or_else(|| made_as_partition(rest))
            .or_else(|| heir(rest))
            .or_else(|| policy(rest))
            .or_else(|| mapping(rest)),
        Some(("ALTER", rest)) => attached(rest).or_else(|| forced(rest)),
        _ => None,
    };
    known.unwrap_or_else(|| Statement::Other { not_valid: text.ends_with(" NOT VALID") })
}

fn copy(text: &str) -> Option<Statement> {
    let ((schema, table), _) = qualified(text)?;
    Some(Statement::Copy(schema, table))
}

fn insert(text: &str) -> Option<Statement> {
    let ((schema, table), rest) = qualified(text.strip_prefix("INTO ")?)?;
    let rest = rest.trim_start();
    Some(Statement::Insert {
        schema,
        table,
        columns: rest.starts_with('('),
        default_values: rest.starts_with("DEFAULT VALUES"),
    })
}

fn select(text: &str) -> Option<Statement> {
    let (function, arguments) = text.split_once('(')?;
    match function.strip_prefix("pg_catalog.").unwrap_or(function) {
        "setval" => set_value(arguments),
        "lo_create" => Some(Statement::LargeObject),
        "lowrite" => {
            let (_, data) = arguments.split_once('\'')?;
            let hex = data.trim_start_matches('\\').strip_prefix('x')?;
            Some(Statement::LargeObjectBytes(hex.find('\'')? as u64 / 2))
        }
        _ => None,
    }
}

/// `EXTENSION IF NOT EXISTS hstore WITH SCHEMA public`
fn extension(text: &str) -> Option<Statement> {
    let (name, rest) = identifier(text.strip_prefix("EXTENSION IF NOT EXISTS ")?)?;
    let (schema, _) = identifier(rest.strip_prefix(" WITH SCHEMA ")?)?;
    Some(Statement::Extension { name, schema })
}

/// `TABLE ONLY public.a ATTACH PARTITION public.a_2026 FOR VALUES …`
fn attached(text: &str) -> Option<Statement> {
    let (of, rest) = qualified(text.strip_prefix("TABLE ONLY ")?)?;
    let (partition, _) = qualified(rest.strip_prefix(" ATTACH PARTITION ")?)?;
    Some(Statement::Partition { partition, of })
}

/// `TABLE ONLY public.a FORCE ROW LEVEL SECURITY`
fn forced(text: &str) -> Option<Statement> {
    let (table, rest) = qualified(text.strip_prefix("TABLE ONLY ")?)?;
    (rest == " FORCE ROW LEVEL SECURITY").then_some(Statement::Forced(table))
}

/// `TABLE public.a_2026 PARTITION OF public.a …`, as releases of long ago wrote it.
fn made_as_partition(text: &str) -> Option<Statement> {
    let (partition, rest) = qualified(text.strip_prefix("TABLE ")?)?;
    let (of, _) = qualified(rest.strip_prefix(" PARTITION OF ")?)?;
    Some(Statement::Partition { partition, of })
}

/// `TABLE public.capitals (…)⏎INHERITS (public.cities)`
fn heir(text: &str) -> Option<Statement> {
    let is_table = ["TABLE ", "UNLOGGED TABLE ", "FOREIGN TABLE "].iter().any(|kind| text.starts_with(kind));
    (is_table && text.contains("\nINHERITS (")).then_some(Statement::Heir)
}

/// `POLICY x ON public.a AS RESTRICTIVE FOR SELECT TO one, "another one" USING …`
fn policy(text: &str) -> Option<Statement> {
    let (_, rest) = identifier(text.strip_prefix("POLICY ")?)?;
    let (table, rest) = qualified(rest.strip_prefix(" ON ")?)?;
    let rest = rest.strip_prefix(" AS RESTRICTIVE").unwrap_or(rest);
    let commands = [" FOR SELECT", " FOR INSERT", " FOR UPDATE", " FOR DELETE"];
    let rest = commands.iter().find_map(|command| rest.strip_prefix(command)).unwrap_or(rest);
    let (first, mut rest) = identifier(rest.strip_prefix(" TO ")?)?;
    let mut roles = vec![first];
    while let Some((role, after)) = rest.strip_prefix(", ").and_then(identifier) {
        roles.push(role);
        rest = after;
    }
    Some(Statement::Policy(table, roles))
}

/// `USER MAPPING FOR one SERVER …`
fn mapping(text: &str) -> Option<Statement> {
    let (role, _) = identifier(text.strip_prefix("USER MAPPING FOR ")?)?;
    Some(Statement::ForRoles(if role.eq_ignore_ascii_case("public") { Vec::new() } else { vec![role] }))
}

/// `'public.x_id_seq', 42, true)`
fn set_value(arguments: &str) -> Option<Statement> {
    let (name, rest) = literal(arguments)?;
    let ((schema, sequence), _) = qualified(&name)?;
    let mut rest = rest.trim_end_matches(')').split(',').skip(1).map(str::trim);
    let last_value = rest.next()?.trim_matches('\'').parse().ok()?;
    Some(Statement::SetValue { schema, sequence, last_value, is_called: rest.next()? == "true" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_statements_that_count_are_recognised() {
        let public = || Some("public".to_owned());
        assert_eq!(read("COPY public.a (x) FROM stdin"), Statement::Copy(public(), "a".into()));
        assert_eq!(read("COPY public.a (x) TO stdout"), Statement::Other { not_valid: false });
        assert_eq!(
            read("SELECT pg_catalog.setval('public.\"A_seq\"', -5, false)"),
            Statement::SetValue {
                schema: public(),
                sequence: "A_seq".into(),
                last_value: -5,
                is_called: false
            }
        );
        assert_eq!(read("SELECT pg_catalog.lo_create('16600')"), Statement::LargeObject);
        assert_eq!(read(r"SELECT pg_catalog.lowrite(0, '\x00ff17')"), Statement::LargeObjectBytes(3));
        assert_eq!(
            read("CREATE EXTENSION IF NOT EXISTS \"uuid-ossp\" WITH SCHEMA extensions"),
            Statement::Extension { name: "uuid-ossp".into(), schema: "extensions".into() }
        );
        assert_eq!(
            read("ALTER TABLE public.a ADD CONSTRAINT c CHECK (true) NOT VALID"),
            Statement::Other { not_valid: true }
        );
        let heir = "CREATE TABLE public.capitals (\n    state character(2)\n)\nINHERITS (public.cities)";
        assert_eq!(read(heir), Statement::Heir);
        let other = "CREATE TABLE public.a (\n    b text DEFAULT 'INHERITS (x)'::text\n)";
        assert_eq!(read(other), Statement::Other { not_valid: false });
    }

    #[test]
    fn the_roles_that_something_is_for_are_named() {
        let roles = |text| match read(text) {
            Statement::ForRoles(roles) | Statement::Policy(_, roles) => roles.join("|"),
            other => format!("{other:?}"),
        };
        assert_eq!(roles("CREATE POLICY p ON public.a TO one USING (true)"), "one");
        assert_eq!(
            roles(
                "CREATE POLICY \"a TO b\" ON public.\"a b\" AS RESTRICTIVE FOR UPDATE TO one, \"Deux, trois\", two WITH CHECK (x)"
            ),
            "one|Deux, trois|two"
        );
        assert_eq!(roles("CREATE USER MAPPING FOR one SERVER s OPTIONS (\"user\" 'x')"), "one");
        assert_eq!(roles("CREATE USER MAPPING FOR public SERVER s"), "");
        let forced = Statement::Forced((Some("public".to_owned()), "a b".to_owned()));
        assert_eq!(read("ALTER TABLE ONLY public.\"a b\" FORCE ROW LEVEL SECURITY"), forced);
        assert!(roles("CREATE POLICY p ON public.a USING ((x = ' TO y'::text))").starts_with("Other"));
    }
}
