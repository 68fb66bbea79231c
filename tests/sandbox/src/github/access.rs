//! Who may do what, from the headers. Pure.

use std::collections::HashMap;

use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, USER_AGENT};
use base64::Engine as _;

/// API versions that are served; the first is the default.
pub const VERSIONS: [&str; 2] = ["2022-11-28", "2026-03-10"];

/// What a token may do with the repository's actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    /// The token does not see the repository if it is private, and may nothing.
    None,
    /// The token sees the repository, but its actions only as the public does.
    Metadata,
    /// May list and download.
    Read,
    /// May also dispatch and delete.
    Write,
}

/// A known token.
#[derive(Debug, Clone)]
pub struct Grant {
    /// Whose it is.
    pub login: String,
    /// What it may do.
    pub permission: Permission,
}

/// Who calls.
#[derive(Debug, Clone)]
pub enum Caller {
    /// No credentials.
    Anonymous,
    /// A known token.
    User(Grant),
}

impl Caller {
    /// For the journal.
    pub fn label(&self) -> &str {
        match self {
            Self::Anonymous => "anonymous",
            Self::User(grant) => &grant.login,
        }
    }

    /// What the caller may do.
    pub fn permission(&self) -> Permission {
        match self {
            Self::Anonymous => Permission::None,
            Self::User(grant) => grant.permission,
        }
    }
}

/// Why a request is refused before anything is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// 403: no `User-Agent`.
    NoUserAgent,
    /// 400: an API version that does not exist.
    Version,
    /// 401: unknown or expired token.
    BadCredentials,
}

/// The caller and the API version, from the headers.
pub(crate) fn identify(
    headers: &HeaderMap,
    tokens: &HashMap<String, Grant>,
) -> Result<(Caller, &'static str), Refusal> {
    if headers.get(USER_AGENT).is_none_or(|agent| agent.as_bytes().trim_ascii().is_empty()) {
        return Err(Refusal::NoUserAgent);
    }
    let caller = match headers.get(AUTHORIZATION) {
        None => Caller::Anonymous,
        Some(value) => {
            let token = value.to_str().ok().and_then(token).ok_or(Refusal::BadCredentials)?;
            Caller::User(tokens.get(&token).cloned().ok_or(Refusal::BadCredentials)?)
        }
    };
    let version = match headers.get("x-github-api-version") {
        None => VERSIONS[0],
        Some(asked) => {
            VERSIONS.into_iter().find(|known| asked.as_bytes() == known.as_bytes()).ok_or(Refusal::Version)?
        }
    };
    Ok((caller, version))
}

/// The token of a `Bearer`, `token` or Basic header.
fn token(header: &str) -> Option<String> {
    let (scheme, rest) = header.split_once(' ')?;
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" | "token" => Some(rest.trim().to_owned()),
        "basic" => {
            let bytes = base64::engine::general_purpose::STANDARD.decode(rest.trim()).ok()?;
            String::from_utf8(bytes).ok()?.split_once(':').map(|(_, password)| password.to_owned())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(pairs: &[(&'static str, &str)]) -> Result<(Caller, &'static str), Refusal> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, value.parse().unwrap());
        }
        let grant = Grant { login: "bot".into(), permission: Permission::Read };
        identify(&headers, &HashMap::from([("T".to_owned(), grant)]))
    }

    #[test]
    fn an_agent_is_mandatory() {
        assert_eq!(said(&[("authorization", "Bearer T")]).unwrap_err(), Refusal::NoUserAgent);
        assert_eq!(said(&[("user-agent", " ")]).unwrap_err(), Refusal::NoUserAgent);
    }

    #[test]
    fn three_schemes_carry_a_token() {
        for header in ["Bearer T", "token T", "Basic Ym90OlQ="] {
            let (caller, version) = said(&[("user-agent", "x"), ("authorization", header)]).unwrap();
            assert_eq!((caller.label(), version), ("bot", "2022-11-28"), "{header}");
        }
        for header in ["Bearer X", "Digest T", "T"] {
            let refusal = said(&[("user-agent", "x"), ("authorization", header)]).unwrap_err();
            assert_eq!(refusal, Refusal::BadCredentials, "{header}");
        }
    }

    #[test]
    fn an_unknown_version_is_refused() {
        let version = |asked| said(&[("user-agent", "x"), ("x-github-api-version", asked)]);
        assert_eq!(version("2026-03-10").unwrap().1, "2026-03-10");
        assert_eq!(version("2020-01-01").unwrap_err(), Refusal::Version);
    }
}
