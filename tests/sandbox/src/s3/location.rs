//! The address of an object, as answers tell it.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What stays as it is in a path.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// The address that a request was sent to: path and host are the client's, be the bucket in the one or in the other.
pub(crate) fn of(host: &str, path: &str) -> String {
    format!("http://{host}{path}")
}

/// The address of `key` in the bucket that is asked at `bucket`.
pub(crate) fn inside(bucket: &str, key: &str) -> String {
    format!("{}/{}", bucket.trim_end_matches('/'), utf8_percent_encode(key, PATH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_written_as_a_path() {
        assert_eq!(inside("http://h/b", "a/é 1+?.txt"), "http://h/b/a/%C3%A9%201%2B%3F.txt");
        assert_eq!(inside("http://b.h/", "k"), "http://b.h/k");
    }
}
