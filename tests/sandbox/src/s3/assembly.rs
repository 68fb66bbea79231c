//! What the parts of an upload make when it is completed: order, sizes, `ETag` and checksum of the whole. Pure.

use s3s::dto::CompletedPart;
use s3s::{S3Error, S3ErrorCode, S3Result};

use super::digest::{Algorithm, Checksum, multipart_checksum, multipart_etag};
use super::errors;
use super::model::{Content, Part, Segment, Upload};
use super::multipart::part_number;

/// Every part but the last has at least so many bytes.
const SMALLEST_PART: u64 = 5 << 20;
/// The provider's limit for a whole object.
const LARGEST_OBJECT: u64 = 5 << 40;

fn invalid_part() -> S3Error {
    let message = "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.";
    S3Error::with_message(S3ErrorCode::InvalidPart, message)
}

/// The object that the named parts make.
pub(crate) fn assemble(
    upload: &Upload,
    named: &[CompletedPart],
    claimed: &[(Algorithm, String)],
) -> S3Result<Content> {
    if named.is_empty() {
        return Err(S3Error::with_message(S3ErrorCode::MalformedXML, "You must specify at least one part"));
    }
    let mut parts: Vec<&Part> = Vec::with_capacity(named.len());
    for wanted in named {
        let number = part_number(wanted.part_number.unwrap_or(0))?;
        if parts.last().is_some_and(|last| last.number >= number) {
            let message =
                "The list of parts was not in ascending order. Parts must be ordered by part number.";
            return Err(S3Error::with_message(S3ErrorCode::InvalidPartOrder, message));
        }
        let part = upload.parts.get(&number).ok_or_else(invalid_part)?;
        check_part(wanted, part)?;
        parts.push(part);
    }
    let (last, others) = parts.split_last().ok_or_else(invalid_part)?;
    if others.iter().any(|part| part.content.size < SMALLEST_PART) {
        return Err(errors::too_small());
    }
    let size = others.iter().map(|part| part.content.size).sum::<u64>() + last.content.size;
    if size > LARGEST_OBJECT {
        return Err(errors::too_large());
    }
    let (algorithm, full) = upload.checksum.unwrap_or_else(|| common_checksum(&parts));
    let sums: Option<Vec<(&Checksum, u64)>> = parts
        .iter()
        .map(|part| {
            Some((
                part.content.checksum.as_ref().filter(|sum| sum.algorithm == algorithm)?,
                part.content.size,
            ))
        })
        .collect();
    let checksum = sums.and_then(|sums| multipart_checksum(algorithm, full, &sums));
    check_claims(claimed, checksum.as_ref())?;
    let segments: Vec<Segment> =
        parts.iter().flat_map(|part| part.content.segments.iter().copied()).collect();
    let etag = multipart_etag(parts.iter().map(|part| &*part.content.etag)).ok_or_else(errors::storage)?;
    Ok(Content {
        size,
        etag,
        segments,
        parts: parts.iter().map(|part| part.content.size).collect(),
        checksum,
    })
}

/// The checksum of an upload that planned none: that of its parts.
fn common_checksum(parts: &[&Part]) -> (Algorithm, bool) {
    let first = parts.first().and_then(|part| part.content.checksum.as_ref());
    let algorithm = first.map_or(Algorithm::Crc64Nvme, |checksum| checksum.algorithm);
    (algorithm, algorithm.is_linear())
}

fn check_part(wanted: &CompletedPart, part: &Part) -> S3Result<()> {
    if wanted.e_tag.as_ref().is_none_or(|etag| etag.value().trim_matches('"') != part.content.etag) {
        return Err(invalid_part());
    }
    let Some(checksum) = &part.content.checksum else { return Ok(()) };
    let claimed = match checksum.algorithm {
        Algorithm::Crc32 => &wanted.checksum_crc32,
        Algorithm::Crc32c => &wanted.checksum_crc32c,
        Algorithm::Crc64Nvme => &wanted.checksum_crc64nvme,
        Algorithm::Sha1 => &wanted.checksum_sha1,
        Algorithm::Sha256 => &wanted.checksum_sha256,
    };
    match claimed {
        Some(claimed) if *claimed != checksum.value => Err(invalid_part()),
        _ => Ok(()),
    }
}

fn check_claims(claimed: &[(Algorithm, String)], computed: Option<&Checksum>) -> S3Result<()> {
    for (algorithm, value) in claimed {
        let differs = computed.is_some_and(|sum| {
            sum.algorithm == *algorithm && sum.value.split('-').next() != value.split('-').next()
        });
        if differs {
            let message =
                format!("The {} you specified did not match the calculated checksum.", algorithm.name());
            return Err(S3Error::with_message(S3ErrorCode::BadDigest, message));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use s3s::dto::ETag;

    use super::*;

    fn upload(sizes: &[u64]) -> Upload {
        let part = |(at, size): (usize, &u64)| {
            let number = u16::try_from(at + 1).unwrap();
            let content = Content {
                size: *size,
                etag: format!("{at:032x}"),
                segments: Vec::new(),
                parts: Vec::new(),
                checksum: None,
            };
            (number, Part { number, content, modified: chrono::DateTime::UNIX_EPOCH })
        };
        Upload {
            id: "u".into(),
            key: "k".into(),
            initiated: chrono::DateTime::UNIX_EPOCH,
            born: 0,
            attributes: super::super::model::Attributes::default(),
            checksum: None,
            parts: sizes.iter().enumerate().map(part).collect(),
        }
    }

    fn named(numbers: &[i32]) -> Vec<CompletedPart> {
        let part = |number: &i32| CompletedPart {
            part_number: Some(*number),
            e_tag: Some(ETag::Strong(format!("{:032x}", number - 1))),
            ..CompletedPart::default()
        };
        numbers.iter().map(part).collect()
    }

    #[test]
    fn only_the_last_part_may_be_small() {
        let upload = upload(&[SMALLEST_PART, 1]);
        assert_eq!(assemble(&upload, &named(&[1, 2]), &[]).unwrap().size, SMALLEST_PART + 1);
        let other = super::tests::upload(&[1, SMALLEST_PART]);
        let error = assemble(&other, &named(&[1, 2]), &[]).unwrap_err();
        assert_eq!(*error.code(), S3ErrorCode::EntityTooSmall);
    }

    #[test]
    fn parts_come_in_ascending_order() {
        let upload = upload(&[SMALLEST_PART, SMALLEST_PART]);
        let error = assemble(&upload, &named(&[2, 1]), &[]).unwrap_err();
        assert_eq!(*error.code(), S3ErrorCode::InvalidPartOrder);
    }
}
