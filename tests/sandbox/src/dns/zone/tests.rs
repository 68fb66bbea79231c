use super::*;
use crate::dns::record::{RecordKind, ZoneRecord, host};

fn zone(records: &[(&str, RecordKind, &str)]) -> Zone {
    let servers = vec![host("dns1.alwaysdata.test").unwrap(), host("dns2.alwaysdata.test").unwrap()];
    let mut zone = Zone::new(host("apilos.test").unwrap(), servers, SoaTimes { ttl: 3_600, minimum: 300 });
    for (name, kind, value) in records {
        let record =
            ZoneRecord { name: (*name).into(), kind: *kind, value: (*value).into(), priority: None, ttl: 60 };
        zone.upsert(record.to_record(zone.apex()).unwrap());
    }
    zone
}

fn ask(zone: &Zone, name: &str, kind: RecordType) -> Reply {
    zone.answer(&host(name).unwrap(), kind)
}

#[test]
fn an_absent_name_is_nxdomain_with_the_shorter_negative_ttl() {
    let reply = ask(&zone(&[]), "nowhere.apilos.test", RecordType::A);
    assert_eq!((reply.code, reply.authoritative, reply.answers.len()), (ResponseCode::NXDomain, true, 0));
    assert_eq!((reply.authority[0].record_type(), reply.authority[0].ttl), (RecordType::SOA, 300));
}

#[test]
fn a_name_with_other_types_has_no_data() {
    let zone = zone(&[("www", RecordKind::A, "192.0.2.1")]);
    let reply = ask(&zone, "www.apilos.test", RecordType::CNAME);
    assert_eq!((reply.code, reply.answers.len(), reply.authority.len()), (ResponseCode::NoError, 0, 1));
}

#[test]
fn a_name_that_only_has_children_is_no_nxdomain() {
    let zone = zone(&[("a.deep", RecordKind::A, "192.0.2.1")]);
    assert_eq!(ask(&zone, "deep.apilos.test", RecordType::A).code, ResponseCode::NoError);
}

#[test]
fn an_alias_out_of_the_zone_is_answered_and_not_chased() {
    let zone = zone(&[("siap", RecordKind::Cname, "app.osc-fr1.scalingo.test")]);
    let reply = ask(&zone, "siap.apilos.test", RecordType::A);
    assert_eq!((reply.code, reply.answers.len(), reply.authority.len()), (ResponseCode::NoError, 1, 0));
    assert_eq!(reply.answers[0].record_type(), RecordType::CNAME);
}

#[test]
fn an_alias_inside_the_zone_is_followed() {
    let zone = zone(&[("www", RecordKind::Cname, "siap.apilos.test"), ("siap", RecordKind::A, "192.0.2.1")]);
    let kinds: Vec<_> =
        ask(&zone, "www.apilos.test", RecordType::A).answers.iter().map(Record::record_type).collect();
    assert_eq!(kinds, [RecordType::CNAME, RecordType::A]);
}

#[test]
fn an_alias_to_nowhere_in_the_zone_is_nxdomain_with_the_alias() {
    let zone = zone(&[("www", RecordKind::Cname, "gone.apilos.test")]);
    let reply = ask(&zone, "www.apilos.test", RecordType::A);
    assert_eq!((reply.code, reply.answers.len(), reply.authority.len()), (ResponseCode::NXDomain, 1, 1));
}

#[test]
fn a_loop_of_aliases_ends() {
    let zone = zone(&[("a", RecordKind::Cname, "b.apilos.test"), ("b", RecordKind::Cname, "a.apilos.test")]);
    assert_eq!(ask(&zone, "a.apilos.test", RecordType::A).answers.len(), 2);
}

#[test]
fn another_zone_is_refused() {
    let reply = ask(&zone(&[]), "example.org", RecordType::A);
    assert_eq!((reply.code, reply.authoritative), (ResponseCode::Refused, false));
}

#[test]
fn the_apex_has_soa_and_name_servers() {
    let zone = zone(&[]);
    assert_eq!(ask(&zone, "apilos.test", RecordType::NS).answers.len(), 2);
    assert_eq!(ask(&zone, "apilos.test", RecordType::SOA).answers.len(), 1);
    assert_eq!(ask(&zone, "apilos.test", RecordType::A).authority.len(), 1);
}

#[test]
fn a_wildcard_covers_absent_names_only() {
    let zone = zone(&[
        ("*", RecordKind::A, "192.0.2.9"),
        ("www", RecordKind::Txt, "here"),
        ("x.deep", RecordKind::Txt, "here"),
    ]);
    let covered = ask(&zone, "other.apilos.test", RecordType::A);
    assert_eq!(covered.answers[0].name, host("other.apilos.test").unwrap());
    assert!(ask(&zone, "www.apilos.test", RecordType::A).answers.is_empty());
    assert!(ask(&zone, "deep.apilos.test", RecordType::A).answers.is_empty());
    assert_eq!(ask(&zone, "y.deep.apilos.test", RecordType::A).code, ResponseCode::NXDomain);
}

#[test]
fn a_zone_cut_is_a_referral_without_authority() {
    let zone = zone(&[("child", RecordKind::Ns, "ns.example.net")]);
    let reply = ask(&zone, "www.child.apilos.test", RecordType::A);
    assert_eq!((reply.authoritative, reply.authority[0].record_type()), (false, RecordType::NS));
}

#[test]
fn each_change_counts_once_and_no_change_counts_not() {
    let mut zone = zone(&[("www", RecordKind::A, "192.0.2.1")]);
    let (name, before) = (host("www.apilos.test").unwrap(), zone.serial());
    let record = ZoneRecord::cname("www", "app.example.net", 60).to_record(zone.apex()).unwrap();
    zone.replace(&name, vec![record.clone()]);
    zone.replace(&name, vec![record]);
    assert_eq!(zone.serial(), before + 1);
    zone.remove(&name, Some(RecordType::A));
    assert_eq!(zone.serial(), before + 1);
    zone.remove(&name, Some(RecordType::CNAME));
    assert_eq!(
        (zone.serial(), ask(&zone, "www.apilos.test", RecordType::A).code),
        (before + 2, ResponseCode::NXDomain)
    );
}

#[test]
fn a_pseudo_alias_asks_to_be_flattened() {
    let zone = zone(&[("", RecordKind::Alias, "app.osc-fr1.scalingo.test")]);
    let reply = ask(&zone, "apilos.test", RecordType::A);
    assert_eq!(reply.flatten.unwrap().target, host("app.osc-fr1.scalingo.test").unwrap());
    assert!(
        ask(&zone, "apilos.test", RecordType::ANY)
            .answers
            .iter()
            .all(|r| r.record_type() != RecordType::ANAME)
    );
}

#[test]
fn every_type_at_an_alias_is_the_alias_and_no_refusal_beside_it() {
    let zone = zone(&[("siap", RecordKind::Cname, "app.osc-fr1.scalingo.test")]);
    let reply = ask(&zone, "siap.apilos.test", RecordType::ANY);
    assert_eq!((reply.answers.len(), reply.authority.len()), (1, 0));
}
