//! Names and literals as `pg_dump` writes them.

/// Takes one identifier, quoted or not, off the front of `text`.
pub(super) fn identifier(text: &str) -> Option<(String, &str)> {
    if let Some(quoted) = text.strip_prefix('"') {
        return delimited(quoted, '"');
    }
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).unwrap_or(text.len());
    (end > 0).then(|| (text[..end].to_owned(), &text[end..]))
}

/// Takes `NAME` or `SCHEMA.NAME` off the front of `text`.
pub(super) fn qualified(text: &str) -> Option<((Option<String>, String), &str)> {
    let (first, rest) = identifier(text)?;
    match rest.strip_prefix('.') {
        Some(rest) => {
            let (second, rest) = identifier(rest)?;
            Some(((Some(first), second), rest))
        }
        None => Some(((None, first), rest)),
    }
}

/// Takes a string literal off the front of `text`.
pub(super) fn literal(text: &str) -> Option<(String, &str)> {
    delimited(text.strip_prefix('\'')?, '\'')
}

/// What stands before the closing `quote`, doubled ones made single; and what follows.
fn delimited(text: &str, quote: char) -> Option<(String, &str)> {
    let mut content = String::new();
    let mut rest = text;
    loop {
        let (before, after) = rest.split_once(quote)?;
        content.push_str(before);
        match after.strip_prefix(quote) {
            Some(after) => {
                content.push(quote);
                rest = after;
            }
            None => return Some((content, after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_names_are_taken_apart() {
        let name = |schema: &str, name: &str| (Some(schema.to_owned()), name.to_owned());
        assert_eq!(qualified("public.client (id)"), Some((name("public", "client"), " (id)")));
        assert_eq!(qualified(r#""a b"."c""d.e" x"#), Some((name("a b", "c\"d.e"), " x")));
        assert_eq!(qualified("public.élève (id)"), Some((name("public", "élève"), " (id)")));
        assert_eq!(qualified("alone;"), Some(((None, "alone".to_owned()), ";")));
        assert_eq!(qualified("\"open"), None);
        assert_eq!(literal("'it''s', 1"), Some(("it's".to_owned(), ", 1")));
    }
}
