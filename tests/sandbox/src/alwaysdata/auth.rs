//! Who is calling, from the `Authorization` header. Pure.
//!
//! HTTP Basic with an empty password; the user is `TOKEN`, or `TOKEN account=NAME` with one space, or `TOKEN customer=MAIL`.
//! A user without the space is another token, and unknown.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine as _;

/// What a header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// No or wrong credentials.
    Nobody,
    /// Our token; `sees` is whether the chosen account is the one that exists.
    Profile {
        /// Whether the account's resources are in view.
        sees: bool,
    },
}

/// Reads the header against the one token and account of this world.
pub fn identify(headers: &HeaderMap, token: &str, account: &str) -> Identity {
    let user = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(basic_user);
    let Some(user) = user else { return Identity::Nobody };
    let mut words = user.split(' ');
    if words.next() != Some(token) {
        return Identity::Nobody;
    }
    let mut sees = true;
    for word in words {
        match word.split_once('=') {
            Some(("account", name)) => sees &= name == account,
            // Acting for another customer: there is only one profile in this world, so nothing is in view.
            Some(("customer", _)) => sees = false,
            _ => return Identity::Nobody,
        }
    }
    Identity::Profile { sees }
}

/// The user of a Basic header whose password is empty.
fn basic_user(header: &str) -> Option<String> {
    let (scheme, encoded) = header.split_once(' ')?;
    let bytes = base64::engine::general_purpose::STANDARD.decode(encoded.trim()).ok()?;
    let pair = String::from_utf8(bytes).ok()?;
    let (user, password) = pair.split_once(':')?;
    (scheme.eq_ignore_ascii_case("basic") && password.is_empty()).then(|| user.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(pair: &str) -> Identity {
        let encoded = base64::engine::general_purpose::STANDARD.encode(pair);
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, format!("Basic {encoded}").parse().unwrap());
        identify(&headers, "KEY", "apilos")
    }

    #[test]
    fn the_account_is_chosen_after_one_space() {
        assert_eq!(said("KEY:"), Identity::Profile { sees: true });
        assert_eq!(said("KEY account=apilos:"), Identity::Profile { sees: true });
        assert_eq!(said("KEY account=other:"), Identity::Profile { sees: false });
    }

    #[test]
    fn anything_else_is_nobody() {
        for pair in
            ["KEYaccount=apilos:", "KEY:password", "OTHER:", "KEY  account=apilos:", "KEY account:", "KEY"]
        {
            assert_eq!(said(pair), Identity::Nobody, "{pair}");
        }
        assert_eq!(identify(&HeaderMap::new(), "KEY", "apilos"), Identity::Nobody);
    }
}
