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

/// What is wrong with playing `kind` where `service` and `verb` say, if anything.
pub(super) fn complaint(service: Option<&str>, verb: Option<&str>, kind: &str) -> Option<String> {
    // A service of one verb needs not name it.
    let only = VERBS.iter().find(|(of, ..)| service == Some(*of) && ["git", "ssh", "acme"].contains(of));
    let verb = verb.or_else(|| only.map(|(_, name, ..)| *name))?;
    if plays(verb, kind) {
        return None;
    }
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
        ] {
            assert_eq!(complaint(service, verb, kind), None);
        }
    }
}
