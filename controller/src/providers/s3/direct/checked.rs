//! A whole object held against the checksum that its store names, while it is read.

use aws_smithy_checksums::{ChecksumAlgorithm, http::HttpChecksum};
use base64::Engine as _;
use futures::{StreamExt as _, TryStreamExt as _};
use http::HeaderMap;

use crate::providers::s3::{Content, S3Error, proof::Proof};

/// The same content; it ends with an error if its bytes are not those of the checksum in `head`. One of an object that was put in parts
/// is a checksum of checksums and says nothing of the whole.
pub(in crate::providers::s3) fn checked(call: &'static str, head: &HeaderMap, content: Content) -> Content {
    let named = Proof::of(head).checksum;
    let named = named
        .and_then(|(name, claimed)| Some((name.parse::<ChecksumAlgorithm>().ok()?.into_impl(), claimed)));
    let Some(named) = named else { return content };
    futures::stream::try_unfold((content, Some(named)), move |(mut content, mut named)| async move {
        if let Some(bytes) = content.try_next().await? {
            if let Some((sum, _)) = &mut named {
                sum.update(&bytes);
            }
            return Ok(Some((bytes, (content, named))));
        }
        match named.take() {
            Some((sum, claimed)) => compare(call, sum, &claimed).map(|()| None),
            None => Ok(None),
        }
    })
    .boxed()
}

fn compare(call: &'static str, sum: Box<dyn HttpChecksum>, claimed: &str) -> Result<(), S3Error> {
    let name = sum.header_name();
    let found = base64::engine::general_purpose::STANDARD.encode(sum.finalize());
    if found == claimed {
        return Ok(());
    }
    Err(S3Error::Mismatch { call, sums: format!("{name} {found}, and the store names {claimed}") })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    /// Source: the check values of the CRC catalogue for `123456789`.
    const CRC32: &str = "y/Q5Jg==";

    async fn read(name: &'static str, claimed: &'static str) -> Result<Vec<Bytes>, S3Error> {
        let head = HeaderMap::from_iter([(name.parse().expect("a name"), claimed.parse().expect("a value"))]);
        let pieces = ["1234", "56789"].map(|piece| Ok(Bytes::from(piece)));
        let content: Content = futures::stream::iter(pieces).boxed();
        checked("objects.get", &head, content).try_collect().await
    }

    #[tokio::test]
    async fn other_bytes_than_the_store_names_are_an_error() {
        assert_eq!(read("x-amz-checksum-crc32", CRC32).await.expect("right").concat(), b"123456789");
        assert!(read("x-amz-checksum-crc32", "AAAAAA==").await.is_err());
        assert!(read("x-amz-checksum-sha256", "AAAAAA==").await.is_err());
    }

    #[tokio::test]
    async fn what_says_nothing_of_the_whole_is_not_held_against_it() {
        assert!(read("x-amz-checksum-crc32", "AAAAAA==-2").await.is_ok());
        assert!(read("x-amz-checksum-other", "AAAAAA==").await.is_ok());
    }
}
