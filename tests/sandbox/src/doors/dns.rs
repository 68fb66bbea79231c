//! The resolver of a namespace: the world's own for what is of this world, the machine's for all else, so that a build inside
//! may still fetch from a registry. `DNS_RESOLVER` itself never leaves this world.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use crate::dns::Dns;
use crate::dns::wire::{self, Answerer, Question, Spoken};
use crate::dns::zone::Reply;
use crate::world::World;

/// How long the machine's resolvers may take, all of them together: not longer than a client waits.
const PATIENCE: Duration = Duration::from_millis(4_500);
const PAYLOAD: u16 = 1_232;
const TTL: u32 = 60;

/// Serves on `sockets`, or on a free port of 127.0.0.1; says where.
pub(super) async fn open(
    world: &Arc<World>,
    names: &Arc<Dns>,
    sockets: Option<(UdpSocket, TcpListener)>,
) -> std::io::Result<SocketAddr> {
    match sockets {
        Some((udp, tcp)) => wire::serve(world, "door_dns", resolver(names), udp, tcp),
        None => wire::listen(world, "door_dns", resolver(names)).await,
    }
}

/// What answers there.
pub(crate) fn resolver(names: &Arc<Dns>) -> Arc<dyn Answerer> {
    Arc::new(Both { inside: names.as_answerer(), outside: of_machine(), stores: names.ingress() })
}

/// The resolvers of this machine.
fn of_machine() -> Vec<SocketAddr> {
    let text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    nameservers(&text).map(|ip| SocketAddr::new(ip, 53)).collect()
}

/// As many as the C library asks.
fn nameservers(resolv_conf: &str) -> impl Iterator<Item = IpAddr> {
    let lines = resolv_conf.lines().filter_map(|line| line.trim().strip_prefix("nameserver"));
    lines.filter_map(|address| address.trim().parse().ok()).take(3)
}

#[derive(Debug)]
struct Both {
    inside: Arc<dyn Answerer>,
    /// Asked one after the other until one answers.
    outside: Vec<SocketAddr>,
    /// Where the object stores are, under whatever name of a bucket.
    stores: Ipv4Addr,
}

#[async_trait]
impl Answerer for Both {
    async fn speak(&self, question: &Question) -> Option<Spoken> {
        if is_of_a_store(&question.name) {
            return Some(Spoken { reply: store(question, self.stores), recursion_available: true });
        }
        if self.outside.is_empty() || !is_outside(&question.name) {
            return self.inside.speak(question).await;
        }
        let each = PATIENCE / u32::try_from(self.outside.len()).unwrap_or(1);
        let mut last = Reply::code(ResponseCode::ServFail);
        for resolver in &self.outside {
            if let Ok(Ok(reply)) = tokio::time::timeout(each, ask(*resolver, question)).await {
                last = reply;
                // As the C library does: one that fails or refuses is not the last word.
                if !matches!(last.code, ResponseCode::ServFail | ResponseCode::Refused) {
                    break;
                }
            }
        }
        Some(Spoken { reply: last, recursion_available: true })
    }
}

/// Names of this world end in `test` (RFC 6761: never anybody else's); `localhost` and single labels stay here too.
fn is_outside(name: &Name) -> bool {
    let last = name.iter().next_back().unwrap_or_default().to_ascii_lowercase();
    name.num_labels() > 1 && last != b"test" && last != b"localhost"
}

/// Whether the name is a store's, or that of a bucket in one: also of a bucket that is only about to be made.
fn is_of_a_store(name: &Name) -> bool {
    let name = name.to_ascii().to_ascii_lowercase();
    let name = name.trim_end_matches('.');
    super::table::STORE_DOMAINS.iter().any(|domain| {
        name.strip_suffix(domain).is_some_and(|bucket| bucket.is_empty() || bucket.ends_with('.'))
    })
}

/// An address, and nothing of any other kind.
fn store(question: &Question, address: Ipv4Addr) -> Reply {
    let mut reply = Reply::code(ResponseCode::NoError);
    if question.kind == RecordType::A {
        reply.answers.push(Record::from_rdata(question.name.clone(), TTL, RData::A(address.into())));
    }
    reply
}

/// By UDP, and where the answer does not fit into a packet by TCP.
async fn ask(resolver: SocketAddr, question: &Question) -> std::io::Result<Reply> {
    let answer = match by_udp(resolver, question).await? {
        short if short.metadata.truncation => by_tcp(resolver, question).await?,
        whole => whole,
    };
    let mut reply = Reply::code(answer.metadata.response_code);
    reply.answers = answer.answers;
    Ok(reply)
}

async fn by_udp(resolver: SocketAddr, question: &Question) -> std::io::Result<Message> {
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
            return Ok(answer);
        }
    }
}

async fn by_tcp(resolver: SocketAddr, question: &Question) -> std::io::Result<Message> {
    let mut stream = TcpStream::connect(resolver).await?;
    let asked = message(question).to_vec().map_err(std::io::Error::other)?;
    stream.write_u16(u16::try_from(asked.len()).map_err(std::io::Error::other)?).await?;
    stream.write_all(&asked).await?;
    let mut answer = vec![0; stream.read_u16().await?.into()];
    stream.read_exact(&mut answer).await?;
    Message::from_vec(&answer).map_err(std::io::Error::other)
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
    use super::*;

    #[test]
    fn every_bucket_has_the_stores_address_before_it_is_made() {
        for (name, of_a_store) in [
            ("s3.fr-par.scw.test.", true),
            ("New-Bucket.s3.fr-par.scw.test.", true),
            ("with.dots.s3.fr-par.scw.cloud.", true),
            ("nots3.fr-par.scw.test.", false),
            ("siap.apilos.test.", false),
        ] {
            assert_eq!(is_of_a_store(&Name::from_ascii(name).unwrap()), of_a_store, "{name}");
        }
    }

    #[test]
    fn only_names_of_other_worlds_leave_this_one() {
        let outside = |name: &str| is_outside(&Name::from_ascii(name).unwrap());
        assert!(outside("registry.example.org."));
        for inside in ["siap.apilos.test.", "SIAP.APILOS.TEST.", "localhost.", "a.localhost.", "host.", "."] {
            assert!(!outside(inside), "{inside}");
        }
    }

    #[test]
    fn the_resolvers_of_a_machine_are_read() {
        let text = "# comment\nsearch example.org\nnameserver 192.0.2.1\nnameserver nonsense\nnameserver 192.0.2.2\n";
        let expected = [1, 2].map(|last| IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)));
        assert_eq!(nameservers(text).collect::<Vec<_>>(), expected);
    }

    /// Answers by UDP that it does not fit, and by TCP with a hundred addresses.
    #[derive(Debug)]
    struct Long;

    #[async_trait]
    impl Answerer for Long {
        async fn speak(&self, question: &Question) -> Option<Spoken> {
            let mut reply = Reply::code(ResponseCode::NoError);
            let address = |last| RData::A(Ipv4Addr::new(192, 0, 2, last).into());
            reply.answers =
                (1..=100).map(|last| Record::from_rdata(question.name.clone(), TTL, address(last))).collect();
            Some(Spoken { reply, recursion_available: true })
        }
    }

    #[tokio::test]
    async fn a_long_answer_comes_whole_from_the_second_resolver() {
        let dir = tempfile::tempdir().unwrap();
        let world = World::new(dir.path(), 1.0, 1).unwrap();
        let dns = Dns::start(&world, "apilos.test", Ipv4Addr::LOCALHOST.into()).await.unwrap();
        let long = wire::listen(&world, "long", Arc::new(Long)).await.unwrap();
        // Takes what comes, and never answers.
        let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let outside = vec![silent.local_addr().unwrap(), long];
        let both = Both { inside: dns.as_answerer(), outside, stores: dns.ingress() };
        let name = Name::from_ascii("many.example.org.").unwrap();
        let asked = Question { name, kind: RecordType::A, recursion_desired: true };
        let spoken = both.speak(&asked).await.unwrap();
        assert_eq!((spoken.reply.code, spoken.reply.answers.len()), (ResponseCode::NoError, 100));
    }
}
