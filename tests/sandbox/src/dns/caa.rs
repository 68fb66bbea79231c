//! Which certificate authority may issue for a name (RFC 8659): found as an authority finds it, judged as Let's Encrypt does.

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::CAA;
use hickory_proto::rr::{Name, RData, RecordType};

use super::{Dns, MAX_CHAIN, locked, record};

/// The platform's certificate authority, as records name it.
const ISSUER: &str = "letsencrypt.org";

/// What the records say of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caa {
    /// No record, or one that names the platform's authority.
    Allowed,
    /// There are records, and none lets the platform's authority issue.
    Forbidden,
    /// A name server failed: nothing is issued on a guess.
    Unknown,
}

impl Dns {
    /// Whether every viewpoint's records let the platform's authority issue for `host`, a wildcard included.
    pub async fn may_issue(&self, host: &str) -> Caa {
        let wildcard = host.starts_with("*.");
        let Ok(name) = record::host(host.trim_start_matches("*.")) else { return Caa::Forbidden };
        for server in 0..self.speakers.len() {
            match self.relevant_set(server, &name).await {
                None => return Caa::Unknown,
                Some(set) if !allows(&set, wildcard) => return Caa::Forbidden,
                Some(_) => {}
            }
        }
        Caa::Allowed
    }

    /// The first set that is not empty, at the name and then at its parents. Those of an alias's target are not climbed.
    async fn relevant_set(&self, server: usize, name: &Name) -> Option<Vec<CAA>> {
        let mut at = name.clone();
        // Above the estate's zone this world has no names.
        while locked(&self.primary).apex().zone_of(&at) {
            let set = self.set_at(server, &at).await?;
            if !set.is_empty() {
                return Some(set);
            }
            at = at.base_name();
        }
        Some(Vec::new())
    }

    /// The set at one name, aliases followed. `None`: a server failed.
    async fn set_at(&self, server: usize, name: &Name) -> Option<Vec<CAA>> {
        let mut at = name.clone();
        for _ in 0..MAX_CHAIN {
            let reply = self.ask_owner(server, &at, RecordType::CAA).await?;
            if !matches!(reply.code, ResponseCode::NoError | ResponseCode::NXDomain) {
                return None;
            }
            let mut next = None;
            let mut set = Vec::new();
            for answer in reply.answers {
                match answer.data {
                    RData::CAA(caa) => set.push(caa),
                    RData::CNAME(target) => next = Some(target.0),
                    _ => {}
                }
            }
            match next {
                Some(target) if set.is_empty() => at = target,
                _ => return Some(set),
            }
        }
        None
    }
}

/// Whether a set lets the platform's authority issue. Pure.
fn allows(set: &[CAA], wildcard: bool) -> bool {
    let known = |caa: &CAA| ["issue", "issuewild", "iodef"].contains(&&*caa.tag.to_ascii_lowercase());
    if set.iter().any(|caa| caa.issuer_critical && !known(caa)) {
        return false;
    }
    let of = |tag: &str| set.iter().filter(|caa| caa.tag.eq_ignore_ascii_case(tag)).collect::<Vec<_>>();
    let (plain, wild) = (of("issue"), of("issuewild"));
    let decisive = if wildcard && !wild.is_empty() { wild } else { plain };
    let method = if wildcard { "dns-01" } else { "http-01" };
    decisive.is_empty() || decisive.into_iter().any(|caa| names_issuer(&caa.value, method))
}

/// Whether one value names the platform's authority, without a parameter that leaves its account or method out.
fn names_issuer(value: &[u8], method: &str) -> bool {
    let text = String::from_utf8_lossy(value);
    let mut parts = text.split(';').map(str::trim);
    let issuer = parts.next().is_some_and(|issuer| issuer.trim_end_matches('.').eq_ignore_ascii_case(ISSUER));
    issuer
        && parts.filter_map(|part| part.split_once('=')).all(|(name, value)| match name.trim() {
            "validationmethods" => value.split(',').any(|one| one.trim() == method),
            // The platform's account is nobody's whom a zone could know.
            "accounturi" => false,
            _ => true,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(records: &[(&str, &str)]) -> Vec<CAA> {
        let one = |(tag, value): &(&str, &str)| {
            let text = format!("0 {tag} \"{value}\"");
            match RData::try_from_str(RecordType::CAA, &text).unwrap() {
                RData::CAA(caa) => caa,
                other => panic!("{other}"),
            }
        };
        records.iter().map(one).collect()
    }

    #[test]
    fn the_first_set_decides_who_may_issue() {
        for (records, plain, wild) in [
            (&[][..], true, true),
            (&[("issue", "letsencrypt.org")][..], true, true),
            (&[("issue", "sectigo.com"), ("issue", "LetsEncrypt.org")][..], true, true),
            (&[("issue", "sectigo.com")][..], false, false),
            (&[("issue", ";")][..], false, false),
            (&[("issue", "letsencrypt.org"), ("issuewild", ";")][..], true, false),
            (&[("issuewild", "sectigo.com")][..], true, false),
            (&[("iodef", "mailto:a@example.net")][..], true, true),
            (&[("issue", "letsencrypt.org; validationmethods=dns-01")][..], false, true),
            (&[("issue", "letsencrypt.org; accounturi=https://example.net/1")][..], false, false),
        ] {
            let set = set(records);
            assert_eq!((allows(&set, false), allows(&set, true)), (plain, wild), "{records:?}");
        }
    }

    #[test]
    fn a_critical_property_that_nobody_knows_forbids() {
        let mut set = set(&[("issue", "letsencrypt.org"), ("future", "x")]);
        assert!(allows(&set, false));
        for caa in &mut set {
            caa.issuer_critical = true;
        }
        assert!(!allows(&set, false));
    }
}
