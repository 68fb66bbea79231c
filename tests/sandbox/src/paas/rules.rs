//! What the platform refuses in names and values: pure checks with the vendor's recorded messages.

use crate::paas::state::Variable;

/// Why `name` cannot be an app's name; empty if it can.
pub(super) fn app_name(name: &str) -> Vec<&'static str> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let mut wrong = Vec::new();
    if name.is_empty() {
        return vec!["can't be blank"];
    }
    if name.chars().count() < 6 {
        wrong.push("is too short (minimum is 6 characters)");
    }
    if name.chars().count() > 48 {
        wrong.push("is too long (maximum is 48 characters)");
    }
    if name.starts_with('-') {
        wrong.push("can't start with an hyphen");
    }
    if name.ends_with('-') {
        wrong.push("can't end with an hyphen");
    }
    if name.contains("--") {
        wrong.push("can't contain 2 consecutive hyphens");
    }
    if !name.chars().all(allowed) {
        wrong.push("should contain only lowercap letters, digits and hyphens");
    }
    wrong
}

/// Why this cannot be a project's name.
pub(super) fn project_name(name: &str) -> Option<&'static str> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    match name.len() {
        0 => Some("can't be blank"),
        1..=64 if name.chars().all(allowed) => None,
        1..=64 => Some("should contain only lowercap letters, digits, hyphens and underscores"),
        _ => Some("is too long (maximum is 64 characters)"),
    }
}

/// The longest value of a variable, in characters.
const LONGEST_VALUE: usize = 32_768;

/// Why this cannot be a variable, by field.
pub(super) fn variable(name: &str, value: &str) -> Vec<(String, String)> {
    let mut wrong = Vec::new();
    let mut add = |field: &str, message: &str| wrong.push((field.to_owned(), message.to_owned()));
    if name.is_empty() {
        add("name", "can't be blank");
    }
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        add("name", "must start with a letter");
    }
    if name.chars().count() > 64 {
        add("name", "is too long (maximum is 64 characters)");
    }
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')) {
        add("name", "should contain only letters, digits and underscores");
    }
    if value.trim().is_empty() {
        add("value", "can't be blank");
    }
    if value.chars().count() > LONGEST_VALUE {
        add("value", "is too long (maximum is 32768 characters)");
    }
    wrong
}

/// Why this cannot be a database user's name.
pub(super) fn database_user(name: &str) -> Option<&'static str> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
    if name.is_empty() {
        Some("can't be blank")
    } else if !(6..=32).contains(&name.len()) {
        Some("must be between 6 and 32 characters long")
    } else if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(allowed) {
        Some("should contain only lowercase letters and digits, and start with a letter")
    } else if name == "postgres" || name == "public" || name.starts_with("pg_") {
        // The server's own.
        Some("is reserved")
    } else {
        None
    }
}

/// Why this cannot be a database user's password.
pub(super) fn database_password(password: &str) -> Option<&'static str> {
    if !(24..=64).contains(&password.chars().count()) {
        Some("must be between 24 and 64 characters long")
    } else if password.contains(['"', '\'']) {
        Some("can't contain quotes")
    } else {
        None
    }
}

/// The value of `raw` with a whole-value alias (`$NAME`) followed, a few levels deep; an alias to nothing stays as it is.
pub(super) fn resolved(variables: &[Variable], raw: &str) -> String {
    let mut value = raw;
    for _ in 0..8 {
        let target = value.strip_prefix('$').and_then(|name| variables.iter().find(|v| v.name == name));
        match target {
            Some(variable) => value = &variable.value,
            None => break,
        }
    }
    value.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn app_names_are_refused_in_the_vendors_words() {
        assert!(app_name("apilos-siap").is_empty());
        assert_eq!(app_name("apilos-"), ["can't end with an hyphen"]);
        assert_eq!(app_name("api--los"), ["can't contain 2 consecutive hyphens"]);
        assert_eq!(app_name("Apilos_Siap"), ["should contain only lowercap letters, digits and hyphens"]);
        assert!(!app_name("short").is_empty() && !app_name(&"a".repeat(49)).is_empty());
    }

    #[test]
    fn a_blank_variable_is_refused_field_by_field() {
        let fields: Vec<_> =
            variable("", " ").into_iter().map(|(field, message)| format!("{field} {message}")).collect();
        assert_eq!(fields, ["name can't be blank", "name must start with a letter", "value can't be blank"]);
        assert!(variable("DATABASE_URL", "$SCALINGO_POSTGRESQL_URL").is_empty());
    }

    #[test]
    fn aliases_are_followed_and_never_for_ever() {
        let variable =
            |name: &str, value: &str| Variable { id: String::new(), name: name.into(), value: value.into() };
        let variables = [variable("A", "$B"), variable("B", "text"), variable("LOOP", "$LOOP")];
        assert_eq!(resolved(&variables, "$A"), "text");
        assert_eq!(resolved(&variables, "$NOBODY"), "$NOBODY");
        assert_eq!(resolved(&variables, "$LOOP"), "$LOOP");
        assert_eq!(resolved(&variables, "prefix $A"), "prefix $A");
    }

    #[test]
    fn a_password_with_quotes_is_refused() {
        assert_eq!(database_password(&"x".repeat(24)), None);
        assert!(database_password(&format!("{}'", "x".repeat(24))).is_some());
        assert!(database_password("short").is_some());
    }
}
