//! Whether the certificate authority of the platform may issue for the plan's names: their CAA records, asked as an authority asks them
//! (RFC 8659), at the name and then at its parents.

use std::net::SocketAddr;
use std::time::Duration;

use super::Preflight;
use super::finding::{Seen, bad, unknown};
use crate::providers::dns::caa::{Property, allows};
use crate::providers::dns::{CaaAnswer, NameServer};

/// The platform's certificate authority, as records name it.
///
/// Source: Scalingo's user documentation, the page on custom domains.
const ISSUER: &str = "letsencrypt.org";
/// Where name servers listen.
const PORT: u16 = 53;
/// Every name has several questions to it, and a look has a minute for all.
const LIMIT: Duration = Duration::from_secs(2);

/// Who is asked about the names of a zone.
struct Asked<'a> {
    zone: &'a str,
    authorities: Vec<SocketAddr>,
    resolvers: &'a [SocketAddr],
}

impl Preflight<'_> {
    /// What keeps the names from certificates; `None` if nothing does.
    pub(super) async fn certificates_forbidden<'n>(
        &self,
        names: impl Iterator<Item = &'n String>,
    ) -> Option<Seen> {
        let asked = match self.asked().await {
            Ok(asked) => asked,
            Err(why) => return Some(unknown(format!("CAA records cannot be looked at: {why}"))),
        };
        let (mut forbidden, mut unseen) = (Vec::new(), Vec::new());
        for name in names {
            let plain = name.trim_start_matches("*.");
            match asked.relevant(plain).await {
                Ok((at, set)) if !allows(&set, ISSUER, plain != name) => {
                    forbidden.push(told(name, &at, &set));
                }
                Ok(_) => {}
                Err(why) => unseen.push(format!("the CAA records of {name} cannot be looked at: {why}")),
            }
        }
        if forbidden.is_empty() {
            return (!unseen.is_empty()).then(|| unknown(unseen.join("; ")));
        }
        Some(bad(forbidden.join("; ")))
    }

    async fn asked(&self) -> Result<Asked<'_>, String> {
        let (dns, zone) = (&self.tools.config.dns, self.spec.dns.zone.as_str());
        let resolvers = dns.resolvers.as_slice();
        if !dns.authoritative.is_empty() {
            return Ok(Asked { zone, authorities: dns.authoritative.clone(), resolvers });
        }
        let mut authorities = Vec::new();
        for resolver in resolvers {
            let hosts = NameServer::new(*resolver).limit(LIMIT).zone_servers(zone).await;
            for host in hosts.map_err(|error| error.to_string())?.unwrap_or_default() {
                let found = self.tools.addresses(&host).await.map_err(|error| error.to_string())?;
                authorities.extend(found.unwrap_or_default().first().map(|at| SocketAddr::new(*at, PORT)));
            }
            if !authorities.is_empty() {
                return Ok(Asked { zone, authorities, resolvers });
            }
        }
        Err(format!("no name server of {zone} is found"))
    }
}

impl Asked<'_> {
    /// The first records on the way from a name to the root, and where they are. Resolvers are not asked for the name itself: they would
    /// remember that it is not there.
    async fn relevant(&self, name: &str) -> Result<(String, Vec<Property>), String> {
        let mut at = name;
        loop {
            let set = if is_within(at, self.zone) { self.within(at).await? } else { self.above(at).await };
            if !set.is_empty() {
                return Ok((at.to_owned(), set));
            }
            match at.split_once('.') {
                Some((_, parent)) if !parent.is_empty() => at = parent,
                _ => return Ok((String::new(), Vec::new())),
            }
        }
    }

    /// At a name of the zone, by the first of its servers that answers. Where it is an alias, what it leads to decides.
    async fn within(&self, at: &str) -> Result<Vec<Property>, String> {
        let mut why = String::new();
        for server in &self.authorities {
            let answer = NameServer::new(*server).limit(LIMIT).caa(at, true).await;
            match answer.map_err(|error| error.to_string())? {
                Ok(CaaAnswer::Set(set)) => return Ok(set),
                Ok(CaaAnswer::Alias(target)) => return Ok(self.above(&target).await),
                Err(fault) => why = format!("{server} {fault}"),
            }
        }
        Err(why)
    }

    /// At a name of somebody else's zone. What cannot be told there is passed over: a recovery would not stop at it.
    async fn above(&self, at: &str) -> Vec<Property> {
        for resolver in self.resolvers {
            match NameServer::new(*resolver).limit(LIMIT).caa(at, false).await {
                Ok(Ok(CaaAnswer::Set(set))) => return set,
                Ok(Ok(CaaAnswer::Alias(_)) | Err(_)) | Err(_) => {}
            }
        }
        Vec::new()
    }
}

/// Whether a name is the zone's apex or below it. Pure.
fn is_within(name: &str, zone: &str) -> bool {
    let rest = name.strip_suffix(zone);
    rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn told(name: &str, at: &str, set: &[Property]) -> String {
    let values: Vec<String> = set.iter().map(|one| format!("{} \"{}\"", one.tag, one.value)).collect();
    format!(
        "no certificate would be issued for {name}: the CAA records of {at} ({}) do not let {ISSUER} issue, from which the platform has its certificates; add `issue \"{ISSUER}\"`",
        values.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::Message;
    use hickory_proto::rr::{Name, RData, Record, rdata};

    use super::*;
    use crate::providers::dns::tests::serve;

    /// Lets one authority issue.
    fn lets(owner: &Name, issuer: &str) -> Record {
        let issuer = Name::from_ascii(issuer).expect("a name");
        Record::from_rdata(
            owner.clone(),
            300,
            RData::CAA(rdata::CAA::new_issue(false, Some(issuer), Vec::new())),
        )
    }

    /// A zone where `siap` is an alias, with these authorities at its apex.
    fn zone(issuers: &'static [&'static str]) -> impl Fn(&mut Message) + Send + Clone + 'static {
        move |message| {
            let asked = message.queries[0].name().clone();
            let name = asked.to_ascii();
            if name == "apilos.test." {
                message.answers.extend(issuers.iter().map(|issuer| lets(&asked, issuer)));
            } else if name.starts_with("siap.") {
                let target = Name::from_ascii("old.platform.test.").expect("a name");
                message.answers.push(Record::from_rdata(asked, 300, RData::CNAME(rdata::CNAME(target))));
            }
        }
    }

    async fn relevant(issuers: &'static [&'static str], name: &str) -> (String, usize) {
        let (authority, _serving) = serve(zone(issuers)).await;
        // It says of every name that it has no such records.
        let (resolver, _resolving) = serve(|_| ()).await;
        let asked = Asked { zone: "apilos.test", authorities: vec![authority], resolvers: &[resolver] };
        let (at, set) = asked.relevant(name).await.expect("answered");
        (at, set.len())
    }

    #[tokio::test]
    async fn the_records_of_the_nearest_parent_decide_below_an_alias_too() {
        for name in ["siap.apilos.test", "www.preprod.apilos.test", "apilos.test"] {
            let found = relevant(&["sectigo.com", "digicert.com"], name).await;
            assert_eq!(found, ("apilos.test".to_owned(), 2), "{name}");
        }
        assert_eq!(relevant(&[], "siap.apilos.test").await.1, 0, "the root was reached");
    }

    #[tokio::test]
    async fn where_an_alias_leads_decides_before_the_zone() {
        let (authority, _serving) = serve(zone(&["sectigo.com"])).await;
        let platform = |message: &mut Message| {
            let asked = message.queries[0].name().clone();
            message.answers.push(lets(&asked, ISSUER));
        };
        let (resolver, _resolving) = serve(platform).await;
        let asked = Asked { zone: "apilos.test", authorities: vec![authority], resolvers: &[resolver] };
        let (_, set) = asked.relevant("siap.apilos.test").await.expect("answered");
        assert!(allows(&set, ISSUER, false), "{set:?}");
    }

    #[tokio::test]
    async fn a_zone_whose_servers_fail_is_not_taken_for_one_without_records() {
        let fails = |message: &mut Message| {
            message.metadata.response_code = hickory_proto::op::ResponseCode::ServFail;
        };
        let (authority, _serving) = serve(fails).await;
        let asked = Asked { zone: "apilos.test", authorities: vec![authority], resolvers: &[] };
        assert!(asked.relevant("siap.apilos.test").await.is_err());
    }

    #[test]
    fn a_name_that_only_ends_like_the_zone_is_not_in_it() {
        assert!(is_within("apilos.test", "apilos.test") && is_within("a.b.apilos.test", "apilos.test"));
        assert!(!is_within("xapilos.test", "apilos.test") && !is_within("test", "apilos.test"));
    }
}
