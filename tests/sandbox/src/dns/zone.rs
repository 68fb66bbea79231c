//! One version of one zone, and how an authoritative server answers from it (RFC 1034 4.3.2, 2308, 4592). Pure.

use std::collections::BTreeMap;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::{NS, SOA};
use hickory_proto::rr::{Name, RData, Record, RecordType};

/// Aliases that are followed inside one zone before giving up.
const MAX_CHAIN: usize = 8;

/// Seconds of the SOA record: its own TTL and its MINIMUM field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SoaTimes {
    /// TTL of the SOA record.
    pub ttl: u32,
    /// MINIMUM field, the other bound of a negative answer's life.
    pub minimum: u32,
}

/// One version of a zone.
#[derive(Debug, Clone)]
pub struct Zone {
    apex: Name,
    times: SoaTimes,
    servers: Vec<Name>,
    serial: u32,
    nodes: BTreeMap<Name, BTreeMap<RecordType, Vec<Record>>>,
}

/// What a server says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// NOERROR, NXDOMAIN, …
    pub code: ResponseCode,
    /// The AA bit.
    pub authoritative: bool,
    /// Answer section, the chain of aliases in order.
    pub answers: Vec<Record>,
    /// Authority section.
    pub authority: Vec<Record>,
    /// An `ALIAS` that the server has yet to replace by the addresses of its target.
    pub flatten: Option<Flatten>,
    /// Over UDP nothing but the header arrives, with the TC bit.
    pub truncated: bool,
}

/// See [`Reply::flatten`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flatten {
    /// Whose addresses they will be.
    pub owner: Name,
    /// Where they come from.
    pub target: Name,
    /// The life they will have, in seconds.
    pub ttl: u32,
    /// What goes with the answer that there are none.
    pub soa: Record,
}

impl Reply {
    /// A bare response code.
    pub fn code(code: ResponseCode) -> Self {
        Self {
            code,
            authoritative: false,
            answers: Vec::new(),
            authority: Vec::new(),
            flatten: None,
            truncated: false,
        }
    }
}

impl Zone {
    /// An empty zone at `apex`, served by `servers` (the first is the primary).
    pub fn new(apex: Name, servers: Vec<Name>, times: SoaTimes) -> Self {
        Self { apex, times, servers, serial: 1, nodes: BTreeMap::new() }
    }

    /// The zone's name.
    pub fn apex(&self) -> &Name {
        &self.apex
    }

    /// The version; a plain counter.
    pub fn serial(&self) -> u32 {
        self.serial
    }

    /// Everything that was put, name by name.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.nodes.values().flat_map(BTreeMap::values).flatten()
    }

    /// Puts `record` in place of all of its name and type.
    pub fn upsert(&mut self, record: Record) {
        let node = self.nodes.entry(record.name.clone()).or_default();
        node.insert(record.record_type(), vec![record]);
        self.serial = self.serial.wrapping_add(1);
    }

    /// Removes the records of `name`, all or those of one type.
    pub fn remove(&mut self, name: &Name, kind: Option<RecordType>) {
        let Some(node) = self.nodes.get_mut(name) else { return };
        match kind {
            Some(kind) if node.remove(&kind).is_none() => return,
            Some(_) => {}
            None => node.clear(),
        }
        if node.is_empty() {
            self.nodes.remove(name);
        }
        self.serial = self.serial.wrapping_add(1);
    }

    /// Puts exactly `records` at `name`: one change, without a gap. Nothing happens if that is what is there.
    pub fn replace(&mut self, name: &Name, records: Vec<Record>) {
        let mut node: BTreeMap<RecordType, Vec<Record>> = BTreeMap::new();
        for record in records {
            let set = node.entry(record.record_type()).or_default();
            if !set.iter().any(|known| known.data == record.data) {
                set.push(record);
            }
        }
        if self.nodes.get(name) == Some(&node) || (node.is_empty() && !self.nodes.contains_key(name)) {
            return;
        }
        if node.is_empty() {
            self.nodes.remove(name);
        } else {
            self.nodes.insert(name.clone(), node);
        }
        self.serial = self.serial.wrapping_add(1);
    }

    /// The answer to a question, aliases followed as far as this zone goes.
    pub fn answer(&self, name: &Name, kind: RecordType) -> Reply {
        if !self.apex.zone_of(name) {
            return Reply::code(ResponseCode::Refused);
        }
        let mut reply = Reply { authoritative: true, ..Reply::code(ResponseCode::NoError) };
        let mut at = name.clone();
        for _ in 0..MAX_CHAIN {
            match self.step(&at, kind, &mut reply) {
                Some(next)
                    if self.apex.zone_of(&next) && !reply.answers.iter().any(|seen| seen.name == next) =>
                {
                    at = next;
                }
                _ => break,
            }
        }
        reply
    }

    /// One name of the chain; the next name if it is an alias.
    fn step(&self, at: &Name, kind: RecordType, reply: &mut Reply) -> Option<Name> {
        if let Some(delegation) = self.delegation(at, kind) {
            reply.authoritative = !reply.answers.is_empty();
            reply.authority = delegation;
            return None;
        }
        let Some(node) = self.node(at) else {
            reply.code =
                if self.is_empty_non_terminal(at) { ResponseCode::NoError } else { ResponseCode::NXDomain };
            reply.authority.push(self.negative_soa());
            return None;
        };
        if let Some([alias]) = node.get(&RecordType::CNAME).map(Vec::as_slice)
            && kind != RecordType::CNAME
            && kind != RecordType::ANY
        {
            reply.answers.push(named(alias, at));
            return match &alias.data {
                RData::CNAME(target) => Some(target.0.clone()),
                _ => None,
            };
        }
        self.collect(&node, at, kind, reply);
        let led_here = |record: &Record| {
            record.record_type() == RecordType::CNAME && !matches!(kind, RecordType::CNAME | RecordType::ANY)
        };
        if reply.answers.iter().all(led_here) && reply.flatten.is_none() {
            reply.authority.push(self.negative_soa());
        }
        None
    }

    fn collect(
        &self,
        node: &BTreeMap<RecordType, Vec<Record>>,
        at: &Name,
        kind: RecordType,
        reply: &mut Reply,
    ) {
        let wanted =
            |held: RecordType| held != RecordType::ANAME && (held == kind || kind == RecordType::ANY);
        let found = node.iter().filter(|(held, _)| wanted(**held)).flat_map(|(_, set)| set);
        reply.answers.extend(found.map(|record| named(record, at)));
        if matches!(kind, RecordType::A | RecordType::AAAA)
            && !node.contains_key(&kind)
            && let Some(Record { ttl, data: RData::ANAME(target), .. }) =
                node.get(&RecordType::ANAME).and_then(|set| set.first())
        {
            reply.flatten = Some(Flatten {
                owner: at.clone(),
                target: target.0.clone(),
                ttl: *ttl,
                soa: self.negative_soa(),
            });
        }
    }

    /// The sets at `at`: its own, the apex's with SOA and NS added, or those of a wildcard that covers it.
    fn node(&self, at: &Name) -> Option<BTreeMap<RecordType, Vec<Record>>> {
        if *at == self.apex {
            let mut node = self.nodes.get(at).cloned().unwrap_or_default();
            node.insert(RecordType::SOA, vec![self.soa()]);
            node.entry(RecordType::NS).or_insert_with(|| self.name_servers());
            return Some(node);
        }
        self.nodes.get(at).cloned().or_else(|| self.wildcard(at).cloned())
    }

    /// RFC 4592: a wildcard answers only directly below the closest name that exists.
    fn wildcard(&self, at: &Name) -> Option<&BTreeMap<RecordType, Vec<Record>>> {
        if self.is_empty_non_terminal(at) {
            return None;
        }
        let mut encloser = at.base_name();
        while encloser != self.apex
            && !self.nodes.contains_key(&encloser)
            && !self.is_empty_non_terminal(&encloser)
        {
            encloser = encloser.base_name();
        }
        self.nodes.get(&encloser.prepend_label("*").ok()?)
    }

    fn is_empty_non_terminal(&self, at: &Name) -> bool {
        !self.nodes.contains_key(at) && self.nodes.keys().any(|name| name != at && at.zone_of(name))
    }

    /// The NS set of a zone cut at or above `at`, below the apex.
    fn delegation(&self, at: &Name, kind: RecordType) -> Option<Vec<Record>> {
        let mut cut = at.clone();
        while cut != self.apex && !cut.is_root() {
            let here = self.nodes.get(&cut).and_then(|node| node.get(&RecordType::NS));
            if let Some(servers) = here
                && !(cut == *at && kind == RecordType::DS)
            {
                return Some(servers.clone());
            }
            cut = cut.base_name();
        }
        None
    }

    /// The SOA record.
    pub fn soa(&self) -> Record {
        let primary = self.servers.first().cloned().unwrap_or_else(|| self.apex.clone());
        let mailbox = Name::from_ascii("hostmaster").and_then(|name| name.append_domain(&self.apex));
        let mailbox = mailbox.unwrap_or_else(|_| self.apex.clone());
        let soa = SOA::new(primary, mailbox, self.serial, 14_400, 3_600, 1_209_600, self.times.minimum);
        Record::from_rdata(self.apex.clone(), self.times.ttl, RData::SOA(soa))
    }

    /// The SOA as a negative answer carries it: its TTL is the shorter of the two (RFC 2308, section 3).
    fn negative_soa(&self) -> Record {
        let mut soa = self.soa();
        soa.ttl = self.times.ttl.min(self.times.minimum);
        soa
    }

    fn name_servers(&self) -> Vec<Record> {
        let record = |name: &Name| Record::from_rdata(self.apex.clone(), 3_600, RData::NS(NS(name.clone())));
        self.servers.iter().map(record).collect()
    }
}

/// The record under the name that was asked (a wildcard's answers, and the asker's spelling).
fn named(record: &Record, at: &Name) -> Record {
    let mut record = record.clone();
    record.name = at.clone();
    record
}

#[cfg(test)]
mod tests;
