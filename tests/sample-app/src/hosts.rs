//! Which hosts this application answers for. Pure; the rules are Django's.

/// Whether a `Host` header names one of `allowed`: the name itself, `.example.test` for a domain and all below it, `*` for all.
pub(crate) fn is_allowed(header: &str, allowed: &[String]) -> bool {
    let name = without_port(header).trim_end_matches('.').to_ascii_lowercase();
    let below =
        |domain: &str| name == domain || name.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
    !name.is_empty()
        && allowed.iter().any(|pattern| match pattern.strip_prefix('.') {
            Some(domain) => below(domain),
            None => pattern == "*" || *pattern == name,
        })
}

fn without_port(header: &str) -> &str {
    match header.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => header,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_and_the_case_do_not_matter() {
        let allowed = ["app.example.test".to_owned()];
        assert!(is_allowed("APP.example.test:8443", &allowed));
        assert!(!is_allowed("other.example.test", &allowed));
        assert!(!is_allowed("evil-app.example.test", &allowed));
    }

    #[test]
    fn a_leading_dot_allows_what_is_below() {
        let allowed = [".example.test".to_owned()];
        assert!(is_allowed("a.b.example.test", &allowed) && is_allowed("example.test", &allowed));
        assert!(!is_allowed("badexample.test", &allowed));
    }

    #[test]
    fn an_empty_entry_allows_nothing() {
        assert!(!is_allowed("", &[String::new()]) && !is_allowed(":80", &[String::new()]));
    }
}
