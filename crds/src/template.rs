//! Variables templates (`.env.template`): a list of names, with defaults for somebody's own machine.
//!
//! Reads the dialect that dotenv libraries share: `NAME=value`, `export NAME=value`, quotes, comments, Windows line ends.
//! Nothing is expanded. Problems tell line numbers and never repeat a value.

mod line;

use line::Line;

/// A template, in the order of its lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template {
    /// Every entry, commented ones too.
    pub entries: Vec<Entry>,
    /// Lines that are neither entries nor comments nor blank.
    pub bad: Vec<BadLine>,
}

/// One entry of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The variable's name.
    pub name: String,
    /// The default, without its quotes; `None` if it is blank.
    pub default: Option<String>,
    /// Whether the whole entry is a comment (`# NAME=value`).
    pub commented: bool,
    /// The line it begins on, counted from one.
    pub line: usize,
}

/// A line that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// The line, counted from one.
    pub line: usize,
    /// What is wrong with it, as the end of a sentence.
    pub reason: &'static str,
}

impl Template {
    /// The entry that counts for a name: the last one that is no comment, as in every dotenv library; else the last one.
    pub fn get(&self, name: &str) -> Option<&Entry> {
        let of_name = || self.entries.iter().rev().filter(|entry| entry.name == name);
        of_name().find(|entry| !entry.commented).or_else(|| of_name().next())
    }
}

/// Reads a template. Never fails: what cannot be read is listed in [`Template::bad`].
///
/// ```
/// let template = reprise_crds::template::parse("DEBUG=True\n# SENTRY_URL=\nexport NAME='a b' # why\n???\n");
/// assert_eq!(template.get("NAME").unwrap().default.as_deref(), Some("a b"));
/// assert!(template.get("SENTRY_URL").unwrap().commented);
/// assert_eq!(template.bad[0].line, 4);
/// ```
pub fn parse(text: &str) -> Template {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines: Vec<&str> = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)).collect();
    let mut template = Template::default();
    let mut next = 0;
    while let Some(rest) = lines.get(next..).filter(|rest| !rest.is_empty()) {
        let line = next + 1;
        let (read, used) = line::read(rest);
        next += used;
        match read {
            Line::Nothing => {}
            Line::Entry { name, default, commented } => {
                template.entries.push(Entry { name, default, commented, line });
            }
            Line::Bad(reason) => template.bad.push(BadLine { line, reason }),
        }
    }
    template
}

#[cfg(test)]
mod tests;
