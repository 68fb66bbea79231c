//! Which names of a zip are keys. A key is what is joined to a prefix, in a bucket or on a disk: it must stay below it.

/// The longest key that S3 takes.
const MAX_KEY: usize = 1024;

/// The key that `name` stands for, or what is wrong with it.
pub(super) fn key_of(name: &[u8]) -> Result<String, &'static str> {
    let key = std::str::from_utf8(name).map_err(|_| "the name is not UTF-8")?;
    if key.is_empty() {
        return Err("the name is empty");
    }
    if key.len() > MAX_KEY {
        return Err("the name is longer than a key may be");
    }
    if key.starts_with('/') {
        return Err("the name is absolute");
    }
    if key.contains('\\') {
        return Err("the name has a backslash");
    }
    if key.chars().any(char::is_control) {
        return Err("the name has a control character");
    }
    if key.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        return Err("the name has an empty or relative segment");
    }
    Ok(key.to_owned())
}

#[cfg(test)]
mod tests {
    use super::key_of;

    #[test]
    fn no_name_leaves_the_prefix() {
        for name in ["../a", "a/../../b", "/etc/passwd", "a\\..\\b", "", ".", "a//b", "a\0b", "a/./b"] {
            assert!(key_of(name.as_bytes()).is_err(), "{name:?} was taken");
        }
        assert!(key_of(b"\xff").is_err() && key_of(&[b'a'; 1025]).is_err());
    }

    #[test]
    fn ordinary_names_are_taken_as_they_are() {
        for name in ["a", "media/conventions/Évaluation n°1.pdf", "..a/b..", "a b/c+d=e:f"] {
            assert_eq!(key_of(name.as_bytes()).as_deref(), Ok(name));
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_taken_stays_below_a_folder(name in "[a./\\\\]{0,12}") {
            if let Ok(key) = key_of(name.as_bytes()) {
                let path = std::path::Path::new(&key);
                let normal = |part| matches!(part, std::path::Component::Normal(_));
                proptest::prop_assert!(path.components().all(normal));
            }
        }
    }
}
