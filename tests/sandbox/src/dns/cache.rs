//! What a resolver remembers, and until when. Pure: the caller says what time it is (world time).

use std::collections::HashMap;
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Name, Record, RecordType};

/// Longest life of a positive answer, as common resolvers cap it.
const MAX_POSITIVE: u32 = 86_400;
/// Longest life of a negative answer (BIND's default).
const MAX_NEGATIVE: u32 = 10_800;
/// Entries before the expired ones are swept.
const SWEEP_AT: usize = 4_096;

/// One thing known of a name and a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// These records; their TTL is what is left of their life.
    Records(Vec<Record>),
    /// Nothing, by this code (NXDOMAIN or NOERROR), with the SOA that says so.
    Nothing(ResponseCode, Vec<Record>),
}

#[derive(Debug)]
struct Entry {
    stored: Duration,
    expires: Duration,
    known: Known,
}

/// The cache of one resolver.
#[derive(Debug, Default)]
pub struct Cache(HashMap<(Name, RecordType), Entry>);

impl Cache {
    /// What is known now. With `stale`, what was known once is good enough, with 30 seconds of life (RFC 8767).
    pub fn get(&self, name: &Name, kind: RecordType, now: Duration, stale: bool) -> Option<Known> {
        let entry = self.0.get(&(name.to_lowercase(), kind))?;
        if entry.expires > now {
            let age = u32::try_from(now.saturating_sub(entry.stored).as_secs()).unwrap_or(u32::MAX);
            return Some(entry.known.clone().with_ttl(|ttl| ttl.saturating_sub(age).max(1)));
        }
        stale.then(|| entry.known.clone().with_ttl(|_| 30))
    }

    /// Remembers records of one name and type for the shortest of their TTLs.
    pub fn put(&mut self, name: &Name, kind: RecordType, records: Vec<Record>, now: Duration) {
        let life = records.iter().map(|record| record.ttl).min().unwrap_or(0).min(MAX_POSITIVE);
        self.insert(name, kind, Known::Records(records), now, life);
    }

    /// Remembers that there is nothing, for as long as the SOA in the authority section lives.
    pub fn put_nothing(
        &mut self,
        name: &Name,
        kind: RecordType,
        code: ResponseCode,
        soa: Vec<Record>,
        now: Duration,
    ) {
        let life = soa.iter().map(|record| record.ttl).min().unwrap_or(0).min(MAX_NEGATIVE);
        self.insert(name, kind, Known::Nothing(code, soa), now, life);
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    fn insert(&mut self, name: &Name, kind: RecordType, known: Known, now: Duration, life: u32) {
        if self.0.len() >= SWEEP_AT {
            self.0.retain(|_, entry| entry.expires > now);
        }
        let expires = now + Duration::from_secs(u64::from(life));
        self.0.insert((name.to_lowercase(), kind), Entry { stored: now, expires, known });
    }
}

impl Known {
    fn with_ttl(mut self, change: impl Fn(u32) -> u32) -> Self {
        let (Self::Records(records) | Self::Nothing(_, records)) = &mut self;
        for record in records.iter_mut() {
            record.ttl = change(record.ttl);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::record::{ZoneRecord, host};

    fn filled() -> (Cache, Name) {
        let (mut cache, name) = (Cache::default(), host("siap.apilos.test").unwrap());
        let record = ZoneRecord::cname("siap", "old.example.net", 300);
        let record = record.to_record(&host("apilos.test").unwrap()).unwrap();
        cache.put(&name, RecordType::CNAME, vec![record], Duration::from_secs(100));
        (cache, name)
    }

    #[test]
    fn what_is_left_of_a_life_shrinks_and_ends() {
        let (cache, name) = filled();
        let at = |second| cache.get(&name, RecordType::CNAME, Duration::from_secs(second), false);
        let Some(Known::Records(records)) = at(200) else { panic!("not cached") };
        assert_eq!(records[0].ttl, 200);
        assert_eq!(at(400), None);
    }

    #[test]
    fn an_expired_answer_is_given_only_where_stale_is_allowed() {
        let (cache, name) = filled();
        assert!(cache.get(&name, RecordType::CNAME, Duration::from_mins(150), true).is_some());
        assert!(cache.get(&name, RecordType::CNAME, Duration::from_mins(150), false).is_none());
    }

    #[test]
    fn case_makes_no_difference() {
        let (cache, _) = filled();
        let name = host("SIAP.Apilos.TEST").unwrap();
        assert!(cache.get(&name, RecordType::CNAME, Duration::from_secs(100), false).is_some());
    }
}
