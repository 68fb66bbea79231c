//! Which addresses may be spoken to: https, or plain http on this very machine. Pure.

use url::{Host, Url};

/// Why an address is not used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum OriginError {
    /// Not a URL.
    #[error("not a URL")]
    Syntax(#[source] url::ParseError),
    /// Plain http to another machine, or another scheme.
    #[error("must be https unless it is on this machine")]
    Insecure,
    /// A user or password in the URL would end in logs.
    #[error("must not hold credentials")]
    Credentials,
    /// A query or fragment has no place in a base URL.
    #[error("must not hold a query or a fragment")]
    Query,
}

/// Parses the base URL of a service.
pub fn base_url(text: &str) -> Result<Url, OriginError> {
    let url = Url::parse(text).map_err(OriginError::Syntax)?;
    check(&url)?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(OriginError::Query);
    }
    Ok(url)
}

/// Whether `url` may be spoken to at all.
pub fn check(url: &Url) -> Result<(), OriginError> {
    match url.scheme() {
        "https" if url.has_host() => {}
        "http" if is_loopback(url) => {}
        _ => return Err(OriginError::Insecure),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(OriginError::Credentials);
    }
    Ok(())
}

/// Whether `url` names this machine. A name that merely *resolves* to a loopback address does not count.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_this_machine_only() {
        for good in
            ["https://api.example.org/v1", "http://127.0.0.1:8080", "http://localhost:1", "http://[::1]:1/x"]
        {
            assert!(base_url(good).is_ok(), "{good}");
        }
        for bad in
            ["http://api.example.org", "http://127.0.0.1.example.org", "http://10.0.0.1", "ftp://localhost"]
        {
            assert_eq!(base_url(bad), Err(OriginError::Insecure), "{bad}");
        }
    }

    #[test]
    fn credentials_in_an_address_are_refused() {
        assert_eq!(base_url("https://user:pass@api.example.org"), Err(OriginError::Credentials));
        assert_eq!(base_url("https://api.example.org/?token=x"), Err(OriginError::Query));
    }
}
