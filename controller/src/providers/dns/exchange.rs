//! One question to one server: UDP, a second try, TCP when cut. The answer is matched to the question before it is believed.

use std::{net::SocketAddr, time::Duration};

use hickory_proto::{
    op::{Edns, Message, MessageType, OpCode, Query},
    rr::{Name, RecordType},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, UdpSocket},
    time::timeout,
};

use super::Fault;

/// Size of UDP answers that we take: what passes every network unfragmented.
const PAYLOAD: u16 = 1232;

/// Asks `server` for `name`.
pub(super) async fn ask(
    server: SocketAddr,
    name: &Name,
    kind: RecordType,
    recurse: bool,
    limit: Duration,
) -> Result<Message, Fault> {
    let asked = async {
        let first = timeout(limit / 2, by_udp(server, &question(name, kind, recurse))).await;
        let answer = match first {
            Ok(answer) => answer?,
            // Lost on the way, perhaps: once more, by a new question.
            Err(_) => by_udp(server, &question(name, kind, recurse)).await?,
        };
        if answer.metadata.truncation {
            by_tcp(server, &question(name, kind, recurse)).await
        } else {
            Ok(answer)
        }
    };
    timeout(limit, asked).await.unwrap_or(Err(Fault::Timeout))
}

fn question(name: &Name, kind: RecordType, recurse: bool) -> Message {
    let mut message = Message::new(rand::random(), MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = recurse;
    message.add_query(Query::query(name.clone(), kind));
    let mut edns = Edns::new();
    edns.set_max_payload(PAYLOAD).set_version(0);
    message.set_edns(edns);
    message
}

/// The socket has a random port and is connected, so that only this server's packets arrive; those that do not fit are skipped.
async fn by_udp(server: SocketAddr, question: &Message) -> Result<Message, Fault> {
    let any: SocketAddr = if server.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = UdpSocket::bind(any).await.map_err(|_| Fault::Unreachable)?;
    socket.connect(server).await.map_err(|_| Fault::Unreachable)?;
    let bytes = question.to_vec().map_err(|_| Fault::Malformed)?;
    socket.send(&bytes).await.map_err(|_| Fault::Unreachable)?;
    let mut buffer = vec![0; 65_535];
    loop {
        let length = socket.recv(&mut buffer).await.map_err(|_| Fault::Unreachable)?;
        let packet = buffer.get(..length).unwrap_or_default();
        // The id is looked at first: a packet of somebody else must not end the wait, whatever is in it.
        if packet.get(..2) == bytes.get(..2) {
            return matched(packet, question);
        }
    }
}

async fn by_tcp(server: SocketAddr, question: &Message) -> Result<Message, Fault> {
    let bytes = question.to_vec().map_err(|_| Fault::Malformed)?;
    let length = u16::try_from(bytes.len()).map_err(|_| Fault::Malformed)?;
    let exchanged = async {
        let mut stream = TcpStream::connect(server).await?;
        stream.write_all(&[&length.to_be_bytes(), bytes.as_slice()].concat()).await?;
        let mut answer = vec![0; usize::from(stream.read_u16().await?)];
        stream.read_exact(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    matched(&exchanged.await.map_err(|_| Fault::Unreachable)?, question)
}

/// An answer to this very question.
fn matched(packet: &[u8], question: &Message) -> Result<Message, Fault> {
    let answer = Message::from_vec(packet).map_err(|_| Fault::Malformed)?;
    let metadata = &answer.metadata;
    let fits = metadata.id == question.metadata.id && metadata.message_type == MessageType::Response;
    // A server that cannot read the question may leave it out of its refusal.
    let same = answer.queries.is_empty() || answer.queries == question.queries;
    if fits && same { Ok(answer) } else { Err(Fault::Malformed) }
}
