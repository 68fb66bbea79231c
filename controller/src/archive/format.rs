//! What lies in the archive, and under which keys. Described for other readers in `docs/archive-format.md`.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::suspicion::Changes;
use crate::providers::s3::{Acl, Headers};

/// The format's name and version; a reader refuses another one.
pub const FORMAT: &str = "reprise-archive/1";

/// The key of a content.
pub fn object_key(prefix: &str, sha256: &str) -> String {
    format!("{prefix}objects/{sha256}")
}

/// The key of a run's manifest.
pub fn manifest_key(prefix: &str, run: &str) -> String {
    format!("{prefix}manifests/{run}.jsonl.zst")
}

/// The key of a run's record. All records together are the index.
pub fn record_key(prefix: &str, run: &str) -> String {
    format!("{prefix}runs/{run}.json")
}

/// The name of a run that begins at `at`: runs sort in time, to the microsecond, and two that begin at once differ.
pub fn run_name(at: DateTime<Utc>) -> String {
    run_name_with(at, rand::random())
}

/// The name of the run that a file makes which was taken at `at`: always the same for one file and time.
pub fn import_name(at: DateTime<Utc>, digest: &[u8]) -> String {
    let tail = digest.iter().take(2).fold(0, |tail, byte| tail << 8 | u16::from(*byte));
    run_name_with(at, tail)
}

fn run_name_with(at: DateTime<Utc>, tail: u16) -> String {
    let micros = at.timestamp_subsec_micros().min(999_999);
    format!("{}-{micros:06}{tail:04x}", at.format("%Y%m%dT%H%M%SZ"))
}

/// The name of a run that begins at `at`, after all that there are. A clock may have been ahead, or be behind now: the newest run is
/// the newest all the same.
pub fn next_run_name(at: DateTime<Utc>, newest: Option<&str>) -> String {
    let name = run_name(at);
    let Some(newest) = newest.filter(|newest| *newest >= name.as_str()) else { return name };
    let date = newest.get(..16).and_then(|date| NaiveDateTime::parse_from_str(date, "%Y%m%dT%H%M%SZ").ok());
    let after = date.and_then(|date| date.and_utc().checked_add_signed(TimeDelta::seconds(1)));
    tracing::warn!(newest, %at, "the newest run has a later date than this machine's clock");
    after.map_or(name, run_name)
}

/// One object of the bucket at the time of a run: a line of the manifest. Lines are sorted by the bytes of their keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its key.
    pub key: String,
    /// In bytes.
    pub size: u64,
    /// The digest of its content, in lower-case hexadecimal digits; `objects/<sha256>` holds it. Empty while it is `pending`.
    pub sha256: String,
    /// The entity tag that the source showed.
    pub etag: String,
    /// When the source got it.
    pub last_modified: Option<DateTime<Utc>>,
    /// The version that was read, in a versioned source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_id: Option<String>,
    /// The media type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// `Cache-Control`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_control: Option<String>,
    /// `Content-Disposition`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_disposition: Option<String>,
    /// `Content-Encoding`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_encoding: Option<String>,
    /// `Content-Language`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_language: Option<String>,
    /// `Expires`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// `x-amz-website-redirect-location`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub website_redirect_location: Option<String>,
    /// `x-amz-meta-…`, names without that, in lower case.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Its tags.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// Who else than its owner may do what with it. Nothing is said where it is not known: older writers did not ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acl: Option<Acl>,
    /// The store failed over the list: the next run asks again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub acl_unread: bool,
    /// Server-side copies that nobody has hashed yet lie here, below the archive's prefix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<String>,
    /// Its entity tag is no MD5 of its content, whatever it looks like: the source encrypts, or sends other bytes than it says, twice.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub opaque: bool,
}

impl Entry {
    /// Where its content lies, below the archive's prefix.
    pub fn content_key(&self, prefix: &str) -> String {
        match &self.pending {
            Some(pending) => format!("{prefix}{pending}"),
            None => object_key(prefix, &self.sha256),
        }
    }

    /// What travels with the object.
    pub fn headers(&self) -> Headers {
        Headers {
            content_type: self.content_type.clone(),
            cache_control: self.cache_control.clone(),
            content_disposition: self.content_disposition.clone(),
            content_encoding: self.content_encoding.clone(),
            content_language: self.content_language.clone(),
            expires: self.expires.clone(),
            website_redirect: self.website_redirect_location.clone(),
            user: self.metadata.clone(),
        }
    }

    /// Whether the source had the same bytes under both. What nobody has hashed yet is told by the source's own tag and size.
    pub fn is_same_content(&self, other: &Self) -> bool {
        if self.sha256.is_empty() || other.sha256.is_empty() {
            return self.etag == other.etag && self.size == other.size;
        }
        self.sha256 == other.sha256
    }

    /// The entity tag, if it is the MD5 of the content.
    pub fn md5(&self) -> Option<&str> {
        (!self.opaque && is_md5(&self.etag)).then_some(self.etag.as_str())
    }
}

/// Whether an entity tag can be the MD5 of its content: one of parts has a `-`. Upper case is nobody's MD5, as far as we say it.
pub fn is_md5(etag: &str) -> bool {
    etag.len() == 32 && etag.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// A run: which manifest it has, and what else was archived with it. Its own digest is named by the next run's `previous`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// [`FORMAT`].
    pub format: String,
    /// The plan.
    pub plan: String,
    /// The run's name.
    pub run: String,
    /// What was copied.
    pub source: Source,
    /// It shows a copy of the bucket as that was then, and not the bucket: what was deleted there, or damaged on the way, is in it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mirrored: bool,
    /// When the run began.
    pub started_at: DateTime<Utc>,
    /// When everything was there.
    pub finished_at: DateTime<Utc>,
    /// The manifest.
    pub manifest: ManifestRef,
    /// What changed since the run before.
    pub changes: ChangeCounts,
    /// Objects that the listing showed and that were gone when they were to be read; the first thousand.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vanished: Vec<String>,
    /// Objects that were replaced while the run went on: the newer content was archived.
    #[serde(default)]
    pub replaced: u64,
    /// Why the run is suspicious, if it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suspicious: Vec<String>,
    /// Dumps, code, configuration and Reprise's own records.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extras: Vec<Extra>,
    /// What should lie beside and could not be had, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// What is not known of the objects that this run read, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<String>,
    /// The run before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Previous>,
    /// What this run cost: requests by class, and bytes.
    #[serde(default)]
    pub cost: BTreeMap<String, u64>,
    /// Who wrote it.
    pub writer: String,
}

/// What was copied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The endpoint, or what an import read.
    pub endpoint: String,
    /// The bucket.
    pub bucket: String,
}

/// A manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestRef {
    /// Its key, below the archive's prefix.
    pub key: String,
    /// Digest of its compressed bytes.
    pub sha256: String,
    /// Its lines.
    pub objects: u64,
    /// The bytes of the objects that it names.
    pub bytes: u64,
}

/// What changed since the run before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeCounts {
    /// Objects of the run before.
    pub before: u64,
    /// New keys.
    pub added: u64,
    /// Keys with another content.
    pub rewritten: u64,
    /// Of these, those that turned from something into noise.
    pub scrambled: u64,
    /// Keys that are gone.
    pub deleted: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// Keys whose tags or access control list are others, and nothing else. Only a run that reads them again knows.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub redressed: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_nothing(count: &u64) -> bool {
    *count == 0
}

impl ChangeCounts {
    /// What the guard against archiving damage looks at.
    pub const fn judged(&self) -> Changes {
        Changes {
            before: self.before,
            deleted: self.deleted,
            rewritten: self.rewritten,
            scrambled: self.scrambled,
        }
    }
}

/// Something beside the bucket's objects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extra {
    /// `dump`, `code`, `configuration` or `records`.
    pub kind: String,
    /// The dump's backup id, the app's name…
    pub name: String,
    /// Its key, below the archive's prefix.
    pub key: String,
    /// Digest of its bytes as they lie there.
    pub sha256: String,
    /// In bytes, as it lies there.
    pub size: u64,
    /// For `age` recipients.
    pub encrypted: bool,
    /// What is worth knowing without opening it: the commit, when a dump was taken…
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub about: BTreeMap<String, String>,
}

/// The run before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Previous {
    /// Its name.
    pub run: String,
    /// Digest of its record.
    pub sha256: String,
}

/// The digest of some bytes, in hexadecimal digits.
pub fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_sort_in_time_and_never_share_a_name() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let (early, late) = (run_name(at("2026-11-23T01:27:00Z")), run_name(at("2026-11-30T01:27:00Z")));
        assert!(early < late && early.starts_with("20261123T012700Z-"), "{early} {late}");
        let (first, next) =
            (run_name(at("2026-11-23T01:27:00.000001Z")), run_name(at("2026-11-23T01:27:00.9Z")));
        assert!(first < next, "{first} {next}");
        let names: std::collections::HashSet<_> =
            (0..64).map(|_| run_name(at("2026-11-23T01:27:00Z"))).collect();
        assert!(names.len() > 1);
    }

    #[test]
    fn a_run_sorts_after_those_before_it_though_a_clock_was_an_hour_off() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let ahead = run_name(at("2026-11-23T02:27:00.5Z"));
        let now = at("2026-11-23T01:27:00Z");
        let next = next_run_name(now, Some(&ahead));
        assert!(next > ahead && next.starts_with("20261123T022701Z-"), "{next}");
        assert!(next_run_name(now, Some(&next)) > next);
        assert!(next_run_name(now, Some("20261122T012700Z-d2c80c")).starts_with("20261123T012700Z-"));
        assert!(next_run_name(now, None).starts_with("20261123T012700Z-"));
    }

    #[test]
    fn only_the_tag_of_a_single_put_is_a_digest() {
        assert!(is_md5("d41d8cd98f00b204e9800998ecf8427e"));
        assert!(!is_md5("d41d8cd98f00b204e9800998ecf8427e-2") && !is_md5(""));
        assert!(!is_md5("D41D8CD98F00B204E9800998ECF8427E"), "compared with ours it would differ");
    }
}
