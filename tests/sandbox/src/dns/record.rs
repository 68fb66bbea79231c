//! One record as a person writes it, turned into wire data. Pure: no I/O, no clock.
//!
//! The value has the shape of the provider's panel: host names absolute *without* a final dot, TXT unquoted, the priority of
//! MX and SRV apart from the value.

use std::net::{Ipv4Addr, Ipv6Addr};

use hickory_proto::rr::rdata::{A, AAAA, CNAME, MX, NS, PTR, SRV, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};

/// Why a record cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Not a host name.
    #[error("reading the host name {name:?}")]
    Name {
        /// What was given.
        name: String,
        /// The parser's complaint.
        #[source]
        source: hickory_proto::ProtoError,
    },
    /// A name that another zone's keeper has to say something about.
    #[error("the name {name:?} is not in the zone {zone}")]
    Foreign {
        /// What was given.
        name: String,
        /// Where it would have to be.
        zone: String,
    },
    /// The value does not fit the type.
    #[error("the value {value:?} is none of a {kind} record")]
    Value {
        /// The record's type.
        kind: &'static str,
        /// What was given.
        value: String,
    },
}

/// The types that the zone can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum RecordKind {
    /// An IPv4 address.
    A,
    /// An IPv6 address.
    Aaaa,
    /// The provider's pseudo type: served as the addresses of its target.
    Alias,
    /// Certificate authorities that may issue.
    Caa,
    /// An alias; alone at its name.
    Cname,
    /// A mail server.
    Mx,
    /// A delegation, or the zone's own servers at the apex.
    Ns,
    /// A reverse name.
    Ptr,
    /// A service.
    Srv,
    /// Free text.
    Txt,
}

impl RecordKind {
    /// The type's name in upper case.
    pub const fn label(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Alias => "ALIAS",
            Self::Caa => "CAA",
            Self::Cname => "CNAME",
            Self::Mx => "MX",
            Self::Ns => "NS",
            Self::Ptr => "PTR",
            Self::Srv => "SRV",
            Self::Txt => "TXT",
        }
    }

    /// The kind with this upper-case name.
    pub fn from_label(label: &str) -> Option<Self> {
        const ALL: [RecordKind; 10] = [
            RecordKind::A,
            RecordKind::Aaaa,
            RecordKind::Alias,
            RecordKind::Caa,
            RecordKind::Cname,
            RecordKind::Mx,
            RecordKind::Ns,
            RecordKind::Ptr,
            RecordKind::Srv,
            RecordKind::Txt,
        ];
        ALL.into_iter().find(|kind| kind.label() == label)
    }

    /// The type on the wire; the pseudo type travels as ANAME inside the zone and never leaves it.
    pub const fn wire(self) -> RecordType {
        match self {
            Self::A => RecordType::A,
            Self::Aaaa => RecordType::AAAA,
            Self::Alias => RecordType::ANAME,
            Self::Caa => RecordType::CAA,
            Self::Cname => RecordType::CNAME,
            Self::Mx => RecordType::MX,
            Self::Ns => RecordType::NS,
            Self::Ptr => RecordType::PTR,
            Self::Srv => RecordType::SRV,
            Self::Txt => RecordType::TXT,
        }
    }
}

/// One record of the estate's zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneRecord {
    /// Relative to the zone; empty at the apex.
    pub name: String,
    /// Its type.
    pub kind: RecordKind,
    /// See the module's head.
    pub value: String,
    /// For MX and SRV.
    pub priority: Option<u16>,
    /// Seconds of world time.
    pub ttl: u32,
}

impl ZoneRecord {
    /// A CNAME at `name` to `target`.
    pub fn cname(name: &str, target: &str, ttl: u32) -> Self {
        Self { name: name.into(), kind: RecordKind::Cname, value: target.into(), priority: None, ttl }
    }

    /// The record in wire form, in the zone `apex`.
    pub fn to_record(&self, apex: &Name) -> Result<Record, RecordError> {
        Ok(Record::from_rdata(absolute(&self.name, apex)?, self.ttl, self.data()?))
    }

    fn data(&self) -> Result<RData, RecordError> {
        let value = self.value.as_str();
        let wrong = || RecordError::Value { kind: self.kind.label(), value: value.to_owned() };
        Ok(match self.kind {
            RecordKind::A => RData::A(A(value.parse::<Ipv4Addr>().map_err(|_| wrong())?)),
            RecordKind::Aaaa => RData::AAAA(AAAA(value.parse::<Ipv6Addr>().map_err(|_| wrong())?)),
            RecordKind::Alias => RData::ANAME(hickory_proto::rr::rdata::ANAME(host(value)?)),
            RecordKind::Caa => RData::try_from_str(RecordType::CAA, value).map_err(|_| wrong())?,
            RecordKind::Cname => RData::CNAME(CNAME(host(value)?)),
            RecordKind::Mx => RData::MX(MX::new(self.priority.unwrap_or(10), host(value)?)),
            RecordKind::Ns => RData::NS(NS(host(value)?)),
            RecordKind::Ptr => RData::PTR(PTR(host(value)?)),
            RecordKind::Srv => service(self.priority.unwrap_or(0), value)?.ok_or_else(wrong)?,
            RecordKind::Txt => RData::TXT(TXT::from_bytes(value.as_bytes().chunks(255).collect())),
        })
    }
}

/// `weight port target`, `None` if it is not of that shape.
fn service(priority: u16, value: &str) -> Result<Option<RData>, RecordError> {
    let parts: Vec<&str> = value.split_whitespace().collect();
    let [weight, port, target] = parts.as_slice() else { return Ok(None) };
    let (Ok(weight), Ok(port)) = (weight.parse(), port.parse()) else { return Ok(None) };
    Ok(Some(RData::SRV(SRV::new(priority, weight, port, host(target)?))))
}

/// A fully qualified name from one written with or without its final dot.
pub fn host(name: &str) -> Result<Name, RecordError> {
    let mut parsed =
        Name::from_ascii(name).map_err(|source| RecordError::Name { name: name.to_owned(), source })?;
    parsed.set_fqdn(true);
    Ok(parsed)
}

/// The name `relative` inside the zone `apex`.
pub fn absolute(relative: &str, apex: &Name) -> Result<Name, RecordError> {
    if relative.is_empty() {
        return Ok(apex.clone());
    }
    let wrong = |source| RecordError::Name { name: relative.to_owned(), source };
    let mut name = Name::from_ascii(relative).map_err(wrong)?;
    name.set_fqdn(false);
    name.append_domain(apex).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: RecordKind, value: &str) -> Result<Record, RecordError> {
        let record =
            ZoneRecord { name: "www".into(), kind, value: value.into(), priority: Some(5), ttl: 300 };
        record.to_record(&host("apilos.test").unwrap())
    }

    #[test]
    fn every_kind_has_a_wire_form() {
        for (kind, value) in [
            (RecordKind::A, "192.0.2.1"),
            (RecordKind::Aaaa, "2001:db8::1"),
            (RecordKind::Alias, "app.example.net"),
            (RecordKind::Caa, "0 issue \"letsencrypt.org\""),
            (RecordKind::Cname, "app.example.net"),
            (RecordKind::Mx, "mail.example.net"),
            (RecordKind::Ns, "ns.example.net"),
            (RecordKind::Ptr, "host.example.net"),
            (RecordKind::Srv, "5 443 host.example.net"),
            (RecordKind::Txt, "un texte, avec \"guillemets\""),
        ] {
            let made = record(kind, value).unwrap();
            assert_eq!(made.record_type(), kind.wire(), "{value}");
            assert_eq!(RecordKind::from_label(kind.label()), Some(kind));
        }
    }

    #[test]
    fn a_value_of_another_type_is_refused() {
        for (kind, value) in
            [(RecordKind::A, "2001:db8::1"), (RecordKind::Aaaa, "host"), (RecordKind::Srv, "443 host")]
        {
            assert!(record(kind, value).is_err(), "{value} as {}", kind.label());
        }
    }

    #[test]
    fn a_long_text_is_cut_into_strings() {
        let RData::TXT(text) = record(RecordKind::Txt, &"x".repeat(600)).unwrap().data else { panic!() };
        assert_eq!(text.txt_data.iter().map(|part| part.len()).collect::<Vec<_>>(), [255, 255, 90]);
    }
}
