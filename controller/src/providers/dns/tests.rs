//! Against small servers on a free port that answer as they are told.

use hickory_proto::{
    op::{Message, MessageType, ResponseCode},
    rr::{
        RData, Record,
        rdata::{A, CNAME, SOA},
    },
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, UdpSocket},
    task::JoinSet,
};

use super::*;

const NAME: &str = "www.exemple.fr.";

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

fn alias(owner: &str, target: &str) -> Record {
    Record::from_rdata(name(owner), 300, RData::CNAME(CNAME(name(target))))
}

/// Serves by UDP, and the whole answer by TCP on the same port.
async fn server(answer: impl Fn(&mut Message) + Send + Clone + 'static) -> (NameServer, JoinSet<()>) {
    let (address, tasks) = serve(answer).await;
    (NameServer::new(address).limit(Duration::from_secs(2)), tasks)
}

/// The same by its address.
pub(crate) async fn serve(
    answer: impl Fn(&mut Message) + Send + Clone + 'static,
) -> (SocketAddr, JoinSet<()>) {
    let (udp, tcp) = loop {
        let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()).await {
            break (udp, tcp);
        }
    };
    let address = udp.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    let reply = move |packet: &[u8], answer: &dyn Fn(&mut Message)| {
        let question = Message::from_vec(packet).unwrap();
        let mut message = question.clone();
        message.metadata.message_type = MessageType::Response;
        message.metadata.authoritative = true;
        answer(&mut message);
        message
    };
    let by_udp = answer.clone();
    tasks.spawn(async move {
        let mut buffer = [0; 2048];
        while let Ok((length, from)) = udp.recv_from(&mut buffer).await {
            let mut message = reply(&buffer[..length], &by_udp);
            if message.metadata.truncation {
                message.answers.clear();
            }
            // A stranger's packet first: it must be skipped.
            udp.send_to(b"\0\0garbage", from).await.unwrap();
            udp.send_to(&message.to_vec().unwrap(), from).await.unwrap();
        }
    });
    tasks.spawn(async move {
        while let Ok((mut stream, _)) = tcp.accept().await {
            let mut packet = vec![0; usize::from(stream.read_u16().await.unwrap())];
            stream.read_exact(&mut packet).await.unwrap();
            let mut message = reply(&packet, &answer);
            message.metadata.truncation = false;
            let bytes = message.to_vec().unwrap();
            stream.write_u16(u16::try_from(bytes.len()).unwrap()).await.unwrap();
            stream.write_all(&bytes).await.unwrap();
        }
    });
    (address, tasks)
}

async fn asked(answer: impl Fn(&mut Message) + Send + Clone + 'static) -> CnameAnswer {
    let (server, _tasks) = server(answer).await;
    server.authoritative_cname(NAME).await.unwrap()
}

fn soa() -> Record {
    let soa = SOA::new(name("ns."), name("admin."), 7, 1, 1, 1, 60);
    Record::from_rdata(name("exemple.fr."), 900, RData::SOA(soa))
}

#[tokio::test]
async fn an_alias_is_compared_as_names_are() {
    let answer = asked(|message| message.answers.push(alias(NAME, "App.OSC-fr1.scalingo.io."))).await;
    assert_eq!(answer, CnameAnswer::Is { target: "app.osc-fr1.scalingo.io".into(), ttl: 300 });
    assert!(answer.points_to("app.osc-fr1.scalingo.io.") && !answer.points_to("app.osc-fr1.scalingo"));
}

#[tokio::test]
async fn absent_and_other_types_are_two_things() {
    let absent = asked(|message| {
        message.metadata.response_code = ResponseCode::NXDomain;
        message.authorities.push(soa());
    });
    assert_eq!(absent.await, CnameAnswer::Absent { negative_ttl: Some(60) });
    assert_eq!(asked(|_| ()).await, CnameAnswer::NoData { negative_ttl: None });
}

#[tokio::test]
async fn faults_are_no_evidence() {
    for (code, fault) in
        [(ResponseCode::Refused, Fault::Refused), (ResponseCode::ServFail, Fault::ServerFailure)]
    {
        let answer = asked(move |message| message.metadata.response_code = code).await;
        assert_eq!(answer, CnameAnswer::Fault(fault));
    }
    let lame = asked(|message| {
        message.metadata.authoritative = false;
        message.answers.push(alias(NAME, "target."));
    });
    assert_eq!(lame.await, CnameAnswer::Fault(Fault::Lame));
}

#[tokio::test]
async fn silence_is_a_timeout_and_a_closed_port_is_not() {
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let server = NameServer::new(silent.local_addr().unwrap()).limit(Duration::from_millis(200));
    assert_eq!(server.authoritative_cname(NAME).await.unwrap(), CnameAnswer::Fault(Fault::Timeout));
    drop(silent);
    assert_eq!(server.authoritative_cname(NAME).await.unwrap(), CnameAnswer::Fault(Fault::Unreachable));
}

#[tokio::test]
async fn a_cut_answer_is_asked_for_again_by_tcp() {
    let answer = asked(|message| {
        message.metadata.truncation = true;
        message.answers.push(alias(NAME, "long.target."));
    });
    assert!(answer.await.points_to("long.target"));
}

#[tokio::test]
async fn several_aliases_are_told() {
    let answer = asked(|message| message.answers.extend([alias(NAME, "a."), alias(NAME, "b.")])).await;
    assert_eq!(answer, CnameAnswer::Several(vec!["a".into(), "b".into()]));
}

#[tokio::test]
async fn a_resolver_tells_the_chain_and_only_our_addresses() {
    let (server, _tasks) = server(|message| {
        let address =
            |owner: &str, last| Record::from_rdata(name(owner), 20, RData::A(A::new(127, 0, 0, last)));
        message.answers.push(alias(NAME, "app.io."));
        if message.queries[0].query_type == RecordType::A {
            message.answers.extend([address("app.io.", 5), address("other.io.", 6)]);
        }
    })
    .await;
    let found = server.addresses(NAME).await.unwrap().unwrap();
    assert_eq!(found.chain, ["app.io"]);
    assert_eq!(found.addresses, ["127.0.0.5".parse::<std::net::IpAddr>().unwrap()]);
    assert_eq!(found.ttl, Some(20));
}

#[tokio::test]
async fn the_serial_of_a_zone_is_read() {
    let (server, _tasks) = server(|message| message.answers.push(soa())).await;
    assert_eq!(server.zone_serial("exemple.fr").await.unwrap(), Ok(7));
}

#[tokio::test]
async fn only_the_servers_of_the_zone_itself_are_its_servers() {
    use hickory_proto::rr::{Record, rdata::NS};
    let (server, _tasks) = server(|message| {
        for (zone, host) in [("exemple.fr.", "dns1.hoster.net."), ("autre.fr.", "dns9.hoster.net.")] {
            let (zone, host) = (Name::from_ascii(zone).unwrap(), Name::from_ascii(host).unwrap());
            message.answers.push(Record::from_rdata(zone, 300, RData::NS(NS(host))));
        }
    })
    .await;
    assert_eq!(server.zone_servers("exemple.fr").await.unwrap(), Ok(vec!["dns1.hoster.net".to_owned()]));
}

#[test]
fn what_is_no_name_is_not_asked() {
    for bad in ["", ".", "a..b", &"a".repeat(64)] {
        assert!(absolute(bad).is_err(), "{bad:?}");
    }
}
