//! The platform's own zone: default domains of apps, and the CAA records that somebody rehearses with. It has one server, which
//! serves a change at once.

use std::sync::Arc;

use hickory_proto::rr::{Name, Record, RecordType};

use super::zone::Zone;
use super::{Dns, RecordError, RecordKind, ZoneRecord, address, locked, record};

/// TTL of what is put here.
const TTL: u32 = 60;

impl Dns {
    /// Gives `host` (an app's default domain) the ingress's address, at once.
    pub fn publish_default_domain(&self, host: &str) {
        let address = address(self.ingress);
        self.change_default_domain(host, |zone, name| zone.upsert(Record::from_rdata(name, TTL, address)));
    }

    /// Takes the address of `host` away, and all else that is there.
    pub fn withdraw_default_domain(&self, host: &str) {
        self.change_default_domain(host, |zone, name| zone.remove(&name, None));
    }

    /// Lets exactly these CAA records (`0 issue "letsencrypt.org"`) stand at `host`, a name of the platform's zone. None of them
    /// at all if one cannot.
    pub fn set_vendor_caa(&self, host: &str, values: &[String]) -> Result<(), RecordError> {
        let name = record::host(host)?;
        let mut zone = locked(&self.vendor_zone);
        if !zone.apex().zone_of(&name) {
            return Err(RecordError::Foreign { name: host.to_owned(), zone: zone.apex().to_string() });
        }
        let fresh = values.iter().map(|value| caa(value).to_record(&name)).collect::<Result<Vec<_>, _>>()?;
        let others = zone.records().filter(|one| one.name == name && one.record_type() != RecordType::CAA);
        let records = others.cloned().chain(fresh).collect();
        zone.replace(&name, records);
        self.vendor.announce(&Arc::new(zone.clone()));
        Ok(())
    }

    /// The CAA records of the platform's zone, name by name.
    pub fn vendor_caa(&self) -> Vec<(String, String)> {
        let zone = locked(&self.vendor_zone);
        let found = zone.records().filter(|one| one.record_type() == RecordType::CAA);
        found.map(|one| (one.name.to_string(), one.data.to_string())).collect()
    }

    fn change_default_domain(&self, host: &str, change: impl FnOnce(&mut Zone, Name)) {
        let Ok(name) = record::host(host) else {
            tracing::warn!(host, "not a host name");
            return;
        };
        let mut zone = locked(&self.vendor_zone);
        change(&mut zone, name);
        self.vendor.announce(&Arc::new(zone.clone()));
    }
}

/// A record at the name that it is put to.
fn caa(value: &str) -> ZoneRecord {
    ZoneRecord {
        name: String::new(),
        kind: RecordKind::Caa,
        value: value.to_owned(),
        priority: None,
        ttl: TTL,
    }
}
