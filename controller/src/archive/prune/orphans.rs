//! Manifests that belong to no run: it was cut off before its record was written, or lost its turn, or its record was deleted.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use futures::TryStreamExt as _;

use crate::archive::Archiver;
use crate::archive::error::{ArchiveError, Result};
use crate::archive::format::{Record, record_key};
use crate::providers::s3::{ObjectSummary, Version, VersionToken};

impl Archiver {
    /// The runs of which the archive has a manifest and no record, for longer than the grace period. `records` are all that there are.
    pub(super) async fn orphans(
        &self,
        records: &[Record],
        grace_ended: DateTime<Utc>,
    ) -> Result<Vec<String>> {
        let (vault, inside) = (&self.vault, ArchiveError::inside("listing the manifests"));
        let start = format!("{}manifests/", vault.prefix);
        let named: BTreeSet<_> =
            records.iter().map(|record| format!("{}{}", vault.prefix, record.manifest.key)).collect();
        let listed: Vec<_> = vault.s3.list(&vault.bucket, &start).try_collect().await.map_err(inside)?;
        let mut orphans = Vec::new();
        for run in listed.iter().filter_map(|object| candidate(object, &start, &named, grace_ended)) {
            if self.has_no_record(run, grace_ended).await? {
                orphans.push(run.to_owned());
            }
        }
        Ok(orphans)
    }

    /// Whether there is no record of the run, and none was deleted within the grace period: until then it can be brought back.
    async fn has_no_record(&self, run: &str, grace_ended: DateTime<Utc>) -> Result<bool> {
        let (vault, inside) = (&self.vault, ArchiveError::inside("looking for a manifest's record"));
        let key = record_key(&vault.prefix, run);
        // A list may be late.
        if vault.s3.head(&vault.bucket, &key).await.map_err(&inside)?.is_some() {
            return Ok(false);
        }
        let mut token = Some(VersionToken::default());
        while let Some(at) = token {
            let (versions, next) = match vault.s3.versions_page(&vault.bucket, &key, at).await {
                Err(error) if error.is_unsupported() => (Vec::new(), None),
                page => page.map_err(&inside)?,
            };
            if versions.iter().any(|one| one.key == key && !is_old(one, grace_ended)) {
                return Ok(false);
            }
            token = next;
        }
        Ok(true)
    }
}

fn is_old(version: &Version, grace_ended: DateTime<Utc>) -> bool {
    version.modified.is_some_and(|at| at <= grace_ended)
}

/// The run whose manifest this is, if no record names it and it is older than the grace period. Pure.
fn candidate<'a>(
    object: &'a ObjectSummary,
    start: &str,
    named: &BTreeSet<String>,
    grace_ended: DateTime<Utc>,
) -> Option<&'a str> {
    let run = object.key.strip_prefix(start)?.strip_suffix(".jsonl.zst")?;
    let old = object.modified.is_some_and(|at| at <= grace_ended);
    (old && !named.contains(&object.key)).then_some(run)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_that_a_record_names_is_young_or_is_something_else_is_no_orphan() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let named = BTreeSet::from(["p/manifests/named.jsonl.zst".to_owned()]);
        let is = |key: &str, modified| {
            let object = ObjectSummary {
                key: key.into(),
                size: 1,
                etag: String::new(),
                modified,
                storage_class: None,
            };
            candidate(&object, "p/manifests/", &named, at("2026-11-20T00:00:00Z")).map(str::to_owned)
        };
        let old = Some(at("2026-11-19T23:59:59Z"));
        assert_eq!(is("p/manifests/cut.jsonl.zst", old).as_deref(), Some("cut"));
        assert_eq!(is("p/manifests/named.jsonl.zst", old), None);
        assert_eq!(is("p/manifests/cut.jsonl.zst", Some(at("2026-11-20T00:00:01Z"))), None);
        // Where the store tells no date, it may be young.
        assert_eq!(is("p/manifests/cut.jsonl.zst", None), None);
        assert_eq!(is("p/manifests/readme.txt", old), None);
    }
}
