//! What a fault on the verb `query` makes of one question, the same for name servers and the resolver.

use std::net::IpAddr;
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::{A, AAAA, CNAME};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::zone::Reply;
use crate::world::{Fault, World};

/// What is to be done instead of answering.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Twist {
    /// Nothing: answer.
    None,
    /// Silence: the client times out.
    Silence,
    /// Only this code.
    Code(ResponseCode),
    /// What was true before the last change.
    Stale,
    /// The answer, replaced.
    Lie(String),
    /// Over UDP only the header, with the TC bit.
    Truncated,
}

/// Asks for the fault; a latency is waited for here.
pub(super) async fn on_query(world: &World, path: &str) -> Twist {
    match world.faults.take("dns", "query", path) {
        None => Twist::None,
        Some(Fault::Latency { ms }) => {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            Twist::None
        }
        Some(Fault::StaleRead) => Twist::Stale,
        Some(Fault::Lie { answer }) => Twist::Lie(answer),
        Some(Fault::Truncate { .. } | Fault::HalfBody { .. }) => Twist::Truncated,
        Some(Fault::Reject { reason }) => code(&reason).map_or(Twist::Silence, Twist::Code),
        Some(_) => Twist::Silence,
    }
}

fn code(name: &str) -> Option<ResponseCode> {
    match name.to_ascii_uppercase().as_str() {
        "SERVFAIL" => Some(ResponseCode::ServFail),
        "REFUSED" => Some(ResponseCode::Refused),
        "NXDOMAIN" => Some(ResponseCode::NXDomain),
        "NOTIMP" => Some(ResponseCode::NotImp),
        "FORMERR" => Some(ResponseCode::FormErr),
        _ => None,
    }
}

/// `reply` with every address, or the first alias and what follows it, replaced by `answer`.
pub(super) fn lied(mut reply: Reply, name: &Name, kind: RecordType, answer: &str) -> Reply {
    let ttl = reply.answers.first().map_or(300, |record| record.ttl);
    let data = match (answer.parse::<IpAddr>(), kind) {
        (Ok(IpAddr::V4(address)), RecordType::A) => Some(RData::A(A(address))),
        (Ok(IpAddr::V6(address)), RecordType::AAAA) => Some(RData::AAAA(AAAA(address))),
        (Err(_), RecordType::CNAME | RecordType::A | RecordType::AAAA) => {
            Name::from_ascii(answer).ok().map(|mut target| {
                target.set_fqdn(true);
                RData::CNAME(CNAME(target))
            })
        }
        _ => None,
    };
    // Nothing to lie about with this answer: the truth.
    let Some(data) = data else { return reply };
    reply.code = ResponseCode::NoError;
    reply.authority.clear();
    reply.flatten = None;
    reply.answers = vec![Record::from_rdata(name.clone(), ttl, data)];
    reply
}
