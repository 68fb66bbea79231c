//! What the store knows of buckets, versions and uploads, as it is kept in memory and written to the index log.
//!
//! Plain data and pure questions about it; no I/O, no clock.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::acl::Acl;
use super::digest::Checksum;
use super::encryption::Encryption;

/// Where bytes lie on disk. Bytes are never changed once written, so several versions may share one blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Blob {
    /// A file of its own.
    #[serde(rename = "f")]
    File(u64),
    /// A piece of a pack file: pack number and offset.
    #[serde(rename = "p")]
    Packed(u32, u64),
}

/// A run of bytes inside a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Segment {
    /// The blob.
    #[serde(rename = "b")]
    pub(crate) blob: Blob,
    /// First byte inside the blob.
    #[serde(rename = "o", default, skip_serializing_if = "is_zero")]
    pub(crate) offset: u64,
    /// How many bytes.
    #[serde(rename = "l")]
    pub(crate) len: u64,
}

/// Whether a bucket keeps versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) enum Versioning {
    /// Never switched on.
    #[default]
    Off,
    /// Every write makes a version.
    Enabled,
    /// Writes replace the version `null`; older versions stay.
    Suspended,
}

/// Where an object is stored. The provider knows these three only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) enum StorageClass {
    /// Multi-zone, at once.
    #[default]
    #[serde(rename = "STANDARD")]
    Standard,
    /// One zone, at once.
    #[serde(rename = "ONEZONE_IA")]
    OneZone,
    /// Cold: must be restored before it can be read.
    #[serde(rename = "GLACIER")]
    Glacier,
}

impl StorageClass {
    /// The name in the protocol.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Standard => "STANDARD",
            Self::OneZone => "ONEZONE_IA",
            Self::Glacier => "GLACIER",
        }
    }

    /// The class of that name, if the provider has it.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        [Self::Standard, Self::OneZone, Self::Glacier].into_iter().find(|class| class.name() == name)
    }
}

/// A pair of a tag's key and value.
pub(crate) type Tags = Vec<(String, String)>;

/// A bucket and its settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Bucket {
    /// Its name.
    pub(crate) name: String,
    /// When it was made.
    pub(crate) created: DateTime<Utc>,
    /// Whether it keeps versions.
    #[serde(default)]
    pub(crate) versioning: Versioning,
    /// Whether object lock was switched on at creation.
    #[serde(default)]
    pub(crate) lock: bool,
    /// What new objects are locked by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) default_retention: Option<DefaultRetention>,
    /// Who may do what.
    #[serde(default)]
    pub(crate) acl: Acl,
    /// Tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) tags: Tags,
    /// Documents that are stored as they came: `policy` (JSON), `lifecycle`, `cors`, `website`, `encryption` (XML).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) documents: BTreeMap<String, String>,
}

/// GOVERNANCE may be lifted by who says so, COMPLIANCE by nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum LockMode {
    /// Can be bypassed.
    #[serde(rename = "GOVERNANCE")]
    Governance,
    /// Cannot.
    #[serde(rename = "COMPLIANCE")]
    Compliance,
}

/// The retention that new objects of a bucket get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DefaultRetention {
    /// How strict.
    pub(crate) mode: LockMode,
    /// For how many days, if given in days.
    pub(crate) days: Option<i32>,
    /// For how many years, if given in years.
    pub(crate) years: Option<i32>,
}

/// What protects one version from deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Protection {
    /// Retention: how strict, until when (wall time, since clients compare it with their own clock).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) retention: Option<(LockMode, DateTime<Utc>)>,
    /// A hold without end; `None` where none was ever set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) hold: Option<bool>,
}

/// A thaw that was asked for, in dates of the world's (scaled) clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Thaw {
    /// When it was asked for.
    pub(crate) requested: DateTime<Utc>,
    /// When the copy can be read.
    pub(crate) ready: DateTime<Utc>,
    /// When it is cold again.
    pub(crate) expires: DateTime<Utc>,
}

/// Headers that are stored and given back.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Headers {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cache_control: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content_disposition: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content_encoding: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content_language: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expires: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) website_redirect: Option<String>,
    /// `x-amz-meta-*`, without the prefix.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) metadata: BTreeMap<String, String>,
}

/// What an object is, beside its bytes.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Attributes {
    pub(crate) class: StorageClass,
    pub(crate) headers: Headers,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) tags: Tags,
    #[serde(skip_serializing_if = "Acl::is_private")]
    pub(crate) acl: Acl,
    pub(crate) protection: Protection,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) thaw: Option<Thaw>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) encryption: Option<Encryption>,
}

/// The bytes of one version and their digests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Content {
    /// Bytes in all segments.
    pub(crate) size: u64,
    /// Without quotes.
    pub(crate) etag: String,
    /// The bytes, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) segments: Vec<Segment>,
    /// Sizes of the parts it was uploaded in; empty unless it was a multipart upload.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) parts: Vec<u64>,
    /// Checksum, beside the `ETag`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) checksum: Option<Checksum>,
}

/// An object's content with everything about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Object {
    /// The bytes.
    pub(crate) content: Content,
    /// The rest.
    pub(crate) attributes: Attributes,
}

/// One version of one key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Version {
    /// Microseconds since 1970, made unique and growing.
    pub(crate) id: u64,
    /// Whether it goes by the name `null`: written while versions were not kept.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) null: bool,
    /// When it was written.
    pub(crate) modified: DateTime<Utc>,
    /// When it was written by the world's clock, seconds since 1970: what its age is counted from.
    #[serde(default)]
    pub(crate) born: i64,
    /// `None` for a delete marker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) object: Option<Box<Object>>,
}

impl Version {
    /// The identifier in the protocol.
    pub(crate) fn name(&self) -> String {
        if self.null { "null".to_owned() } else { self.id.to_string() }
    }

    /// Whether the protocol's identifier means this version.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        if self.null { name == "null" } else { name.parse() == Ok(self.id) }
    }

    /// The segments of its bytes.
    pub(crate) fn segments(&self) -> &[Segment] {
        self.object.as_ref().map_or(&[], |object| &object.content.segments)
    }
}

/// One part of an upload that is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Part {
    /// From 1.
    pub(crate) number: u16,
    /// The bytes.
    pub(crate) content: Content,
    /// When it came.
    pub(crate) modified: DateTime<Utc>,
}

/// A multipart upload that is under way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Upload {
    /// Its identifier; sorts by time.
    pub(crate) id: String,
    /// What it will become.
    pub(crate) key: String,
    /// When it began.
    pub(crate) initiated: DateTime<Utc>,
    /// When it began by the world's clock, seconds since 1970.
    #[serde(default)]
    pub(crate) born: i64,
    /// What the object will be.
    pub(crate) attributes: Attributes,
    /// Which checksum, and whether over the whole object (or over the parts' checksums), as asked.
    pub(crate) checksum: Option<(super::digest::Algorithm, bool)>,
    /// Parts by number.
    #[serde(default)]
    pub(crate) parts: BTreeMap<u16, Part>,
}

/// An upload that was completed: remembered, because an answer that was lost is asked for again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Completion {
    /// The upload.
    pub(crate) upload: String,
    /// What it became.
    pub(crate) key: String,
    /// A digest of the parts that were named.
    pub(crate) parts: String,
    /// The version that it became.
    pub(crate) version: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_null_version_answers_to_null_only() {
        let version = Version { id: 7, null: true, modified: DateTime::UNIX_EPOCH, born: 0, object: None };
        assert!(version.is_named("null") && !version.is_named("7"));
    }

    #[test]
    fn a_class_the_provider_does_not_know_is_refused() {
        assert_eq!(StorageClass::parse("GLACIER"), Some(StorageClass::Glacier));
        assert_eq!(StorageClass::parse("DEEP_ARCHIVE"), None);
    }
}
