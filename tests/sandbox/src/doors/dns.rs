//! The resolver of a namespace: the world's own for what is of this world, the machine's for all else, so that a build inside
//! may still fetch from a registry. `DNS_RESOLVER` itself never leaves this world.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::Name;
use tokio::net::{TcpListener, UdpSocket};

use crate::dns::Dns;
use crate::dns::wire::{self, Answerer, Question, Spoken};
use crate::dns::zone::Reply;
use crate::world::World;

/// How long the machine's resolver may take.
const PATIENCE: Duration = Duration::from_secs(4);
const PAYLOAD: u16 = 1_232;

/// Serves on `sockets`, or on a free port of 127.0.0.1; says where.
pub(super) async fn open(
    world: &Arc<World>,
    names: &Arc<Dns>,
    sockets: Option<(UdpSocket, TcpListener)>,
) -> std::io::Result<SocketAddr> {
    let both = Arc::new(Both { inside: names.as_answerer(), outside: of_machine() });
    match sockets {
        Some((udp, tcp)) => wire::serve(world, "door_dns", both, udp, tcp),
        None => wire::listen(world, "door_dns", both).await,
    }
}

/// The first resolver of this machine.
fn of_machine() -> Option<SocketAddr> {
    let text = std::fs::read_to_string("/etc/resolv.conf").ok()?;
    nameserver(&text).map(|ip| SocketAddr::new(ip, 53))
}

fn nameserver(resolv_conf: &str) -> Option<IpAddr> {
    resolv_conf.lines().find_map(|line| line.trim().strip_prefix("nameserver")?.trim().parse().ok())
}

#[derive(Debug)]
struct Both {
    inside: Arc<dyn Answerer>,
    outside: Option<SocketAddr>,
}

#[async_trait]
impl Answerer for Both {
    async fn speak(&self, question: &Question) -> Option<Spoken> {
        match self.outside.filter(|_| is_outside(&question.name)) {
            None => self.inside.speak(question).await,
            Some(resolver) => Some(match tokio::time::timeout(PATIENCE, ask(resolver, question)).await {
                Ok(Ok(reply)) => Spoken { reply, recursion_available: true },
                _ => Spoken { reply: Reply::code(ResponseCode::ServFail), recursion_available: true },
            }),
        }
    }
}

/// Names of this world end in `test` (RFC 6761: never anybody else's); `localhost` and single labels stay here too.
fn is_outside(name: &Name) -> bool {
    let last = name.iter().next_back().unwrap_or_default().to_ascii_lowercase();
    name.num_labels() > 1 && last != b"test" && last != b"localhost"
}

async fn ask(resolver: SocketAddr, question: &Question) -> std::io::Result<Reply> {
    let local = if resolver.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(local).await?;
    socket.connect(resolver).await?;
    let asked = message(question);
    socket.send(&asked.to_vec().map_err(std::io::Error::other)?).await?;
    let mut buffer = [0; PAYLOAD as usize];
    loop {
        let length = socket.recv(&mut buffer).await?;
        let answer = buffer.get(..length).and_then(|bytes| Message::from_vec(bytes).ok());
        // Anything else on this port is a stray or a forgery.
        if let Some(answer) = answer.filter(|answer| answer.metadata.id == asked.metadata.id) {
            let mut reply = Reply::code(answer.metadata.response_code);
            reply.answers = answer.answers;
            return Ok(reply);
        }
    }
}

fn message(question: &Question) -> Message {
    let mut message = Message::new(rand::random(), MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(question.name.clone(), question.kind));
    let mut edns = Edns::new();
    edns.set_max_payload(PAYLOAD);
    message.edns = Some(edns);
    message
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn only_names_of_other_worlds_leave_this_one() {
        let outside = |name: &str| is_outside(&Name::from_ascii(name).unwrap());
        assert!(outside("registry.example.org."));
        for inside in ["siap.apilos.test.", "SIAP.APILOS.TEST.", "localhost.", "a.localhost.", "host.", "."] {
            assert!(!outside(inside), "{inside}");
        }
    }

    #[test]
    fn the_first_resolver_of_a_machine_is_read() {
        let text = "# comment\nsearch example.org\nnameserver 192.0.2.1\nnameserver 192.0.2.2\n";
        assert_eq!(nameserver(text), Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1))));
        assert_eq!(nameserver("nameserver nonsense\n"), None);
    }
}
