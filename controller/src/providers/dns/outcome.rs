//! What an answer means. Pure.

use std::{fmt, net::IpAddr};

use hickory_proto::{
    op::{Message, ResponseCode},
    rr::{Name, RData},
};

use crate::runtime::class::{Class, Classified};

/// A question that cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum DnsError {
    /// Not a host name.
    #[error("`{name}` is not a name that can be asked for")]
    Name {
        /// What was given.
        name: String,
    },
}

impl Classified for DnsError {
    fn class(&self) -> Class {
        match self {
            Self::Name { .. } => Class::Terminal,
        }
    }
}

/// Why an answer is no evidence, neither for nor against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Nobody answered in time.
    Timeout,
    /// The network or the server's port refused.
    Unreachable,
    /// The server does not serve the zone, or not to us.
    Refused,
    /// The server failed: zone expired, broken, or its own sources unreachable.
    ServerFailure,
    /// The server answered without authority: a wrong delegation, or somebody in between.
    Lame,
    /// Any other response code.
    Other(u16),
    /// An answer that cannot be read or does not fit the question.
    Malformed,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("no answer in time"),
            Self::Unreachable => f.write_str("cannot be reached"),
            Self::Refused => f.write_str("refuses to answer"),
            Self::ServerFailure => f.write_str("fails to answer"),
            Self::Lame => f.write_str("answers without authority"),
            Self::Other(code) => write!(f, "answers with code {code}"),
            Self::Malformed => f.write_str("gives an unreadable answer"),
        }
    }
}

/// What a server says of the alias of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CnameAnswer {
    /// There is no such name. The zone lets others remember that for so many seconds.
    Absent {
        /// Seconds, where told.
        negative_ttl: Option<u32>,
    },
    /// The name exists, but not as an alias: an address record may be left at it.
    NoData {
        /// Seconds, where told.
        negative_ttl: Option<u32>,
    },
    /// The name is an alias of `target`: lower case, without a final dot.
    Is {
        /// Where it points.
        target: String,
        /// Seconds that it may be remembered.
        ttl: u32,
    },
    /// More than one alias: no correct zone has that.
    Several(Vec<String>),
    /// No evidence.
    Fault(Fault),
}

impl CnameAnswer {
    /// Whether it points to `target`, compared as names are.
    pub fn points_to(&self, target: &str) -> bool {
        matches!(self, Self::Is { target: found, .. } if *found == target.trim_end_matches('.').to_ascii_lowercase())
    }
}

/// Addresses of a name, and the aliases that led there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Address {
    /// Every name after the one that was asked for, in order.
    pub chain: Vec<String>,
    /// All addresses, both families.
    pub addresses: Vec<IpAddr>,
    /// The shortest time that any part of it may be remembered, in seconds.
    pub ttl: Option<u32>,
}

impl Address {
    pub(super) fn with(mut self, other: Self) -> Self {
        self.addresses.extend(other.addresses);
        if self.chain.is_empty() {
            self.chain = other.chain;
        }
        self.ttl = [self.ttl, other.ttl].into_iter().flatten().min();
        self
    }
}

/// Lower case, without the final dot: as names are written and compared elsewhere.
pub(super) fn plain(name: &Name) -> String {
    name.to_ascii().trim_end_matches('.').to_ascii_lowercase()
}

/// `Ok(true)` if the name exists.
pub(super) fn exists(message: &Message) -> Result<bool, Fault> {
    match message.metadata.response_code {
        ResponseCode::NoError => Ok(true),
        ResponseCode::NXDomain => Ok(false),
        ResponseCode::Refused | ResponseCode::NotAuth => Err(Fault::Refused),
        ResponseCode::ServFail => Err(Fault::ServerFailure),
        other => Err(Fault::Other(other.into())),
    }
}

/// min(TTL of the SOA, its minimum), RFC 2308 and 9077.
fn negative_ttl(message: &Message) -> Option<u32> {
    message.authorities.iter().find_map(|record| match &record.data {
        RData::SOA(soa) => Some(record.ttl.min(soa.minimum)),
        _ => None,
    })
}

pub(super) fn cname(message: &Message, name: &Name, authority: bool) -> CnameAnswer {
    let there = match exists(message) {
        Ok(there) => there,
        Err(fault) => return CnameAnswer::Fault(fault),
    };
    if authority && !message.metadata.authoritative {
        return CnameAnswer::Fault(Fault::Lame);
    }
    let mut found = message.answers.iter().filter(|record| record.name == *name).filter_map(|record| {
        match &record.data {
            RData::CNAME(target) => Some((plain(&target.0), record.ttl)),
            _ => None,
        }
    });
    match (found.next(), found.next()) {
        // Absence is told of the *last* name of a chain (RFC 6604), so an alias in the answer counts more than the code.
        (Some((target, ttl)), None) => CnameAnswer::Is { target, ttl },
        (Some(one), Some(two)) => {
            CnameAnswer::Several([one, two].into_iter().chain(found).map(|(name, _)| name).collect())
        }
        (None, _) if there => CnameAnswer::NoData { negative_ttl: negative_ttl(message) },
        (None, _) => CnameAnswer::Absent { negative_ttl: negative_ttl(message) },
    }
}

pub(super) fn serial(message: &Message, apex: &Name) -> Result<u32, Fault> {
    exists(message)?;
    if !message.metadata.authoritative {
        return Err(Fault::Lame);
    }
    let found = message.answers.iter().find_map(|record| match &record.data {
        RData::SOA(soa) if record.name == *apex => Some(soa.serial),
        _ => None,
    });
    found.ok_or(Fault::Malformed)
}

/// The name servers that an answer names for the zone itself.
pub(super) fn servers(message: &Message, apex: &Name) -> Vec<String> {
    let named =
        message.answers.iter().filter(|record| record.name == *apex).filter_map(|record| {
            match &record.data {
                RData::NS(server) => Some(plain(&server.0)),
                _ => None,
            }
        });
    named.collect()
}

/// Follows the aliases inside one answer, so that records of other names are not taken for ours.
pub(super) fn addresses(message: &Message, name: &Name, most_hops: usize) -> Result<Address, Fault> {
    exists(message)?;
    let (mut result, mut owner) = (Address::default(), name.clone());
    let shorten = |ttl: &mut Option<u32>, other: u32| *ttl = Some(ttl.map_or(other, |ttl| ttl.min(other)));
    while let Some((target, ttl)) = message.answers.iter().find_map(|record| match &record.data {
        RData::CNAME(target) if record.name == owner => Some((target.0.clone(), record.ttl)),
        _ => None,
    }) {
        if result.chain.len() >= most_hops {
            return Err(Fault::Malformed);
        }
        result.chain.push(plain(&target));
        shorten(&mut result.ttl, ttl);
        owner = target;
    }
    for record in message.answers.iter().filter(|record| record.name == owner) {
        match &record.data {
            RData::A(address) => result.addresses.push(IpAddr::V4(address.0)),
            RData::AAAA(address) => result.addresses.push(IpAddr::V6(address.0)),
            _ => continue,
        }
        shorten(&mut result.ttl, record.ttl);
    }
    Ok(result)
}
