//! Which certificate authorities may issue for a name (RFC 8659 and 8657). Pure.

use hickory_proto::op::Message;
use hickory_proto::rr::{Name, RData};

use super::Fault;
use super::outcome::{exists, plain};

/// What is answered about the CAA records of one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CaaAnswer {
    /// The records; none where the name has none.
    Set(Vec<Property>),
    /// The name is an alias: where it leads decides first.
    Alias(String),
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Property {
    /// Who does not understand it must not issue.
    pub critical: bool,
    /// `issue`, `issuewild`…, lower case.
    pub tag: String,
    /// The authority and its parameters.
    pub value: String,
}

/// Whether the records of a name let `issuer` have a certificate for it, proven over HTTP, or by DNS where it is a wildcard's.
pub fn allows(set: &[Property], issuer: &str, wildcard: bool) -> bool {
    let known = |one: &Property| matches!(one.tag.as_str(), "issue" | "issuewild" | "iodef" | "contactemail");
    if set.iter().any(|one| one.critical && !known(one)) {
        return false;
    }
    let of = |tag: &str| set.iter().filter(|one| one.tag == tag).collect::<Vec<_>>();
    let (plain, wild) = (of("issue"), of("issuewild"));
    let decisive = if wildcard && !wild.is_empty() { wild } else { plain };
    let method = if wildcard { "dns-01" } else { "http-01" };
    decisive.is_empty() || decisive.iter().any(|one| names(&one.value, issuer, method))
}

/// Whether a value names the issuer, without a parameter that leaves its account or its method out. The platform's account is nobody's
/// that a zone could know.
fn names(value: &str, issuer: &str, method: &str) -> bool {
    let mut parts = value.split(';').map(str::trim);
    let named = parts.next().is_some_and(|name| name.trim_end_matches('.').eq_ignore_ascii_case(issuer));
    let fits = |part: &str| match part.split_once('=').map(|(name, value)| (name.trim(), value.trim())) {
        Some(("validationmethods", methods)) => methods.split(',').any(|one| one.trim() == method),
        Some(("accounturi", _)) => false,
        _ => true,
    };
    named && parts.all(fits)
}

pub(super) fn caa(message: &Message, name: &Name, authority: bool) -> Result<CaaAnswer, Fault> {
    exists(message)?;
    if authority && !message.metadata.authoritative {
        return Err(Fault::Lame);
    }
    let (mut set, mut alias) = (Vec::new(), None);
    for record in &message.answers {
        match &record.data {
            // A resolver adds those of where an alias leads.
            RData::CAA(caa) => set.push(Property {
                critical: caa.issuer_critical,
                tag: caa.tag.to_ascii_lowercase(),
                value: String::from_utf8_lossy(&caa.value).into_owned(),
            }),
            RData::CNAME(target) if record.name == *name => alias = Some(plain(&target.0)),
            _ => {}
        }
    }
    Ok(match alias {
        Some(target) if set.is_empty() => CaaAnswer::Alias(target),
        _ => CaaAnswer::Set(set),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "letsencrypt.org";

    fn set(records: &[(&str, &str)]) -> Vec<Property> {
        let one = |(tag, value): &(&str, &str)| Property {
            critical: false,
            tag: (*tag).to_owned(),
            value: (*value).to_owned(),
        };
        records.iter().map(one).collect()
    }

    #[test]
    fn one_record_that_names_the_authority_is_enough_and_others_alone_forbid() {
        let may = |records: &[(&str, &str)]| allows(&set(records), ISSUER, false);
        assert!(may(&[]) && may(&[("iodef", "mailto:a@b.test")]) && may(&[("issuewild", "sectigo.com")]));
        assert!(may(&[("issue", "sectigo.com"), ("issue", "LetsEncrypt.org. ")]));
        assert!(!may(&[("issue", "sectigo.com")]) && !may(&[("issue", ";")]));
        assert!(may(&[("issue", "letsencrypt.org; validationmethods=dns-01,http-01")]));
        assert!(!may(&[("issue", "letsencrypt.org; validationmethods=dns-01")]));
        assert!(!may(&[("issue", "letsencrypt.org; accounturi=https://a.test/acct/1")]));
    }

    #[test]
    fn a_wildcard_has_records_of_its_own() {
        let records = set(&[("issue", "letsencrypt.org"), ("issuewild", ";")]);
        assert!(allows(&records, ISSUER, false) && !allows(&records, ISSUER, true));
        assert!(!allows(&set(&[("issue", "sectigo.com")]), ISSUER, true), "without one, those of all count");
    }

    #[test]
    fn what_must_be_understood_and_is_not_forbids() {
        let mut records = set(&[("issue", "letsencrypt.org"), ("future", "x")]);
        assert!(allows(&records, ISSUER, false));
        records[1].critical = true;
        assert!(!allows(&records, ISSUER, false));
    }
}
