//! What can be played on a verb that is no request by HTTP, S3 or DNS. There is no answer to spoil, so most kinds mean nothing
//! there: a rule that asks for one is refused, and one that says no verb passes it by, instead of being counted as played.

/// What delays.
const LATE: [&str; 3] = ["latency", "latency_uniform", "latency_percentiles"];

/// A service, its verb, and what is played on it beside delays: `true` if these are played, too.
const VERBS: [(&str, &str, bool, &[&str]); 11] = [
    ("git", "push", true, &["reject", "stall", "drop_before", "drop_after", "reset", "slow_body"]),
    ("ssh", "direct-tcpip", true, &["reject", "stall", "drop_before", "reset", "truncate", "slow_body"]),
    ("scalingo", "provision", true, &["stall"]),
    ("scalingo", "build", true, &["reject", "stall"]),
    ("scalingo", "deploy", true, &["reject", "stall"]),
    ("scalingo", "hook", true, &["reject", "stall"]),
    ("scalingo", "boot", false, &["reject"]),
    ("acme", "issue", true, &["reject", "stall"]),
    ("github", "index", false, &["reject", "stale_read"]),
    ("alwaysdata", "location", false, &["reject"]),
    ("dns", "lag", true, &["stall"]),
];

/// Whether `kind` is played on `verb`; on what is no verb of the table everything is.
pub(super) fn plays(verb: &str, kind: &str) -> bool {
    match VERBS.iter().find(|(_, name, ..)| name.eq_ignore_ascii_case(verb)) {
        Some((_, _, late, kinds)) => kinds.contains(&kind) || (*late && LATE.contains(&kind)),
        None => true,
    }
}

/// Whether a request by `method` at `service` can suffer `kind`. Some kinds spoil only what some of them answer: elsewhere nothing
/// would happen, and the rule must not be counted as played.
pub(super) fn suffers(service: &str, method: &str, kind: &str) -> bool {
    let is = |verb: &str| method.eq_ignore_ascii_case(verb);
    let by_http = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"].iter().any(|verb| is(verb));
    let (is_store, is_server) = (service.starts_with("s3-"), service == "dns");
    match kind {
        "lie" => is_server && !by_http,
        "stale_read" if is_server => !by_http,
        "stale_read" => !is_store && (is("GET") || is("index")),
        "duplicate" => !is_store && !is_server,
        "corrupt_backup" if is_store => is("GetObject"),
        "corrupt_backup" => !is_server && is("GET"),
        _ => true,
    }
}

/// The same of a rule, which may leave out the service or the method: what is wrong if nothing that it means suffers `kind`.
fn unsuited(service: Option<&str>, verb: Option<&str>, kind: &str) -> Option<String> {
    let services = service.as_ref().map_or(&["github", "s3-source", "dns"][..], std::slice::from_ref);
    let methods = verb.as_ref().map_or(&["GET", "GetObject", "query"][..], std::slice::from_ref);
    let can = |service: &&str| methods.iter().any(|method| suffers(service, method, kind));
    if services.iter().any(can) {
        return None;
    }
    let whose = match kind {
        "lie" => "only name servers lie: say \"service\": \"dns\"",
        "stale_read" => {
            "it is for GET by HTTP, the verb `index` and name servers; object stores read consistently"
        }
        "duplicate" => "it is for requests by HTTP, not for object stores and name servers",
        _ => "it is for downloads: GET by HTTP, or GetObject of an object store",
    };
    Some(format!("service or method: `{kind}` is not played there: {whose}"))
}

/// What is wrong with playing `kind` where `service` and `verb` say, if anything.
pub(super) fn complaint(service: Option<&str>, verb: Option<&str>, kind: &str) -> Option<String> {
    // A service of one verb needs not name it.
    let only = VERBS.iter().find(|(of, ..)| service == Some(*of) && ["git", "ssh", "acme"].contains(of));
    let verb = verb.or_else(|| only.map(|(_, name, ..)| *name));
    let Some(verb) = verb.filter(|verb| !plays(verb, kind)) else { return unsuited(service, verb, kind) };
    let (_, name, late, kinds) = VERBS.iter().find(|(_, name, ..)| name.eq_ignore_ascii_case(verb))?;
    let offered: Vec<&str> = kinds.iter().chain(LATE.iter().filter(|_| *late)).copied().collect();
    Some(format!("fault.kind: `{kind}` is not played on `{name}`: use one of {}", offered.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_that_would_do_nothing_is_refused_with_what_is_offered() {
        let told = complaint(Some("git"), Some("push"), "corrupt").unwrap();
        assert!(told.contains("`corrupt` is not played on `push`") && told.contains("drop_after"), "{told}");
        assert!(complaint(None, Some("boot"), "latency").unwrap().ends_with("use one of reject"));
        assert!(complaint(Some("acme"), None, "status").is_some());
        for (service, verb, kind) in [
            (Some("git"), None, "latency_uniform"),
            (Some("scalingo"), Some("POST"), "corrupt"),
            (Some("scalingo"), None, "duplicate"),
            (None, None, "html_page"),
            (Some("ssh"), Some("direct-tcpip"), "truncate"),
            (Some("s3-source"), Some("GetObject"), "corrupt_backup"),
            (Some("database-api"), None, "corrupt_backup"),
            (Some("github"), Some("index"), "stale_read"),
            (Some("dns"), Some("query"), "stale_read"),
            (None, Some("POST"), "duplicate"),
        ] {
            assert_eq!(complaint(service, verb, kind), None, "{service:?} {verb:?} {kind}");
        }
    }

    #[test]
    fn what_no_such_request_suffers_is_refused() {
        for (service, verb, kind) in [
            (Some("s3-source"), None, "stale_read"),
            (Some("s3-archive"), None, "duplicate"),
            (Some("dns"), None, "duplicate"),
            (Some("s3-source"), Some("PutObject"), "corrupt_backup"),
            (Some("dns"), Some("query"), "corrupt_backup"),
            (None, Some("POST"), "stale_read"),
            (Some("scalingo"), Some("GET"), "lie"),
        ] {
            let told = complaint(service, verb, kind);
            assert!(told.is_some_and(|told| told.contains(kind)), "{service:?} {verb:?} {kind}");
        }
    }
}
