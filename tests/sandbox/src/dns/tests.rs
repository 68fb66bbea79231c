//! Real packets against the running servers.

use std::net::Ipv4Addr;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use super::*;
use crate::world::{Fault, faults::Rule};

const APP: &str = "apilos-siap.osc-fr1.scalingo.test";
const NEW_APP: &str = "reprise-siap.osc-fr1.scalingo.test";

struct Bench {
    world: Arc<World>,
    dns: Arc<Dns>,
    _dir: tempfile::TempDir,
}

/// A world of unscaled time that only moves when it is advanced (lags are seconds, a test takes milliseconds).
async fn bench() -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path(), 1.0, 1).unwrap();
    let dns = Dns::start(&world, "apilos.test", Ipv4Addr::LOCALHOST.into()).await.unwrap();
    dns.publish_default_domain(APP);
    dns.publish_default_domain(NEW_APP);
    dns.upsert(&ZoneRecord::cname("siap", APP, 300)).unwrap();
    world.clock.advance(Duration::from_mins(1));
    Bench { world, dns, _dir: dir }
}

impl Bench {
    fn fault(&self, method: &str, path: &str, times: Option<u32>, fault: Fault) {
        self.world.faults.add(Rule {
            service: Some("dns".into()),
            method: Some(method.into()),
            path: Some(path.into()),
            skip: 0,
            times,
            fault,
        });
    }
}

fn packet(name: &str, kind: RecordType, edns: bool) -> Vec<u8> {
    let mut message = Message::new(4_242, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(record::host(name).unwrap(), kind));
    if edns {
        let mut offer = Edns::new();
        offer.set_max_payload(1_232);
        message.edns = Some(offer);
    }
    message.to_vec().unwrap()
}

async fn exchange(addr: SocketAddr, packet: &[u8]) -> Message {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    socket.send_to(packet, addr).await.unwrap();
    let mut buffer = [0; 4_096];
    let received = tokio::time::timeout(Duration::from_secs(5), socket.recv(&mut buffer));
    let length = received.await.expect("an answer within 5 s").unwrap();
    Message::from_vec(&buffer[..length]).unwrap()
}

async fn ask(addr: SocketAddr, name: &str, kind: RecordType) -> Message {
    exchange(addr, &packet(name, kind, true)).await
}

async fn ask_over_tcp(addr: SocketAddr, name: &str, kind: RecordType) -> Message {
    let packet = packet(name, kind, true);
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_u16(u16::try_from(packet.len()).unwrap()).await.unwrap();
    stream.write_all(&packet).await.unwrap();
    let length = stream.read_u16().await.unwrap();
    let mut buffer = vec![0; usize::from(length)];
    stream.read_exact(&mut buffer).await.unwrap();
    Message::from_vec(&buffer).unwrap()
}

fn target(message: &Message) -> Option<String> {
    message.answers.iter().find_map(|record| match &record.data {
        RData::CNAME(target) => Some(target.0.to_ascii()),
        _ => None,
    })
}

#[tokio::test]
async fn both_servers_answer_with_authority() {
    let bench = bench().await;
    for addr in bench.dns.authoritative() {
        let reply = ask(addr, "siap.apilos.test", RecordType::CNAME).await;
        assert!(reply.metadata.authoritative && !reply.metadata.recursion_available);
        assert_eq!((reply.metadata.response_code, reply.metadata.id), (ResponseCode::NoError, 4_242));
        assert_eq!(target(&reply), Some(format!("{APP}.")));
        assert_eq!(reply.edns.map(|edns| edns.max_payload()), Some(1_232));
    }
}

#[tokio::test]
async fn a_change_reaches_the_servers_one_after_the_other() {
    let bench = bench().await;
    bench.dns.upsert(&ZoneRecord::cname("siap", NEW_APP, 300)).unwrap();
    let [first, second] = bench.dns.authoritative();
    bench.world.clock.advance(Duration::from_secs(3));
    assert_eq!(target(&ask(first, "siap.apilos.test", RecordType::CNAME).await), Some(format!("{NEW_APP}.")));
    assert_eq!(target(&ask(second, "siap.apilos.test", RecordType::CNAME).await), Some(format!("{APP}.")));
    let [primary, one, two] = bench.dns.serials();
    assert_eq!((primary, two), (one, one - 1));
    bench.world.clock.advance(Duration::from_secs(13));
    assert_eq!(
        target(&ask(second, "siap.apilos.test", RecordType::CNAME).await),
        Some(format!("{NEW_APP}."))
    );
}

#[tokio::test]
async fn tcp_answers_on_the_same_port() {
    let bench = bench().await;
    let mut stream = TcpStream::connect(bench.dns.authoritative()[0]).await.unwrap();
    let query = packet("siap.apilos.test", RecordType::A, false);
    stream.write_u16(u16::try_from(query.len()).unwrap()).await.unwrap();
    stream.write_all(&query).await.unwrap();
    let mut reply = vec![0; usize::from(stream.read_u16().await.unwrap())];
    stream.read_exact(&mut reply).await.unwrap();
    assert_eq!(target(&Message::from_vec(&reply).unwrap()), Some(format!("{APP}.")));
}

#[tokio::test]
async fn a_long_answer_is_truncated_without_edns() {
    let bench = bench().await;
    let text = |n: u8| ZoneRecord {
        name: "txt".into(),
        kind: RecordKind::Txt,
        value: format!("{n}").repeat(200),
        priority: None,
        ttl: 60,
    };
    bench.dns.replace("txt", &(0..9).map(text).collect::<Vec<_>>()).unwrap();
    bench.world.clock.advance(Duration::from_mins(1));
    let addr = bench.dns.authoritative()[0];
    let reply = exchange(addr, &packet("txt.apilos.test", RecordType::TXT, false)).await;
    assert!(reply.metadata.truncation, "{} answers", reply.answers.len());
}

#[tokio::test]
async fn foreign_zones_updates_and_junk_are_refused_in_their_ways() {
    let bench = bench().await;
    let addr = bench.dns.authoritative()[0];
    let code = async |name, kind| ask(addr, name, kind).await.metadata.response_code;
    assert_eq!(code("example.org", RecordType::A).await, ResponseCode::Refused);
    assert_eq!(code("nowhere.apilos.test", RecordType::A).await, ResponseCode::NXDomain);
    assert_eq!(code("apilos.test", RecordType::AXFR).await, ResponseCode::Refused);
    let mut junk = packet("siap.apilos.test", RecordType::A, false);
    junk.truncate(20);
    assert_eq!(exchange(addr, &junk).await.metadata.response_code, ResponseCode::FormErr);
}

#[tokio::test]
async fn the_resolver_follows_both_zones_and_claims_no_authority() {
    let bench = bench().await;
    let reply = ask(bench.dns.resolver(), "siap.apilos.test", RecordType::A).await;
    assert!(reply.metadata.recursion_available && !reply.metadata.authoritative);
    let kinds: Vec<_> = reply.answers.iter().map(Record::record_type).collect();
    assert_eq!(kinds, [RecordType::CNAME, RecordType::A]);
}

#[tokio::test]
async fn the_resolver_keeps_the_old_answer_until_its_ttl_ends() {
    let bench = bench().await;
    let resolver = bench.dns.resolver();
    ask(resolver, "siap.apilos.test", RecordType::CNAME).await;
    bench.dns.upsert(&ZoneRecord::cname("siap", NEW_APP, 300)).unwrap();
    bench.world.clock.advance(Duration::from_secs(200));
    let old = ask(resolver, "siap.apilos.test", RecordType::CNAME).await;
    assert_eq!((target(&old), old.answers[0].ttl <= 100), (Some(format!("{APP}.")), true));
    bench.world.clock.advance(Duration::from_secs(101));
    let new = ask(resolver, "siap.apilos.test", RecordType::CNAME).await;
    assert_eq!(target(&new), Some(format!("{NEW_APP}.")));
}

#[tokio::test]
async fn the_resolver_remembers_that_there_was_nothing() {
    let bench = bench().await;
    let resolver = bench.dns.resolver();
    let code = async || ask(resolver, "new.apilos.test", RecordType::A).await.metadata.response_code;
    assert_eq!(code().await, ResponseCode::NXDomain);
    bench.dns.upsert(&ZoneRecord::cname("new", APP, 300)).unwrap();
    bench.world.clock.advance(Duration::from_secs(250));
    assert_eq!(code().await, ResponseCode::NXDomain);
    bench.world.clock.advance(Duration::from_secs(51));
    assert_eq!(code().await, ResponseCode::NoError);
}

#[tokio::test]
async fn a_refusing_server_is_passed_over_and_two_are_a_failure() {
    let bench = bench().await;
    let resolver = bench.dns.resolver();
    let reject = || Fault::Reject { reason: "no".into() };
    bench.fault("refuse", "dns1", None, reject());
    let reply = ask(bench.dns.authoritative()[0], "siap.apilos.test", RecordType::A).await;
    assert_eq!(reply.metadata.response_code, ResponseCode::Refused);
    assert_eq!(ask(resolver, "siap.apilos.test", RecordType::A).await.answers.len(), 2);
    bench.fault("lame", "dns2", None, reject());
    bench.dns.flush_resolver();
    let code = ask(resolver, "siap.apilos.test", RecordType::A).await.metadata.response_code;
    assert_eq!(code, ResponseCode::ServFail);
    assert!(
        !ask(bench.dns.authoritative()[1], "siap.apilos.test", RecordType::A).await.metadata.authoritative
    );
}

#[tokio::test]
async fn a_lost_zone_transfer_leaves_one_server_behind_until_the_next_change() {
    let bench = bench().await;
    let second = bench.dns.authoritative()[1];
    bench.fault("lag", "dns2", Some(1), Fault::Stall);
    bench.dns.upsert(&ZoneRecord::cname("siap", NEW_APP, 300)).unwrap();
    bench.world.clock.advance(Duration::from_hours(1));
    assert_eq!(target(&ask(second, "siap.apilos.test", RecordType::CNAME).await), Some(format!("{APP}.")));
    assert!(!bench.dns.points_to("siap.apilos.test", NEW_APP).await);
    bench.dns.upsert(&ZoneRecord::cname("other", NEW_APP, 300)).unwrap();
    bench.world.clock.advance(Duration::from_mins(1));
    assert!(bench.dns.points_to("siap.apilos.test", NEW_APP).await);
}

#[tokio::test]
async fn pointing_needs_the_alias_and_a_target_that_is_there() {
    let bench = bench().await;
    assert!(bench.dns.points_to("siap.apilos.test", APP).await);
    assert!(!bench.dns.points_to("siap.apilos.test", NEW_APP).await, "same address, another app");
    bench.dns.withdraw_default_domain(APP);
    assert!(!bench.dns.points_to("siap.apilos.test", APP).await);
}

#[tokio::test]
async fn a_stale_server_shows_the_version_before() {
    let bench = bench().await;
    bench.dns.upsert(&ZoneRecord::cname("siap", NEW_APP, 300)).unwrap();
    bench.world.clock.advance(Duration::from_mins(1));
    bench.fault("stale", "dns1", Some(1), Fault::Stall);
    let first = bench.dns.authoritative()[0];
    assert_eq!(target(&ask(first, "siap.apilos.test", RecordType::CNAME).await), Some(format!("{APP}.")));
    assert_eq!(target(&ask(first, "siap.apilos.test", RecordType::CNAME).await), Some(format!("{NEW_APP}.")));
}

#[tokio::test]
async fn one_server_lies_or_lags_and_the_other_tells_the_truth() {
    let bench = bench().await;
    let [first, second] = bench.dns.authoritative();
    bench.fault("query", "dns1", Some(1), Fault::Lie { answer: "192.0.2.1".into() });
    let lie = ask(first, "siap.apilos.test", RecordType::A).await;
    assert!(matches!(&lie.answers[..], [one] if one.data.to_string() == "192.0.2.1"), "{lie:?}");
    bench.fault("query", "dns1", Some(1), Fault::Lie { answer: "elsewhere.test".into() });
    assert_eq!(
        target(&ask(first, "siap.apilos.test", RecordType::CNAME).await),
        Some("elsewhere.test.".into())
    );
    bench.dns.upsert(&ZoneRecord::cname("siap", NEW_APP, 300)).unwrap();
    bench.world.clock.advance(Duration::from_mins(1));
    bench.fault("query", "dns1", Some(1), Fault::StaleRead);
    assert_eq!(target(&ask(first, "siap.apilos.test", RecordType::CNAME).await), Some(format!("{APP}.")));
    assert_eq!(
        target(&ask(second, "siap.apilos.test", RecordType::CNAME).await),
        Some(format!("{NEW_APP}."))
    );
    bench.fault("query", "dns2", Some(1), Fault::Reject { reason: "SERVFAIL".into() });
    let code = ask(second, "siap.apilos.test", RecordType::A).await.metadata.response_code;
    assert_eq!(code, ResponseCode::ServFail);
}

#[tokio::test]
async fn a_truncated_answer_says_so_and_is_whole_over_tcp() {
    let bench = bench().await;
    let first = bench.dns.authoritative()[0];
    bench.fault("query", "dns1", None, Fault::Truncate { bytes: 0 });
    let reply = ask(first, "siap.apilos.test", RecordType::CNAME).await;
    assert!(reply.metadata.truncation && reply.answers.is_empty(), "{reply:?}");
    let reply = ask_over_tcp(first, "siap.apilos.test", RecordType::CNAME).await;
    assert!(!reply.metadata.truncation, "{reply:?}");
    assert_eq!(target(&reply), Some(format!("{APP}.")));
}

#[tokio::test]
async fn an_apex_alias_without_addresses_of_a_kind_says_for_how_long() {
    let bench = bench().await;
    let alias = ZoneRecord {
        name: String::new(),
        kind: RecordKind::Alias,
        value: APP.into(),
        priority: None,
        ttl: 300,
    };
    bench.dns.upsert(&alias).unwrap();
    bench.world.clock.advance(Duration::from_mins(1));
    let first = bench.dns.authoritative()[0];
    let of = async |kind| {
        let reply = ask(first, "apilos.test", kind).await;
        let soa = reply.authorities.iter().filter(|one| one.record_type() == RecordType::SOA).count();
        (reply.metadata.response_code, reply.answers.len(), soa)
    };
    assert_eq!(of(RecordType::A).await, (ResponseCode::NoError, 1, 0));
    assert_eq!(of(RecordType::AAAA).await, (ResponseCode::NoError, 0, 1));
}

#[tokio::test]
async fn the_do_bit_comes_back_as_it_was_sent() {
    let bench = bench().await;
    for wanted in [true, false] {
        let mut message = Message::from_vec(&packet("siap.apilos.test", RecordType::CNAME, true)).unwrap();
        message.edns.as_mut().unwrap().set_dnssec_ok(wanted);
        let reply = exchange(bench.dns.authoritative()[0], &message.to_vec().unwrap()).await;
        assert_eq!(reply.edns.unwrap().flags().dnssec_ok, wanted);
    }
}

#[tokio::test]
async fn each_name_server_has_an_address_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path(), 1.0, 1).unwrap();
    let servers = [78, 79, 80].map(|net| Ipv4Addr::new(127, net, 0, 1));
    let dns =
        Dns::start(&world, "apilos.test", Places { ingress: Ipv4Addr::LOCALHOST, servers }).await.unwrap();
    let names = [NAME_SERVERS[0], NAME_SERVERS[1], PLATFORM_SERVER];
    for ((name, place), (_, at)) in names.into_iter().zip(servers).zip(dns.name_servers()) {
        let reply = ask(dns.resolver(), name, RecordType::A).await;
        let found: Vec<String> = reply.answers.iter().map(|one| one.data.to_string()).collect();
        assert_eq!(found, [place.to_string()], "{name}");
        // What is to be served there is no resolver: it has the last word, and says so.
        let zone = if name == PLATFORM_SERVER { VENDOR_ZONE } else { "apilos.test" };
        let reply = ask(at, zone, RecordType::SOA).await;
        assert!(reply.metadata.authoritative && !reply.metadata.recursion_available, "{name}");
    }
}

#[tokio::test]
async fn dig_is_content() {
    if !std::path::Path::new("/usr/bin/dig").exists() {
        return;
    }
    let bench = bench().await;
    let dig = async |addr: SocketAddr, words: &[&str]| {
        let mut command = tokio::process::Command::new("/usr/bin/dig");
        command.arg("@127.0.0.1").arg("-p").arg(addr.port().to_string()).args(words);
        String::from_utf8(command.output().await.unwrap().stdout).unwrap()
    };
    let first = bench.dns.authoritative()[0];
    for words in
        [&["siap.apilos.test", "CNAME"][..], &["+tcp", "+norec", "apilos.test", "SOA"], &["nope.apilos.test"]]
    {
        let said = dig(first, words).await;
        assert!(said.contains("flags: qr aa"), "{said}");
        assert!(!said.contains("mismatch") && !said.contains("malformed"), "{said}");
    }
    let said = dig(bench.dns.resolver(), &["+short", "siap.apilos.test"]).await;
    assert_eq!(said, format!("{APP}.\n127.0.0.1\n"));
}
