//! Digests of what comes in: MD5 for the `ETag`, and the additional checksums. Pure.

use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Md5, Sha1, Sha256};
use serde::{Deserialize, Serialize};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::combine;

/// The checksum algorithms that the provider offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Algorithm {
    /// CRC-32 (ISO-HDLC).
    Crc32,
    /// CRC-32C (Castagnoli).
    Crc32c,
    /// CRC-64/NVME; what is computed where the client asks for none.
    Crc64Nvme,
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
}

impl Algorithm {
    /// All of them.
    pub(crate) const ALL: [Self; 5] = [Self::Crc32, Self::Crc32c, Self::Crc64Nvme, Self::Sha1, Self::Sha256];

    /// The name in the protocol.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    /// The algorithm of that name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
    }

    /// The algorithm whose value travels in that header.
    pub(crate) fn of_header(header: &str) -> Option<Self> {
        Self::parse(header.trim().strip_prefix("x-amz-checksum-")?)
    }

    /// Whether a checksum of the whole can be computed from those of the parts.
    pub(crate) fn is_linear(self) -> bool {
        matches!(self, Self::Crc32 | Self::Crc32c | Self::Crc64Nvme)
    }
}

/// One checksum, as it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Checksum {
    /// By which algorithm.
    pub(crate) algorithm: Algorithm,
    /// Base64; a composite one ends with `-` and the number of parts.
    pub(crate) value: String,
    /// Whether it is a checksum over the checksums of the parts.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) composite: bool,
}

impl Checksum {
    /// The name of its kind in the protocol.
    pub(crate) fn kind(&self) -> &'static str {
        if self.composite { "COMPOSITE" } else { "FULL_OBJECT" }
    }
}

enum Running {
    Crc32(Crc32),
    Crc32c(Crc32c),
    Crc64Nvme(Crc64Nvme),
    Sha1(Sha1),
    Sha256(Sha256),
}

impl Running {
    fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Crc32 => Self::Crc32(Crc32::new()),
            Algorithm::Crc32c => Self::Crc32c(Crc32c::new()),
            Algorithm::Crc64Nvme => Self::Crc64Nvme(Crc64Nvme::new()),
            Algorithm::Sha1 => Self::Sha1(Sha1::new()),
            Algorithm::Sha256 => Self::Sha256(Sha256::new()),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Crc32(running) => running.update(bytes),
            Self::Crc32c(running) => running.update(bytes),
            Self::Crc64Nvme(running) => running.update(bytes),
            Self::Sha1(running) => running.update(bytes),
            Self::Sha256(running) => running.update(bytes),
        }
    }

    fn finish(self) -> (Algorithm, Vec<u8>) {
        match self {
            Self::Crc32(running) => (Algorithm::Crc32, running.finalize().to_vec()),
            Self::Crc32c(running) => (Algorithm::Crc32c, running.finalize().to_vec()),
            Self::Crc64Nvme(running) => (Algorithm::Crc64Nvme, running.finalize().to_vec()),
            Self::Sha1(running) => (Algorithm::Sha1, running.finalize().to_vec()),
            Self::Sha256(running) => (Algorithm::Sha256, running.finalize().to_vec()),
        }
    }
}

/// Computes everything that is wanted in one pass.
pub(crate) struct Hasher {
    md5: Md5,
    sums: Sums,
}

/// The additional checksums of a [`Hasher`].
pub(crate) struct Sums(Vec<Running>);

impl Sums {
    /// Takes the next bytes.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.iter_mut().for_each(|running| running.update(bytes));
    }

    fn finish(self) -> Vec<(Algorithm, String)> {
        let sums = self.0.into_iter().map(Running::finish);
        sums.map(|(algorithm, sum)| (algorithm, BASE64.encode(sum))).collect()
    }
}

impl Hasher {
    /// MD5 and each of `algorithms` once.
    pub(crate) fn new(algorithms: &[Algorithm]) -> Self {
        Self { md5: Md5::new(), sums: Sums(algorithms.iter().copied().map(Running::new).collect()) }
    }

    /// Takes the next bytes.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
        self.sums.update(bytes);
    }

    /// The results.
    pub(crate) fn finish(self) -> Digest {
        Digest { md5: self.md5.finalize(), checksums: self.sums.finish() }
    }

    /// Its halves, for two threads: MD5, which takes as long as all the rest, and the rest.
    pub(crate) fn apart(self) -> (Md5, Sums) {
        (self.md5, self.sums)
    }

    /// What [`Hasher::apart`] took apart.
    pub(crate) fn together(md5: Md5, sums: Sums) -> Self {
        Self { md5, sums }
    }
}

/// The results of a [`Hasher`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Digest {
    /// MD5 of all bytes.
    pub(crate) md5: [u8; 16],
    /// The additional checksums, base64.
    pub(crate) checksums: Vec<(Algorithm, String)>,
}

impl Digest {
    /// The `ETag` of an object that came in one piece.
    pub(crate) fn etag(&self) -> String {
        hex::encode(self.md5)
    }

    /// The checksum that is kept: the first one wanted.
    pub(crate) fn kept(&self) -> Option<Checksum> {
        let (algorithm, value) = self.checksums.first()?;
        Some(Checksum { algorithm: *algorithm, value: value.clone(), composite: false })
    }
}

/// The `ETag` of a multipart object: MD5 over the parts' MD5s, and their number.
pub(crate) fn multipart_etag<'a>(parts: impl ExactSizeIterator<Item = &'a str>) -> Option<String> {
    let count = parts.len();
    let mut md5 = Md5::new();
    for etag in parts {
        md5.update(&hex::decode(etag).ok()?);
    }
    Some(format!("{}-{count}", hex::encode(md5.finalize())))
}

/// The checksum of an object made of `parts` (their checksum and size), over the whole object or over the checksums.
pub(crate) fn multipart_checksum(
    algorithm: Algorithm,
    full_object: bool,
    parts: &[(&Checksum, u64)],
) -> Option<Checksum> {
    let sums: Vec<Vec<u8>> =
        parts.iter().map(|(sum, _)| BASE64.decode(&sum.value).ok()).collect::<Option<_>>()?;
    if full_object {
        let sizes = parts.iter().map(|(_, size)| *size);
        let value = BASE64.encode(combine::crc(algorithm, sums.iter().map(Vec::as_slice).zip(sizes))?);
        return Some(Checksum { algorithm, value, composite: false });
    }
    let mut running = Running::new(algorithm);
    for sum in &sums {
        running.update(sum);
    }
    let value = format!("{}-{}", BASE64.encode(running.finish().1), parts.len());
    Some(Checksum { algorithm, value, composite: true })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(bytes: &[u8]) -> Digest {
        let mut hasher = Hasher::new(&Algorithm::ALL);
        bytes.chunks(7).for_each(|chunk| hasher.update(chunk));
        hasher.finish()
    }

    #[test]
    fn known_values_are_met() {
        let digest = digest(b"123456789");
        assert_eq!(digest.etag(), "25f9e794323b453885f5181f1b624d0b");
        let value = |wanted| digest.checksums.iter().find(|(found, _)| *found == wanted).unwrap().1.clone();
        assert_eq!(value(Algorithm::Crc32), BASE64.encode(0xcbf4_3926_u32.to_be_bytes()));
        assert_eq!(value(Algorithm::Crc32c), BASE64.encode(0xe306_9283_u32.to_be_bytes()));
        assert_eq!(value(Algorithm::Crc64Nvme), BASE64.encode(0xae8b_1486_0a79_9888_u64.to_be_bytes()));
    }

    #[test]
    fn a_full_object_checksum_of_parts_is_that_of_the_whole() {
        let whole: Vec<u8> = (0..100_000_u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
        for algorithm in Algorithm::ALL.into_iter().filter(|algorithm| algorithm.is_linear()) {
            let sum = |bytes: &[u8]| {
                let mut hasher = Hasher::new(&[algorithm]);
                hasher.update(bytes);
                hasher.finish().kept().unwrap()
            };
            let pieces = [&whole[..1], &whole[1..40_000], &whole[40_000..]];
            let sums = pieces.map(sum);
            let parts: Vec<(&Checksum, u64)> =
                sums.iter().zip(pieces.map(|piece| piece.len() as u64)).collect();
            assert_eq!(
                multipart_checksum(algorithm, true, &parts),
                Some(sum(&whole)),
                "{}",
                algorithm.name()
            );
        }
    }

    #[test]
    fn a_multipart_etag_counts_its_parts() {
        let etag = hex::encode(Md5::checksum(b"x"));
        assert!(multipart_etag([etag.as_str(), etag.as_str()].into_iter()).unwrap().ends_with("-2"));
    }
}
