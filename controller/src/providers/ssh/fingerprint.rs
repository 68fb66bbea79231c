//! Pinned host keys. Pure.

use std::fmt;

use russh::keys::{HashAlg, PublicKey, ssh_key::Fingerprint};

use super::SshError;

/// Fingerprints of the host keys that a server may show: one for each of its key types.
#[derive(Clone, PartialEq, Eq)]
pub struct Fingerprints(Vec<Fingerprint>);

impl Fingerprints {
    /// Reads `SHA256:…`, several separated by commas or spaces. The prefix may be left out, as the platform's page does.
    pub fn parse(text: &str) -> Result<Self, SshError> {
        let wrong = || SshError::Fingerprint { text: text.to_owned() };
        let words = text.split([',', ' ', '\n']).filter(|word| !word.is_empty());
        let list = words
            .map(|word| {
                let digest = word.strip_prefix("SHA256:").unwrap_or(word).trim_end_matches('=');
                format!("SHA256:{digest}").parse::<Fingerprint>().map_err(|_| wrong())
            })
            .collect::<Result<Vec<_>, _>>()?;
        if list.is_empty() { Err(wrong()) } else { Ok(Self(list)) }
    }

    /// Whether `key` is one of them.
    pub fn accept(&self, key: &PublicKey) -> bool {
        self.0.contains(&key.fingerprint(HashAlg::Sha256))
    }
}

impl fmt::Display for Fingerprints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&all.join(" or "))
    }
}

impl fmt::Debug for Fingerprints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_forms_are_read() {
        let ed25519 = "vMMyB6vYf+U68JFAcK/vAL6g4DOKGmT/LMwLhzI9+3E";
        let one = Fingerprints::parse(&format!("SHA256:{ed25519}")).unwrap();
        assert_eq!(one, Fingerprints::parse(ed25519).unwrap());
        assert_eq!(one.to_string(), format!("SHA256:{ed25519}"));
        let two =
            Fingerprints::parse(&format!("{ed25519}, f7y5p9OlI+UCuQoXctVNVj3pVkehTgUBWZz/0PtkGR8")).unwrap();
        assert_eq!(two.0.len(), 2);
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", " ", "SHA256:", "MD5:aa:bb", "SHA256:tooshort", "aa:bb:cc"] {
            assert!(Fingerprints::parse(text).is_err(), "{text:?}");
        }
    }
}
