//! From the many header fields of a request to what is stored of an object, and back into an answer.
//!
//! The protocol library generates one structure per operation with the same field names again; the macros here bridge that.

use s3s::S3Result;
use s3s::dto::StorageClass as ClassName;

use super::digest::{Algorithm, Checksum};
use super::model::StorageClass;
use super::{errors, tagging};

/// The most bytes of `x-amz-meta-*` that the protocol takes, names and values.
const METADATA: usize = 2 << 10;

/// The class that is asked for.
pub(crate) fn class(name: Option<&ClassName>) -> S3Result<StorageClass> {
    let Some(name) = name else { return Ok(StorageClass::Standard) };
    StorageClass::parse(name.as_str()).ok_or_else(|| {
        let message = "The storage class you specified is not valid";
        s3s::S3Error::with_message(s3s::S3ErrorCode::InvalidStorageClass, message)
    })
}

/// The stored encoding: `aws-chunked` is of the transfer only.
pub(crate) fn encoding(value: Option<String>) -> Option<String> {
    let value = value?;
    let codings =
        value.split(',').map(str::trim).filter(|coding| !coding.eq_ignore_ascii_case("aws-chunked"));
    let rest = codings.collect::<Vec<_>>().join(",");
    (!rest.is_empty()).then_some(rest)
}

/// Refuses more metadata than the protocol takes.
pub(crate) fn check_metadata(headers: &super::model::Headers) -> S3Result<()> {
    let size: usize = headers.metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
    if size > METADATA {
        let message = "Your metadata headers exceed the maximum allowed metadata size";
        return Err(s3s::S3Error::with_message(s3s::S3ErrorCode::MetadataTooLarge, message));
    }
    Ok(())
}

/// Tags of a header.
pub(crate) fn tags(header: Option<&str>) -> S3Result<super::model::Tags> {
    tagging::from_header(header)
}

/// The algorithm that is named, if the provider has it.
pub(crate) fn algorithm(name: Option<&s3s::dto::ChecksumAlgorithm>) -> S3Result<Option<Algorithm>> {
    let Some(name) = name else { return Ok(None) };
    let found = Algorithm::parse(name.as_str());
    found.map(Some).ok_or_else(|| errors::bad_request("Checksum algorithm provided is unsupported."))
}

/// The value of `checksum` if it is of that algorithm.
pub(crate) fn value_of(checksum: Option<&Checksum>, algorithm: Algorithm) -> Option<String> {
    checksum.filter(|checksum| checksum.algorithm == algorithm).map(|checksum| checksum.value.clone())
}

/// The headers of a request that are stored.
macro_rules! headers_of {
    ($input:expr) => {
        $crate::s3::model::Headers {
            content_type: $input.content_type.take(),
            cache_control: $input.cache_control.take(),
            content_disposition: $input.content_disposition.take(),
            content_encoding: $crate::s3::attributes::encoding($input.content_encoding.take()),
            content_language: $input.content_language.take(),
            expires: $input.expires.as_ref().and_then($crate::s3::times::from_protocol),
            website_redirect: $input.website_redirect_location.take(),
            metadata: $input.metadata.take().unwrap_or_default().into_iter().collect(),
        }
    };
}

/// Everything about an object that a request says, except its protection, which depends on the bucket.
macro_rules! attributes_of {
    ($input:expr, $owner:expr) => {{
        let headers = $crate::s3::attributes::headers_of!($input);
        $crate::s3::attributes::check_metadata(&headers)?;
        $crate::s3::model::Attributes {
            class: $crate::s3::attributes::class($input.storage_class.as_ref())?,
            headers,
            tags: $crate::s3::attributes::tags($input.tagging.as_deref())?,
            acl: $crate::s3::attributes::acl_of!($input, $owner)?,
            protection: $crate::s3::model::Protection::default(),
            thaw: None,
            encryption: None,
        }
    }};
}

/// The ACL of an object's request.
macro_rules! acl_of {
    ($input:expr, $owner:expr) => {
        $crate::s3::acl::Acl::from_headers(
            $input.acl.as_ref().map(|acl| acl.as_str()),
            &[
                ("FULL_CONTROL", $input.grant_full_control.as_deref()),
                ("READ", $input.grant_read.as_deref()),
                ("READ_ACP", $input.grant_read_acp.as_deref()),
                ("WRITE_ACP", $input.grant_write_acp.as_deref()),
            ],
            $owner,
        )
    };
}

/// What a request says of its body.
macro_rules! claims_of {
    ($input:expr, $trailers:expr) => {{
        let checksums = $crate::s3::attributes::checksums_of!($input);
        $crate::s3::intake::Claims {
            length: $input.content_length.and_then(|length| u64::try_from(length).ok()),
            md5: $input.content_md5.take(),
            checksums,
            algorithm: $crate::s3::attributes::algorithm($input.checksum_algorithm.as_ref())?,
            trailers: $trailers,
        }
    }};
}

/// The checksum values in a request.
macro_rules! checksums_of {
    ($input:expr) => {{
        use $crate::s3::digest::Algorithm;
        [
            (Algorithm::Crc32, $input.checksum_crc32.take()),
            (Algorithm::Crc32c, $input.checksum_crc32c.take()),
            (Algorithm::Crc64Nvme, $input.checksum_crc64nvme.take()),
            (Algorithm::Sha1, $input.checksum_sha1.take()),
            (Algorithm::Sha256, $input.checksum_sha256.take()),
        ]
        .into_iter()
        .filter_map(|(algorithm, value)| Some((algorithm, value?)))
        .collect::<Vec<_>>()
    }};
}

/// Sets the checksum fields of an answer.
macro_rules! set_checksum {
    ($output:expr, $checksum:expr) => {{
        use $crate::s3::attributes::value_of;
        use $crate::s3::digest::Algorithm;
        let checksum: Option<&$crate::s3::digest::Checksum> = $checksum;
        $output.checksum_crc32 = value_of(checksum, Algorithm::Crc32);
        $output.checksum_crc32c = value_of(checksum, Algorithm::Crc32c);
        $output.checksum_crc64nvme = value_of(checksum, Algorithm::Crc64Nvme);
        $output.checksum_sha1 = value_of(checksum, Algorithm::Sha1);
        $output.checksum_sha256 = value_of(checksum, Algorithm::Sha256);
    }};
}

pub(crate) use {acl_of, attributes_of, checksums_of, claims_of, headers_of, set_checksum};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoding_of_the_transfer_is_not_stored() {
        assert_eq!(encoding(Some("aws-chunked".into())), None);
        assert_eq!(encoding(Some("gzip, aws-chunked".into())), Some("gzip".into()));
    }
}
