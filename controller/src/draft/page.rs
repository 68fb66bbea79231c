//! A YAML document with remarks, written line by line. What others named is quoted where YAML could take it for something else, and
//! can end no line. Pure.

/// The words that some reader of YAML takes for something else than a text.
const WORDS: [&str; 13] =
    ["true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf", "nil", "none"];
/// How long a line of a remark may be.
const WIDTH: usize = 118;
/// The longest text that stands without quotes.
const PLAIN: usize = 120;

/// What every field begins its remark with that nobody but a person can fill in.
pub(super) const FILL_IN: &str = "FILL IN";
/// The same, of what was guessed or lies elsewhere.
pub(super) const CHECK: &str = "CHECK";

/// A document in the making.
#[derive(Debug, Default)]
pub(super) struct Page {
    text: String,
    indent: usize,
    /// The next line begins an item of a list.
    dash: bool,
    path: String,
    blanks: Vec<String>,
}

impl Page {
    /// The text, and the paths of the fields that were left empty.
    pub(super) fn finish(self) -> (String, Vec<String>) {
        (self.text, self.blanks)
    }

    /// A remark on lines of its own.
    pub(super) fn remark(&mut self, text: &str) {
        let text = one_line(text);
        let mut line = String::new();
        for word in text.split(' ') {
            let full = self.indent + 2 + line.chars().count() + 1 + word.chars().count() > WIDTH;
            if full && !line.is_empty() {
                self.put_remark(&line);
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        self.put_remark(&line);
    }

    fn put_remark(&mut self, line: &str) {
        // Before an item it stands where the item's dash will.
        let indent = if self.dash { self.indent.saturating_sub(2) } else { self.indent };
        self.text.push_str(format!("{}# {line}", " ".repeat(indent)).trim_end());
        self.text.push('\n');
    }

    /// An empty line.
    pub(super) fn gap(&mut self) {
        self.text.push('\n');
    }

    /// A field whose value is a text.
    pub(super) fn text(&mut self, key: &str, value: &str) {
        self.written(key, &scalar(value));
    }

    /// A field whose value is YAML of our own.
    pub(super) fn written(&mut self, key: &str, yaml: &str) {
        self.line(&format!("{}: {yaml}", scalar(key)), None);
    }

    /// A field that a person has to look at.
    pub(super) fn check(&mut self, key: &str, value: &str, why: &str) {
        self.line(&format!("{}: {}", scalar(key), scalar(value)), Some((CHECK, why)));
    }

    /// The same, of YAML of our own.
    pub(super) fn check_written(&mut self, key: &str, yaml: &str, why: &str) {
        self.line(&format!("{}: {yaml}", scalar(key)), Some((CHECK, why)));
    }

    /// A field that a person has to fill in.
    pub(super) fn blank(&mut self, key: &str, why: &str) {
        self.blanks.push(joined(&self.path, key));
        self.line(&format!("{}:", scalar(key)), Some((FILL_IN, why)));
    }

    /// The first item of a list, that a person has to fill in.
    pub(super) fn blank_item(&mut self, key: &str, why: &str) {
        self.line(&format!("{}:", scalar(key)), None);
        self.blanks.push(format!("{}[0]", joined(&self.path, key)));
        self.nested(|page| page.line("-", Some((FILL_IN, why))));
    }

    /// A list of texts.
    pub(super) fn list<'a>(&mut self, key: &str, items: impl IntoIterator<Item = &'a str>) {
        self.line(&format!("{}:", scalar(key)), None);
        self.nested(|page| {
            for item in items {
                page.line(&format!("- {}", scalar(item)), None);
            }
        });
    }

    /// A mapping. It must have a member.
    pub(super) fn map(&mut self, key: &str, body: impl FnOnce(&mut Self)) {
        self.line(&format!("{}:", scalar(key)), None);
        let inner = joined(&self.path, key);
        let outer = std::mem::replace(&mut self.path, inner);
        self.nested(body);
        self.path = outer;
    }

    /// A list of mappings; each has a member.
    pub(super) fn items<T>(
        &mut self,
        key: &str,
        all: impl IntoIterator<Item = T>,
        body: impl Fn(&mut Self, T),
    ) {
        self.line(&format!("{}:", scalar(key)), None);
        let outer = self.path.clone();
        for (index, one) in all.into_iter().enumerate() {
            self.path = format!("{}[{index}]", joined(&outer, key));
            self.indent += 4;
            self.dash = true;
            body(self, one);
            self.dash = false;
            self.indent -= 4;
        }
        self.path = outer;
    }

    fn nested(&mut self, body: impl FnOnce(&mut Self)) {
        self.indent += 2;
        body(self);
        self.indent -= 2;
    }

    fn line(&mut self, content: &str, remark: Option<(&str, &str)>) {
        let lead = if std::mem::take(&mut self.dash) {
            format!("{}- ", " ".repeat(self.indent.saturating_sub(2)))
        } else {
            " ".repeat(self.indent)
        };
        self.text.push_str(&lead);
        self.text.push_str(content);
        if let Some((mark, why)) = remark {
            self.text.extend(["  # ", mark, ": ", &one_line(why)]);
        }
        self.text.push('\n');
    }
}

fn joined(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// A text as YAML has it: bare where nobody can take it for anything else, in double quotes elsewhere.
pub(super) fn scalar(text: &str) -> String {
    let bare = text.len() <= PLAIN
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./@:".contains(c))
        && !text.ends_with(':')
        && !WORDS.contains(&text.to_ascii_lowercase().as_str());
    if bare {
        return text.to_owned();
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            _ if prints(c) => quoted.push(c),
            _ => quoted.push_str(&escaped(c)),
        }
    }
    quoted.push('"');
    quoted
}

/// Every sign that does not print is one of the first 65,536.
fn escaped(c: char) -> String {
    format!("\\u{:04x}", u32::from(c))
}

/// Whether a line may hold this sign as it is.
fn prints(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// What others wrote, fit for a remark.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if prints(c) { c } else { ' ' }).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reprise_crds::yaml;

    use super::*;

    fn read(page: Page) -> serde_json::Value {
        let (text, _) = page.finish();
        let document = yaml::read(&text).unwrap_or_else(|problem| panic!("{problem}\n{text}"));
        assert!(document.problems.is_empty(), "{:?}", document.problems);
        document.value
    }

    #[test]
    fn what_looks_like_something_else_is_quoted() {
        for text in [
            "",
            "no",
            "Yes",
            "NULL",
            "~",
            "1e5",
            "0755",
            "12",
            "- a",
            "a: b",
            "a #b",
            "a:",
            "*x",
            "&x",
            "!x",
            "%x",
            "@x",
            "`",
            "{a}",
            "[a]",
            ".inf",
            "a\nb: c",
            "\t",
            "'",
            "\"",
            "\\",
            "a\u{2028}b",
            "\u{85}",
            "é",
            "🙂",
            "---",
        ] {
            let mut page = Page::default();
            page.text(text, text);
            assert_eq!(read(page)[text], text, "{text:?}");
        }
        for bare in ["osc-fr1", "env:S3_KEY", "https://github.com/owner/code.git", "ops@example.org"] {
            assert_eq!(scalar(bare), bare);
        }
    }

    proptest! {
        #[test]
        fn any_text_comes_back_as_it_was(key in "\\PC*|(?s).{1,8}", value in "(?s).*", remark in "(?s).*") {
            let mut page = Page::default();
            page.remark(&remark);
            page.map("a", |page| {
                page.check(&key, &value, &remark);
                page.items("list of it", [&value, &value], |page, one| {
                    page.remark(one);
                    page.text("it", one);
                    page.list("all", [one.as_str()]);
                });
            });
            let read = read(page);
            if key != "list of it" {
                prop_assert_eq!(&read["a"][&key], &value);
            }
            prop_assert_eq!(&read["a"]["list of it"][1]["it"], &value);
            prop_assert_eq!(&read["a"]["list of it"][0]["all"][0], &value);
        }
    }

    #[test]
    fn an_empty_field_is_told_by_its_path() {
        let mut page = Page::default();
        page.map("spec", |page| {
            page.items("apps", ["one", "two"], |page, name| {
                page.text("name", name);
                page.map("code", |page| page.blank("repository", "the code\nhost: x"));
            });
            page.blank_item("recipients", "whose");
        });
        let paths = ["spec.apps[0].code.repository", "spec.apps[1].code.repository", "spec.recipients[0]"];
        assert_eq!(page.blanks, paths);
        assert_eq!(page.text.matches("FILL IN").count(), 3);
        let read = read(page);
        assert_eq!(read["spec"]["recipients"], serde_json::json!([null]));
        assert_eq!(
            read["spec"]["apps"][1],
            serde_json::json!({ "name": "two", "code": { "repository": null } })
        );
    }
}
