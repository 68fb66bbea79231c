//! What the code host, the DNS provider and the object stores say.

use reprise_crds::plan::AppSpec;

use super::Preflight;
use super::finding::{Seen, bad, failed, good, unusable, warning};
use crate::archive::ArchiveError;
use crate::providers::alwaysdata::Record;
use crate::providers::s3::S3;
use crate::recovery::steps::cname::{obstacle, remembered};

/// Where the plan's status says for how many seconds resolvers may remember its names, as they are now.
pub const NAMES_TTL: &str = "namesTtlSeconds";
/// A record that resolvers may remember for longer than this makes every recovery wait for it.
const LONG: u32 = 3_600;

impl Preflight<'_> {
    pub(super) async fn code(&self) -> Seen {
        self.fetched().await.unwrap_or_else(|seen| seen)
    }

    async fn fetched(&self) -> Result<Seen, Seen> {
        let mut told = Vec::new();
        for app in &self.spec.apps {
            let commit = self.tools.revision(app).await.map_err(|error| unusable(&error))?;
            told.push(format!("{} is {}", app.name, &commit.as_str()[..12]));
        }
        Ok(good(told.join(", ")))
    }

    pub(super) async fn dns(&self) -> Seen {
        self.names().await.unwrap_or_else(|seen| seen)
    }

    async fn names(&self) -> Result<Seen, Seen> {
        let provider = self.tools.alwaysdata().map_err(|error| unusable(&error))?;
        let zone = self.spec.dns.zone.as_str();
        let domain = provider.domain(zone).await.map_err(|error| failed(&error))?;
        let Some(domain) = domain else {
            return Ok(bad(format!("the DNS provider has no zone {zone} in this account")));
        };
        let (mut slow, mut ttl, dns) = (Vec::new(), None, &self.spec.dns);
        let names: Vec<(&AppSpec, &String)> =
            self.spec.apps.iter().flat_map(|app| app.domains.iter().map(move |name| (app, name))).collect();
        for (app, name) in names.iter().copied() {
            let label = name.strip_suffix(zone).unwrap_or_default().trim_end_matches('.');
            let records = provider.records(domain.id, label).await.map_err(|error| failed(&error))?;
            if let Some(error) = obstacle(name, app, &self.spec.target.region, dns.existing, &records) {
                return Err(unusable(&error));
            }
            slow.extend(judge(name, &records));
            ttl = ttl.max(Some(remembered(&records)));
        }
        // What a recovery is predicted to take depends on it.
        let kept = self.tools.store.record_plan_status(self.plan, NAMES_TTL, &ttl.into()).await;
        kept.map_err(|error| failed(&error))?;
        if let Some(forbidden) = self.certificates_forbidden(names.iter().map(|(_, name)| *name)).await {
            return Ok(forbidden);
        }
        Ok(if slow.is_empty() {
            good(format!("{} names can be switched", names.len()))
        } else {
            warning(slow.join("; "))
        })
    }

    pub(super) async fn archive(&self) -> Seen {
        self.newest_run().await.unwrap_or_else(|seen| seen)
    }

    /// Both buckets are there, no run is missed, and the record of the newest can be read.
    async fn newest_run(&self) -> Result<Seen, Seen> {
        let never = tokio_util::sync::CancellationToken::new();
        let archiver = self.tools.archiver(self.plan, self.spec, &never).map_err(|error| unusable(&error))?;
        let make = format!("; `reprise archive init {}` makes it", self.plan);
        is_there(&archiver.vault.s3, &archiver.vault.bucket, "the archive's bucket", &make).await?;
        is_there(&archiver.source.s3, &archiver.source.bucket, "the production bucket", "").await?;
        let gone = archiver.vanished().await.map_err(|error| failed(&error))?;
        if let Some(one) = gone.first() {
            return Ok(bad(one.sentence()));
        }
        let runs = archiver.vault.runs().await.map_err(|error| failed(&error))?;
        let Some(newest) = runs.last() else {
            return Ok(warning(format!(
                "the archive has no run; `reprise archive run {}` takes one",
                self.plan
            )));
        };
        let (record, _) = archiver.record_of(newest).await.map_err(|error| unreadable(&error))?;
        Ok(good(format!("the newest run {newest} has {} objects", record.manifest.objects)))
    }
}

async fn is_there(store: &S3, bucket: &str, what: &str, advice: &str) -> Result<(), Seen> {
    match store.bucket_exists(bucket).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(bad(format!("{what}, {bucket}, does not exist{advice}"))),
        Err(error) => Err(failed(&error)),
    }
}

/// A damaged record stays so.
fn unreadable(error: &ArchiveError) -> Seen {
    match error {
        ArchiveError::Damaged { .. } => bad(error.to_string()),
        error => failed(error),
    }
}

/// What is slow about the records at a name.
fn judge(name: &str, records: &[Record]) -> Option<String> {
    let aliases = records.iter().filter(|record| record.kind == "CNAME");
    let ttl = aliases.filter_map(|record| record.ttl).max().unwrap_or_default();
    (ttl > LONG).then(|| format!("resolvers remember {name} for {ttl} s, and a recovery waits for them"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: &str, ttl: u32) -> Record {
        let document = serde_json::json!({ "id": 1, "domain": 7, "type": kind, "name": "www", "value": "x", "ttl": ttl });
        serde_json::from_value(document).unwrap()
    }

    #[test]
    fn a_long_memory_is_slow() {
        assert_eq!(judge("a", &[]), None);
        assert_eq!(judge("a", &[record("CNAME", 300)]), None);
        assert!(judge("a", &[record("CNAME", 86_400)]).unwrap().contains("86400 s"));
        assert_eq!(judge("a", &[record("SOA", 86_400)]), None, "nobody waits for that");
    }
}
