//! Every version of every object: what must go before a bucket can.

use super::{S3, S3Error};
use crate::providers::http::Effect;

/// One version of an object, or a marker that it was deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// The object's key.
    pub key: String,
    /// The version's id.
    pub id: String,
    /// It only says that the object was deleted.
    pub is_marker: bool,
}

impl Version {
    /// An object of a store that does not keep versions.
    pub fn only(key: &str) -> Self {
        Self { key: key.to_owned(), id: "null".to_owned(), is_marker: false }
    }
}

/// Where a list of versions goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VersionToken {
    key: Option<String>,
    version: Option<String>,
}

impl S3 {
    /// One page of the versions and markers of keys that begin with `prefix`, and where the next one begins.
    ///
    /// Source: S3 API "`ListObjectVersions`". Safe to repeat.
    pub async fn versions_page(
        &self,
        bucket: &str,
        prefix: &str,
        token: VersionToken,
    ) -> Result<(Vec<Version>, Option<VersionToken>), S3Error> {
        let call = "versions.list";
        let list = self.client.list_object_versions().bucket(bucket).prefix(prefix);
        let list = list.set_key_marker(token.key.clone()).set_version_id_marker(token.version.clone()).send();
        let page = self.run(call, Effect::Repeatable, list).await?;
        let next = (page.is_truncated() == Some(true)).then(|| VersionToken {
            key: page.next_key_marker.clone(),
            version: page.next_version_id_marker.clone(),
        });
        if next.as_ref().is_some_and(|next| next.key.is_none() || *next == token) {
            return Err(S3Error::Incomplete { call, what: "where its next page is" });
        }
        let version = |key: Option<&str>, id: Option<&str>, is_marker| {
            Some(Version { key: key?.to_owned(), id: id.unwrap_or("null").to_owned(), is_marker })
        };
        let contents = page.versions().iter().filter_map(|one| version(one.key(), one.version_id(), false));
        let markers =
            page.delete_markers().iter().filter_map(|one| version(one.key(), one.version_id(), true));
        Ok((contents.chain(markers).collect(), next))
    }

    /// Uploads in parts, of keys that begin with `prefix`, that were begun and neither completed nor aborted: they are billed.
    ///
    /// Source: S3 API "`ListMultipartUploads`". Safe to repeat.
    pub async fn uploads(&self, bucket: &str, prefix: &str) -> Result<Vec<Upload>, S3Error> {
        let call = "parts.uploads";
        let (mut uploads, mut key, mut id) = (Vec::new(), None, None);
        loop {
            let list = self.client.list_multipart_uploads().bucket(bucket).prefix(prefix);
            let list = list.set_key_marker(key.take()).set_upload_id_marker(id.take()).send();
            let page = self.run(call, Effect::Repeatable, list).await?;
            uploads.extend(page.uploads().iter().filter_map(|upload| {
                let begun = upload.initiated().and_then(super::objects::utc);
                Some(Upload { key: upload.key()?.to_owned(), id: upload.upload_id()?.to_owned(), begun })
            }));
            if page.is_truncated() != Some(true) {
                return Ok(uploads);
            }
            (key, id) = (page.next_key_marker.clone(), page.next_upload_id_marker.clone());
            if key.is_none() {
                return Err(S3Error::Incomplete { call, what: "where its next page is" });
            }
        }
    }
}

/// An upload in parts that is not completed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// The key that it would have.
    pub key: String,
    /// The upload's id.
    pub id: String,
    /// When it was begun.
    pub begun: Option<chrono::DateTime<chrono::Utc>>,
}
