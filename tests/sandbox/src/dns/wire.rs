//! Packets: one UDP and one TCP socket on the same port, header rules, EDNS. Knows nothing of zones or caches.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hickory_proto::op::{Edns, Header, HeaderCounts, MessageType, Metadata, OpCode, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, Record, RecordType};
use hickory_server::net::runtime::Time;
use hickory_server::net::xfer::Protocol;
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo, Server};
use hickory_server::zone_handler::MessageResponseBuilder;
use tokio::net::{TcpListener, UdpSocket};

use super::zone::Reply;
use crate::world::World;

/// The payload that this world's servers offer; the size of DNS flag day 2020.
const MAX_PAYLOAD: u16 = 1_232;
/// How long a quiet TCP connection is kept.
const TCP_IDLE: Duration = Duration::from_secs(10);

/// What was asked.
#[derive(Debug, Clone)]
pub struct Question {
    /// The name, spelled as asked.
    pub name: Name,
    /// The type.
    pub kind: RecordType,
    /// The RD bit.
    pub recursion_desired: bool,
}

/// What is said, with the header bit that only a recursive server sets.
#[derive(Debug)]
pub struct Spoken {
    /// Code and sections.
    pub reply: Reply,
    /// The RA bit.
    pub recursion_available: bool,
}

/// Something that answers questions. `None` is silence.
#[async_trait]
pub trait Answerer: Send + Sync + std::fmt::Debug + 'static {
    /// The answer to one question of class IN.
    async fn speak(&self, question: &Question) -> Option<Spoken>;
}

/// Serves `answerer` on 127.0.0.1, UDP and TCP on one free port, until the world stops.
pub async fn listen(
    world: &Arc<World>,
    task: &'static str,
    answerer: Arc<dyn Answerer>,
) -> io::Result<SocketAddr> {
    let (udp, tcp) = bind_pair().await?;
    serve(world, task, answerer, udp, tcp)
}

/// The same on sockets that are bound already.
pub fn serve(
    world: &Arc<World>,
    task: &'static str,
    answerer: Arc<dyn Answerer>,
    udp: UdpSocket,
    tcp: TcpListener,
) -> io::Result<SocketAddr> {
    let addr = udp.local_addr()?;
    let mut server = Server::new(Handler(answerer));
    server.register_socket(udp);
    server.register_listener(tcp, TCP_IDLE, 16);
    world.tasks.spawn(task, async move {
        if let Err(error) = server.block_until_done().await {
            tracing::error!(error = %error, "name server ended");
        }
    });
    Ok(addr)
}

/// A UDP and a TCP socket with the same number: the kernel picks one, the other may be taken, so a few are tried.
async fn bind_pair() -> io::Result<(UdpSocket, TcpListener)> {
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for _ in 0..32 {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        match TcpListener::bind(udp.local_addr()?).await {
            Ok(tcp) => return Ok((udp, tcp)),
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[derive(Debug)]
struct Handler(Arc<dyn Answerer>);

#[async_trait]
impl RequestHandler for Handler {
    async fn handle_request<R: ResponseHandler, T: Time>(&self, request: &Request, out: R) -> ResponseInfo {
        let said = match check(request) {
            Ok(question) => self.0.speak(&question).await,
            Err(code) => Some(Spoken { reply: Reply::code(code), recursion_available: false }),
        };
        match said {
            Some(spoken) => send(request, &spoken, out).await,
            None => unanswered(request),
        }
    }
}

/// The question, or the code with which a message that carries none is refused.
fn check(request: &Request) -> Result<Question, ResponseCode> {
    if request.edns.as_ref().is_some_and(|edns| edns.version() > 0) {
        return Err(ResponseCode::BADVERS);
    }
    if request.metadata.op_code != OpCode::Query {
        return Err(ResponseCode::NotImp);
    }
    let info = request.request_info().map_err(|_| ResponseCode::FormErr)?;
    let kind = info.query.query_type();
    if info.query.query_class() != DNSClass::IN || matches!(kind, RecordType::AXFR | RecordType::IXFR) {
        return Err(ResponseCode::Refused);
    }
    let name = info.query.original().name().clone();
    Ok(Question { name, kind, recursion_desired: request.metadata.recursion_desired })
}

/// Whether `packet` is a message that is answered, if only by a refusal.
pub(crate) fn is_question(packet: &[u8]) -> bool {
    let from = SocketAddr::from((Ipv4Addr::LOCALHOST, 53));
    match Request::from_bytes(packet.to_vec(), from, Protocol::Udp) {
        Ok(request) => {
            let _question = check(&request);
            true
        }
        Err(_) => false,
    }
}

async fn send<R: ResponseHandler>(request: &Request, spoken: &Spoken, mut out: R) -> ResponseInfo {
    let mut metadata = Metadata::response_from_request(&request.metadata);
    metadata.response_code = spoken.reply.code;
    metadata.authoritative = spoken.reply.authoritative;
    metadata.recursion_available = spoken.recursion_available;
    metadata.authentic_data = false;
    let edns = request.edns.as_ref().map(|_| offered(request, spoken.reply.code));
    let none: [Record; 0] = [];
    metadata.truncation = spoken.reply.truncated && request.protocol() == Protocol::Udp;
    let (answers, authority) = if metadata.truncation {
        (&none[..], &none[..])
    } else {
        (spoken.reply.answers.as_slice(), spoken.reply.authority.as_slice())
    };
    let mut builder = MessageResponseBuilder::from_message_request(request);
    if let Some(edns) = &edns {
        builder.edns(edns);
    }
    let response = builder.build(metadata, answers, authority, &none, &none);
    match out.send_response(response).await {
        Ok(info) => info,
        Err(error) => {
            tracing::debug!(error = %error, "dns answer not sent");
            unanswered(request)
        }
    }
}

/// Our OPT record: the asker's size up to ours and their DO bit (RFC 3225), and the upper half of the response code.
fn offered(request: &Request, code: ResponseCode) -> Edns {
    let mut edns = Edns::new();
    edns.set_max_payload(request.max_payload().min(MAX_PAYLOAD));
    edns.set_rcode_high(code.high());
    edns.set_dnssec_ok(request.edns.as_ref().is_some_and(|asked| asked.flags().dnssec_ok));
    edns
}

/// What the server's log wants where nothing was sent.
fn unanswered(request: &Request) -> ResponseInfo {
    let mut metadata = Metadata::new(request.metadata.id, MessageType::Response, request.metadata.op_code);
    metadata.response_code = ResponseCode::ServFail;
    ResponseInfo::from(Header { metadata, counts: HeaderCounts::default() })
}
