//! Credentials as requests show them, told apart by fingerprints. The secret itself is not kept.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// A credential that a request showed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Credential {
    /// What may be shown of it: a user's or key's id; empty if there is none.
    pub id: String,
    /// Tells two credentials apart.
    pub fingerprint: String,
}

/// Enough of a digest to tell secrets apart, not enough to find one.
pub fn fingerprint(secret: &str) -> String {
    hex::encode(Sha256::digest(secret.as_bytes())).chars().take(16).collect()
}

impl Credential {
    /// What an `Authorization` header shows.
    pub fn of_header(header: &str) -> Option<Self> {
        let (scheme, value) = header.split_once(' ')?;
        let value = value.trim();
        match scheme.to_ascii_lowercase().as_str() {
            "basic" => Self::of_basic(value),
            "aws4-hmac-sha256" => {
                let (_, rest) = value.split_once("Credential=")?;
                Some(Self::of_key(rest.split('/').next()?))
            }
            _ => Some(Self { id: holder(value).unwrap_or_default(), fingerprint: fingerprint(value) }),
        }
    }

    /// An access key, by its id: its secret is never shown.
    pub fn of_key(id: &str) -> Self {
        Self { id: id.to_owned(), fingerprint: fingerprint(id) }
    }

    /// The user may be the secret (with a remark after a space), or the password.
    fn of_basic(value: &str) -> Option<Self> {
        let text = String::from_utf8(BASE64_STANDARD.decode(value).ok()?).ok()?;
        let (user, password) = text.split_once(':')?;
        let secret = if password.is_empty() { user.split(' ').next().unwrap_or_default() } else { password };
        Some(Self { id: String::new(), fingerprint: fingerprint(secret) })
    }
}

/// Whose JWT it is, unchecked.
fn holder(token: &str) -> Option<String> {
    let payload = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&payload).ok()?;
    claims.get("uuid").and_then(Value::as_str).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_header_is_told_apart_without_its_secret() {
        let basic =
            |text: &str| Credential::of_header(&format!("Basic {}", BASE64_STANDARD.encode(text))).unwrap();
        assert_eq!(basic(":tk-us-1"), Credential { id: String::new(), fingerprint: fingerprint("tk-us-1") });
        assert_eq!(basic("KEY account=a:").fingerprint, fingerprint("KEY"));
        let claims = BASE64_URL_SAFE_NO_PAD.encode(r#"{"uuid": "us-9"}"#);
        let bearer = Credential::of_header(&format!("Bearer e30.{claims}.x")).unwrap();
        assert_eq!(bearer.id, "us-9");
        let signed = "AWS4-HMAC-SHA256 Credential=AKID/20261123/fr-par/s3/aws4_request, SignedHeaders=host, Signature=0";
        assert_eq!(Credential::of_header(signed), Some(Credential::of_key("AKID")));
        assert_eq!(Credential::of_header("nonsense"), None);
    }
}
