//! The Procfile: which commands an app has. Pure.

use std::collections::BTreeMap;

/// Process type → command. `Err` names the line that is not `type: command`.
pub(super) fn parse(text: &str) -> Result<BTreeMap<String, String>, String> {
    let mut commands = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (kind, command) =
            split(line).ok_or_else(|| format!("Procfile, line {}: not `type: command`", number + 1))?;
        if commands.insert(kind.to_owned(), command.to_owned()).is_some() {
            return Err(format!("Procfile, line {}: {kind} is there twice", number + 1));
        }
    }
    if commands.is_empty() { Err("the Procfile has no process type".into()) } else { Ok(commands) }
}

fn split(line: &str) -> Option<(&str, &str)> {
    let (kind, command) = line.split_once(':')?;
    let (kind, command) = (kind.trim_end(), command.trim());
    let is_word =
        !kind.is_empty() && kind.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    (is_word && !command.is_empty()).then_some((kind, command))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_keep_their_colons() {
        let parsed = parse("# apps\nweb: gunicorn -b 0.0.0.0:$PORT app:app\r\n\nworker:celery\n").unwrap();
        assert_eq!(parsed["web"], "gunicorn -b 0.0.0.0:$PORT app:app");
        assert_eq!(parsed["worker"], "celery");
    }

    #[test]
    fn a_bad_line_is_named() {
        assert!(parse("web: x\nnonsense\n").unwrap_err().contains("line 2"));
        assert!(parse("we b: x\n").is_err());
        assert!(parse("web: x\nweb: y\n").unwrap_err().contains("twice"));
        assert!(parse("# nothing\n").is_err());
    }
}
