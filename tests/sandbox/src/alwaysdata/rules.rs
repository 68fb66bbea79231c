//! What may be written. Pure: a body and the records that are there, in; a record or the fields that are wrong, out.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use hickory_proto::rr::{RData, RecordType};
use serde_json::{Map, Value};

use super::model::Record;

/// The vendor's types.
const TYPES: [&str; 12] =
    ["A", "AAAA", "ALIAS", "CAA", "CNAME", "DS", "MX", "NS", "PTR", "SOA", "SRV", "TXT"];
/// TTL where none is given.
const DEFAULT_TTL: u32 = 300;

/// Field → complaints; the body of a 400.
pub type Complaints = BTreeMap<&'static str, Vec<String>>;

fn complaint(field: &'static str, text: &str) -> Complaints {
    Complaints::from([(field, vec![text.to_owned()])])
}

/// A body as an object.
pub fn object(body: &[u8]) -> Result<Map<String, Value>, Complaints> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(fields)) => Ok(fields),
        _ => Err(complaint("__all__", "The body is not a JSON object.")),
    }
}

/// The record that `fields` describe, over `base` (an empty one for POST and PUT, the old one for PATCH).
pub fn read(fields: &Map<String, Value>, base: Record) -> Result<Record, Complaints> {
    let mut record = base;
    if let Some(domain) = fields.get("domain") {
        record.domain = number(domain).ok_or_else(|| complaint("domain", "Enter a domain id."))?;
    }
    for (field, slot) in [
        ("type", &mut record.kind),
        ("name", &mut record.name),
        ("value", &mut record.value),
        ("annotation", &mut record.annotation),
    ] {
        match fields.get(field) {
            None => {}
            Some(Value::String(text)) => slot.clone_from(text),
            Some(_) => return Err(complaint("__all__", "A text was expected.")),
        }
    }
    if let Some(ttl) = fields.get("ttl").filter(|ttl| !ttl.is_null()) {
        let ttl = number(ttl).and_then(|ttl| u32::try_from(ttl).ok()).filter(|ttl| *ttl <= 2_147_483_647);
        record.ttl = ttl.ok_or_else(|| complaint("ttl", "Enter a number of seconds."))?;
    }
    if let Some(priority) = fields.get("priority") {
        let parsed = number(priority).and_then(|priority| u16::try_from(priority).ok());
        if parsed.is_none() && !priority.is_null() {
            return Err(complaint("priority", "Enter a number."));
        }
        record.priority = parsed;
    }
    Ok(record)
}

/// A record with nothing but its id, as POST and PUT start from.
pub fn blank(id: u64) -> Record {
    Record {
        id,
        domain: 0,
        kind: String::new(),
        name: String::new(),
        value: String::new(),
        priority: None,
        ttl: DEFAULT_TTL,
        annotation: String::new(),
        is_user_defined: true,
    }
}

/// A number, or the text of one: some clients quote it.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// Whether `record` may stand in its zone beside `others` (itself not among them).
pub fn check<'a>(record: &Record, others: impl Iterator<Item = &'a Record>) -> Result<(), Complaints> {
    if !TYPES.contains(&record.kind.as_str()) {
        return Err(complaint("type", "Select a valid choice."));
    }
    if record.kind == "SOA" {
        return Err(complaint("type", "The SOA record is managed by the platform."));
    }
    if !is_name(&record.name) {
        return Err(complaint("name", "Enter a valid host name, relative to the domain."));
    }
    if !is_value(&record.kind, &record.value) {
        return Err(complaint("value", "Enter a valid value for this type."));
    }
    let is_alias = record.kind == "CNAME";
    if is_alias && record.name.is_empty() {
        return Err(complaint(
            "name",
            "A CNAME record is not available at the root of the domain: use ALIAS.",
        ));
    }
    let mut beside = others.filter(|other| {
        other.is_user_defined && (other.domain, &other.name) == (record.domain, &record.name)
    });
    if beside.any(|other| is_alias || other.kind == "CNAME") {
        return Err(complaint(
            "__all__",
            "A CNAME record cannot coexist with another record of the same name.",
        ));
    }
    Ok(())
}

/// Empty (the apex), or labels of letters, digits, `-` (not at an end) and `_`; a leading `*` label is a wildcard.
fn is_name(name: &str) -> bool {
    let labels = name.strip_prefix("*.").unwrap_or(if name == "*" { "" } else { name });
    labels.is_empty() || (labels.len() <= 200 && labels.split('.').all(is_label))
}

fn is_label(label: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let ends = label.starts_with('-') || label.ends_with('-');
    (1..=63).contains(&label.len()) && !ends && label.bytes().all(fits)
}

/// A host name, absolute and without a final dot.
fn is_host(value: &str) -> bool {
    value.len() <= 253 && value.split('.').all(is_label)
}

fn is_value(kind: &str, value: &str) -> bool {
    match kind {
        "A" => value.parse::<Ipv4Addr>().is_ok(),
        "AAAA" => value.parse::<Ipv6Addr>().is_ok(),
        "ALIAS" | "CNAME" | "MX" | "NS" | "PTR" => is_host(value),
        "SRV" => match value.split_whitespace().collect::<Vec<_>>().as_slice() {
            [weight, port, target] => {
                weight.parse::<u16>().is_ok() && port.parse::<u16>().is_ok() && is_host(target)
            }
            _ => false,
        },
        // What the name servers could not serve would leave its whole name as it was.
        "CAA" => RData::try_from_str(RecordType::CAA, value).is_ok(),
        "DS" => value.split_whitespace().count() == 4,
        _ => !value.is_empty() && value.len() <= 4_096,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &str, kind: &str, value: &str) -> Record {
        Record { domain: 7, kind: kind.into(), name: name.into(), value: value.into(), ..blank(1) }
    }

    #[test]
    fn an_alias_stands_alone_and_never_at_the_apex() {
        let alias = record("siap", "CNAME", "app.example.net");
        let address = record("siap", "A", "192.0.2.1");
        let platform = Record { is_user_defined: false, ..address.clone() };
        assert!(check(&alias, [&address].into_iter()).is_err());
        assert!(check(&address, [&alias].into_iter()).is_err());
        assert!(check(&alias, [&alias.clone()].into_iter()).is_err(), "a second alias");
        assert!(check(&alias, [&platform].into_iter()).is_ok(), "the platform's record is overridden");
        assert!(check(&record("", "CNAME", "app.example.net"), std::iter::empty()).is_err());
        assert!(check(&record("", "ALIAS", "app.example.net"), std::iter::empty()).is_ok());
    }

    #[test]
    fn values_must_fit_their_type() {
        for (kind, value) in [
            ("A", "2001:db8::1"),
            ("AAAA", "192.0.2.1"),
            ("CNAME", "app.example.net."),
            ("CNAME", ""),
            ("MX", "10 mail.example.net"),
            ("SRV", "443 host"),
            ("CAA", "issue letsencrypt.org 0"),
            ("CAA", "256 issue \"letsencrypt.org\""),
            ("SOA", "x"),
            ("FOO", "x"),
            ("TXT", ""),
        ] {
            assert!(check(&record("www", kind, value), std::iter::empty()).is_err(), "{kind} {value}");
        }
        assert!(check(&record("@", "A", "192.0.2.1"), std::iter::empty()).is_err());
        assert!(check(&record("*.x", "CAA", "0 issue \"letsencrypt.org\""), std::iter::empty()).is_ok());
    }

    #[test]
    fn a_domain_is_a_number_or_the_text_of_one() {
        for (given, read_as) in [("7", Some(7)), ("\"7\"", Some(7)), ("{\"href\":\"/v1/domain/7/\"}", None)] {
            let fields = object(format!("{{\"domain\": {given}}}").as_bytes()).unwrap();
            assert_eq!(read(&fields, blank(1)).ok().map(|record| record.domain), read_as, "{given}");
        }
    }

    #[test]
    fn a_patch_keeps_what_it_does_not_name() {
        let old = Record { ttl: 60, annotation: "ours".into(), ..record("siap", "CNAME", "old.example.net") };
        let fields = object(br#"{"value": "new.example.net"}"#).unwrap();
        let new = read(&fields, old.clone()).unwrap();
        assert_eq!(new, Record { value: "new.example.net".into(), ..old });
    }

    #[test]
    fn what_is_no_object_is_a_complaint() {
        for body in [&b""[..], b"[]", b"{", b"\xff"] {
            assert!(object(body).is_err(), "{body:?}");
        }
    }
}
