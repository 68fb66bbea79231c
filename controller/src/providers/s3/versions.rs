//! Every version of every object: what must go before a bucket can.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::{S3, S3Error, direct::Ask, rows};

/// Rows of a document that are versions: `Contents` are those of a store without any.
const VERSIONS: [&str; 3] = ["Version", "DeleteMarker", "Contents"];

/// One version of an object, or a marker that it was deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// The object's key.
    pub key: String,
    /// The version's id.
    pub id: String,
    /// It only says that the object was deleted.
    pub is_marker: bool,
    /// When it was put.
    pub modified: Option<DateTime<Utc>>,
}

impl Version {
    /// An object of a store that does not keep versions.
    pub fn only(key: &str) -> Self {
        Self { key: key.to_owned(), id: "null".to_owned(), is_marker: false, modified: None }
    }
}

/// Where a list of versions goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VersionToken {
    key: Option<String>,
    version: Option<String>,
}

impl S3 {
    /// One page of the versions and markers of keys that begin with `prefix`, and where the next one begins. A store that has never heard
    /// of versions may send its objects: each is the only version then.
    ///
    /// Source: S3 API "`ListObjectVersions`". Safe to repeat.
    pub async fn versions_page(
        &self,
        bucket: &str,
        prefix: &str,
        token: VersionToken,
    ) -> Result<(Vec<Version>, Option<VersionToken>), S3Error> {
        let call = "versions.list";
        // Not through the SDK, which insists on the name of the document's root; not every store has it right.
        let list =
            Ask::get(call, bucket, "").query("versions", Some("")).query("prefix", Some(prefix)).patient();
        let list = list.query("key-marker", token.key.as_deref());
        let page =
            self.document(list.query("version-id-marker", token.version.as_deref()), rows::parse).await?;
        let next = page.is_truncated().then(|| VersionToken {
            key: page.field("NextKeyMarker"),
            version: page.field("NextVersionIdMarker"),
        });
        if next.as_ref().is_some_and(|next| next.key.is_none() || *next == token) {
            return Err(S3Error::Incomplete { call, what: "where its next page is" });
        }
        let versions = page.rows.into_iter().filter(|(kind, _)| VERSIONS.contains(&kind.as_str()));
        // Passing over one that has no key would leave it there.
        let versions = versions.map(|(kind, row)| version(&kind, row)).collect::<Option<Vec<_>>>();
        Ok((versions.ok_or(S3Error::Incomplete { call, what: "a version's key" })?, next))
    }

    /// Uploads in parts, of keys that begin with `prefix`, that were begun and neither completed nor aborted: they are billed.
    ///
    /// Source: S3 API "`ListMultipartUploads`". Safe to repeat.
    pub async fn uploads(&self, bucket: &str, prefix: &str) -> Result<Vec<Upload>, S3Error> {
        let call = "parts.uploads";
        let (mut uploads, mut key, mut id) = (Vec::new(), None::<String>, None::<String>);
        loop {
            let list = Ask::get(call, bucket, "").query("uploads", Some("")).query("prefix", Some(prefix));
            let list = list.query("key-marker", key.as_deref()).query("upload-id-marker", id.as_deref());
            let page = self.document(list, rows::parse).await?;
            if page.rows.iter().any(|(kind, _)| kind == "Contents") {
                // The store sends its objects: it cannot tell its uploads.
                return Ok(Vec::new());
            }
            let next = (page.field("NextKeyMarker"), page.field("NextUploadIdMarker"));
            let more = page.is_truncated();
            // Where a store passes over the prefix, those of others are none of ours to end.
            let ours = page.rows.into_iter().filter_map(|(kind, row)| upload(&kind, row));
            uploads.extend(ours.filter(|upload| upload.key.starts_with(prefix)));
            if !more {
                return Ok(uploads);
            }
            if next.0.is_none() || next == (key, id) {
                return Err(S3Error::Incomplete { call, what: "where its next page is" });
            }
            (key, id) = next;
        }
    }
}

/// The version that a row of a document is; `None`: it has no key.
fn version(kind: &str, mut row: BTreeMap<String, String>) -> Option<Version> {
    let id = row.remove("VersionId").filter(|id| !id.is_empty()).unwrap_or_else(|| "null".to_owned());
    let modified = date(row.get("LastModified"));
    Some(Version { key: row.remove("Key")?, id, is_marker: kind == "DeleteMarker", modified })
}

fn upload(kind: &str, mut row: BTreeMap<String, String>) -> Option<Upload> {
    let begun = date(row.get("Initiated"));
    (kind == "Upload").then_some(())?;
    Some(Upload { key: row.remove("Key")?, id: row.remove("UploadId")?, begun })
}

fn date(text: Option<&String>) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text?.trim()).ok().map(|date| date.to_utc())
}

/// An upload in parts that is not completed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// The key that it would have.
    pub key: String,
    /// The upload's id.
    pub id: String,
    /// When it was begun.
    pub begun: Option<DateTime<Utc>>,
}
