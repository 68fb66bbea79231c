//! Requests: what clients send to the sandbox.

use bytes::Bytes;
use reprise_sandbox::parsers;

/// A source archive: whatever it says, nothing may be written beside its own folder.
pub(crate) fn source(data: &[u8]) {
    let Ok(folder) = tempfile::tempdir() else { return };
    let into = folder.path().join("source");
    if std::fs::create_dir(&into).is_err() {
        return;
    }
    let taken = parsers::source(data, &into);
    let beside = std::fs::read_dir(folder.path()).into_iter().flatten().flatten();
    for entry in beside {
        let name = entry.file_name();
        // While the root folder is taken off, the rest is aside for a moment.
        assert!(
            name == "source" || (!taken && name == "source.root"),
            "{} was written",
            entry.path().display()
        );
    }
}

/// A form of a browser. Where the bytes are cut must not change it.
pub(crate) fn form(data: &[u8]) {
    let pieces = data.chunks(7).map(Bytes::copy_from_slice).collect();
    let cut = crate::block_on(parsers::form(pieces, "B"));
    let whole = crate::block_on(parsers::form(vec![Bytes::copy_from_slice(data)], "B"));
    assert!(cut == whole, "the cuts were seen");
}

/// A bucket's policy or its rules for browsers.
pub(crate) fn document(data: &[u8]) {
    let _taken = parsers::document(&String::from_utf8_lossy(data));
}

/// A question to a name server.
pub(crate) fn question(data: &[u8]) {
    let _answered = parsers::question(data);
}

/// The first packets to a database, where plain text is refused: after the letters that refuse other encryption comes one whole
/// message, unless it is TLS that goes on.
pub(crate) fn startup(data: &[u8]) {
    let answer = crate::block_on(parsers::startup(data));
    let letters = answer.iter().take_while(|byte| **byte == b'N').count();
    if let Some(said @ [b'E', a, b, c, d, ..]) = answer.get(letters..) {
        let length = u32::from_be_bytes([*a, *b, *c, *d]);
        assert_eq!(Some(said.len()), usize::try_from(length).ok().map(|length| length + 1), "a torn message");
    }
}
