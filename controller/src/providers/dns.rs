//! Asking name servers, each one by itself: what an authoritative server says now, and what a resolver still believes.
//!
//! Nothing is cached, `hosts` files and search lists play no part, and every answer is one of a closed set of outcomes, so that "not
//! there", "not there yet" and "nobody said anything" stay three things. Each question has a time limit and is asked once by UDP, once
//! more after half of the time, and by TCP when the answer was cut.

pub mod caa;
pub mod exchange;
pub mod outcome;

use std::{net::SocketAddr, time::Duration};

use hickory_proto::rr::{Name, RecordType};

pub use self::caa::CaaAnswer;
pub use self::outcome::{Address, CnameAnswer, DnsError, Fault};
use self::outcome::{addresses, cname, serial, servers};

/// Names that a chain may go through.
const MOST_HOPS: usize = 8;

/// One name server.
#[derive(Debug, Clone, Copy)]
pub struct NameServer {
    address: SocketAddr,
    limit: Duration,
}

impl NameServer {
    /// The server at `address`; each question may take five seconds.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, limit: Duration::from_secs(5) }
    }

    /// Another time limit for each question.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What this *authoritative* server says is the alias of `name`. An answer without authority is [`Fault::Lame`]: no evidence.
    ///
    /// Source: RFC 1034 and 1035; question of type CNAME, no recursion.
    pub async fn authoritative_cname(&self, name: &str) -> Result<CnameAnswer, DnsError> {
        let name = absolute(name)?;
        let message = exchange::ask(self.address, &name, RecordType::CNAME, false, self.limit).await;
        Ok(message.map_or_else(CnameAnswer::Fault, |message| cname(&message, &name, true)))
    }

    /// What this *resolver* believes is the alias of `name`.
    pub async fn resolved_cname(&self, name: &str) -> Result<CnameAnswer, DnsError> {
        let name = absolute(name)?;
        let message = exchange::ask(self.address, &name, RecordType::CNAME, true, self.limit).await;
        Ok(message.map_or_else(CnameAnswer::Fault, |message| cname(&message, &name, false)))
    }

    /// The CAA records at `name`: as this *authoritative* server has them, or as it believes as a *resolver*.
    ///
    /// Source: RFC 8659.
    pub async fn caa(&self, name: &str, authority: bool) -> Result<Result<CaaAnswer, Fault>, DnsError> {
        let name = absolute(name)?;
        let message = exchange::ask(self.address, &name, RecordType::CAA, !authority, self.limit).await;
        Ok(message.and_then(|message| caa::caa(&message, &name, authority)))
    }

    /// Serial of the zone at `apex`: servers whose serials differ are still copying.
    pub async fn zone_serial(&self, apex: &str) -> Result<Result<u32, Fault>, DnsError> {
        let apex = absolute(apex)?;
        let message = exchange::ask(self.address, &apex, RecordType::SOA, false, self.limit).await;
        Ok(message.and_then(|message| serial(&message, &apex)))
    }

    /// The host names of the zone's servers, as this *resolver* knows them; empty if there is no such zone.
    pub async fn zone_servers(&self, apex: &str) -> Result<Result<Vec<String>, Fault>, DnsError> {
        let apex = absolute(apex)?;
        let message = exchange::ask(self.address, &apex, RecordType::NS, true, self.limit).await;
        Ok(message.map(|message| servers(&message, &apex)))
    }

    /// IPv4 and IPv6 addresses of `name` by this *resolver*, with the names on the way. Empty addresses mean that there are none.
    pub async fn addresses(&self, name: &str) -> Result<Result<Address, Fault>, DnsError> {
        let name = absolute(name)?;
        let ask = |kind| exchange::ask(self.address, &name, kind, true, self.limit);
        let (four, six) = tokio::join!(ask(RecordType::A), ask(RecordType::AAAA));
        let read =
            |message: Result<_, Fault>| message.and_then(|message| addresses(&message, &name, MOST_HOPS));
        Ok(match (read(four), read(six)) {
            (Ok(four), Ok(six)) => Ok(four.with(six)),
            // One family that fails is not hidden behind the other: a wrong AAAA would be.
            (Err(fault), _) | (_, Err(fault)) => Err(fault),
        })
    }
}

/// A name as it is asked for: absolute, whether written with a final dot or not.
fn absolute(name: &str) -> Result<Name, DnsError> {
    let wrong = || DnsError::Name { name: name.to_owned() };
    let mut parsed = Name::from_ascii(name).map_err(|_| wrong())?;
    if parsed.num_labels() == 0 {
        return Err(wrong());
    }
    parsed.set_fqdn(true);
    Ok(parsed)
}

#[cfg(test)]
pub(crate) mod tests;
