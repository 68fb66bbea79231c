//! One entry of a template, which is one line unless its quotes say otherwise.

/// What was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A blank line or a comment.
    Nothing,
    Entry {
        name: String,
        default: Option<String>,
        commented: bool,
    },
    Bad(&'static str),
}

/// Reads the first of `lines` and as many more as its quotes span. Returns how many were used, at least one.
pub(super) fn read(lines: &[&str]) -> (Line, usize) {
    let first = lines.first().copied().unwrap_or_default();
    let text = first.trim();
    if text.is_empty() {
        return (Line::Nothing, 1);
    }
    if let Some(comment) = text.strip_prefix('#') {
        return (commented(comment), 1);
    }
    if text.contains('\0') {
        return (Line::Bad("holds a NUL"), 1);
    }
    let (name, value) = match exported(text).split_once('=') {
        Some((name, value)) => (name.trim_end(), value.trim_start()),
        None => (exported(text), ""),
    };
    if !is_name(name) {
        return (Line::Bad("is neither NAME=value nor a comment"), 1);
    }
    let (value, used) = match quoted(value, lines.get(1..).unwrap_or_default()) {
        Some(Ok(read)) => read,
        Some(Err(reason)) => return (Line::Bad(reason), 1),
        None => (bare(value).to_owned(), 1),
    };
    (entry(name, value, false), used)
}

/// A comment is an entry if it looks exactly like one; everything else is prose.
fn commented(comment: &str) -> Line {
    let Some((name, value)) = exported(comment.trim()).split_once('=') else { return Line::Nothing };
    if !is_name(name) {
        return Line::Nothing;
    }
    match quoted(value, &[]) {
        Some(Ok((value, _))) => entry(name, value, true),
        Some(Err(_)) | None => entry(name, bare(value).to_owned(), true),
    }
}

fn entry(name: &str, value: String, commented: bool) -> Line {
    let default = Some(value).filter(|value| !value.trim().is_empty());
    Line::Entry { name: name.to_owned(), default, commented }
}

fn exported(text: &str) -> &str {
    let rest = text.strip_prefix("export").filter(|rest| rest.starts_with([' ', '\t']));
    rest.map_or(text, str::trim_start)
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// A value without quotes ends where a comment begins: at a `#` after a blank.
fn bare(value: &str) -> &str {
    let hash = value.char_indices().find(|&(at, c)| {
        c == '#' && (at == 0 || value.get(..at).is_some_and(|before| before.ends_with([' ', '\t'])))
    });
    hash.and_then(|(at, _)| value.get(..at)).unwrap_or(value).trim()
}

/// A value in quotes, which may go on in the following lines; `None` if there are no quotes. Double quotes know
/// backslashes, single ones do not.
fn quoted(value: &str, following: &[&str]) -> Option<Result<(String, usize), &'static str>> {
    let quote = value.chars().next().filter(|c| *c == '"' || *c == '\'')?;
    let mut text = String::new();
    let mut line = value.get(1..).unwrap_or_default();
    for used in 1.. {
        match until(quote, line, &mut text) {
            Some(rest) if rest.trim().is_empty() || rest.trim_start().starts_with('#') => {
                return Some(Ok((text, used)));
            }
            Some(_) => return Some(Err("goes on after the closing quote")),
            None => {}
        }
        text.push('\n');
        let Some(next) = following.get(used - 1) else { break };
        line = next;
    }
    Some(Err("has no closing quote"))
}

/// Adds the text before the closing quote; returns what follows it, or `None` if the line has none.
fn until<'a>(quote: char, line: &'a str, text: &mut String) -> Option<&'a str> {
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        match c {
            c if c == quote => return Some(rest.as_str()),
            '\\' if quote == '"' => match rest.next() {
                Some('n') => text.push('\n'),
                Some('r') => text.push('\r'),
                Some('t') => text.push('\t'),
                Some(c @ ('"' | '\\' | '$')) => text.push(c),
                Some(c) => text.extend(['\\', c]),
                None => text.push('\\'),
            },
            c => text.push(c),
        }
    }
    None
}
