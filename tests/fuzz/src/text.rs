//! Texts: what the PostgreSQL tools print, and what people write.

use reprise::backup::contents::Scanner;
use reprise::backup::restore::Messages;
use reprise::backup::toc;
use reprise_crds::{RecoveryPlan, template as variables_template};

/// The SQL of a dump. Where the text is cut must not change what is counted.
pub(crate) fn contents(data: &[u8]) {
    let mut whole = Scanner::default();
    whole.feed(data);
    let mut pieces = Scanner::default();
    for piece in data.chunks(7) {
        pieces.feed(piece);
    }
    assert_eq!(format!("{:?}", whole.finish()), format!("{:?}", pieces.finish()), "the cuts were counted");
}

/// What `pg_restore` says while it works.
pub(crate) fn messages(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut messages = Messages::default();
    for line in text.lines() {
        let _event = messages.line(line);
    }
    let report = messages.finish();
    assert!(report.errors.len() as u64 <= report.error_count, "more errors are kept than were counted");
}

/// The listing of a dump's table of contents.
pub(crate) fn toc(data: &[u8]) {
    let _read = toc::parse(&String::from_utf8_lossy(data));
}

/// A plan as somebody wrote it.
pub(crate) fn plan(data: &[u8]) {
    if let Err(problems) = RecoveryPlan::parse_yaml(&String::from_utf8_lossy(data)) {
        assert!(!problems.is_empty(), "a plan is refused and nobody says why");
    }
}

/// A variables template.
pub(crate) fn template(data: &[u8]) {
    let _entries = variables_template::parse(&String::from_utf8_lossy(data));
}
