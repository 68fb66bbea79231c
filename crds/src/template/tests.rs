use proptest::prelude::*;

use super::*;

fn default(text: &str) -> Option<String> {
    let template = parse(text);
    assert_eq!((template.entries.len(), template.bad.len()), (1, 0), "{text:?}: {template:?}");
    template.entries.into_iter().next().unwrap().default
}

#[test]
fn values_are_read_as_dotenv_libraries_do() {
    for (text, value) in [
        ("A=b", Some("b")),
        ("A = b ", Some("b")),
        ("  export\tA=b", Some("b")),
        ("A=b # why", Some("b")),
        ("A=b#c", Some("b#c")),
        ("A=#c", None),
        ("A=", None),
        ("A", None),
        ("A=''", None),
        ("A=' b # c '", Some(" b # c ")),
        ("A='b\\n'", Some("b\\n")),
        (r#"A="b\n\"c\" \d" # why"#, Some("b\n\"c\" \\d")),
        ("A=\"b\nc\"", Some("b\nc")),
        ("A=b=c", Some("b=c")),
        ("A=b\r", Some("b")),
        ("\u{feff}A=b", Some("b")),
        ("A=postgres://u:p@h:5432/d?x=y", Some("postgres://u:p@h:5432/d?x=y")),
    ] {
        assert_eq!(default(text).as_deref(), value, "{text:?}");
    }
}

#[test]
fn a_commented_entry_is_told_from_prose() {
    let template = parse("# Comment=yes, really\n#B=1\n# export C='x'\n# some A=b\n# Env var\n## D=1\n#\n");
    let names: Vec<_> =
        template.entries.iter().map(|entry| (entry.name.as_str(), entry.commented, entry.line)).collect();
    assert_eq!(names, [("Comment", true, 1), ("B", true, 2), ("C", true, 3)]);
    assert!(template.bad.is_empty());
}

#[test]
fn bad_lines_are_numbered_and_the_others_survive() {
    let template = parse("A=1\r\nnot a line\r\n1B=2\r\nC='open\r\nD=\"x\" y\r\nE=5\r\n");
    assert_eq!(template.bad.iter().map(|bad| bad.line).collect::<Vec<_>>(), [2, 3, 4, 5]);
    let names: Vec<_> = template.entries.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["A", "E"]);
}

#[test]
fn lines_are_counted_through_a_long_value() {
    let template = parse("A=\"1\n2\n3\"\nB=1\n");
    assert_eq!(template.get("B").unwrap().line, 4);
}

#[test]
fn the_last_entry_that_is_no_comment_counts() {
    let template = parse("A=1\nA=2\n# A=3\n# B=4\n");
    assert_eq!(template.get("A").unwrap().default.as_deref(), Some("2"));
    assert!(template.get("B").unwrap().commented);
    assert_eq!(template.get("C"), None);
}

proptest! {
    #[test]
    fn any_text_is_read_and_every_line_is_within_it(text in "[ -~\n\r\u{e9}\u{0}]{0,200}") {
        let template = parse(&text);
        let lines = text.split('\n').count();
        for line in template.entries.iter().map(|e| e.line).chain(template.bad.iter().map(|b| b.line)) {
            prop_assert!((1..=lines).contains(&line));
        }
    }
}
