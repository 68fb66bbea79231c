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

/// Where a list of versions goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VersionToken {
    key: Option<String>,
    version: Option<String>,
}

impl S3 {
    /// One page of versions and markers, and where the next one begins.
    ///
    /// Source: S3 API "`ListObjectVersions`". Safe to repeat.
    pub async fn versions_page(
        &self,
        bucket: &str,
        token: VersionToken,
    ) -> Result<(Vec<Version>, Option<VersionToken>), S3Error> {
        let call = "versions.list";
        let list = self.client.list_object_versions().bucket(bucket);
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
}
