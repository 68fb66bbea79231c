//! Gzip to its very end: every member, every checksum, and nothing foreign behind the last one.

use std::io::{self, BufRead, ErrorKind, Read};

use flate2::bufread::GzDecoder;

use crate::backup::Refusal;

/// Unpacks all members of a gzip stream; its errors carry a [`Refusal`].
#[derive(Debug)]
pub(super) struct Gunzip<R> {
    member: Option<GzDecoder<R>>,
    unpacked: u64,
}

impl<R: BufRead> Gunzip<R> {
    pub(super) fn new(packed: R) -> Self {
        Self { member: Some(GzDecoder::new(packed)), unpacked: 0 }
    }

    fn refuse(&self, error: io::Error) -> io::Error {
        let unpacked = self.unpacked;
        Refusal::unwrap_io(error, |source| match source.kind() {
            ErrorKind::UnexpectedEof => Refusal::GzipCut { unpacked },
            _ => Refusal::GzipDamaged { unpacked, source },
        })
        .into()
    }

    /// What follows a whole member: another one, nothing (zero padding counts as nothing), or something foreign.
    fn next_member(&mut self) -> io::Result<()> {
        let Some(done) = self.member.take() else { return Ok(()) };
        let mut packed = done.into_inner();
        if packed.fill_buf()?.first() == Some(&0x1f) {
            self.member = Some(GzDecoder::new(packed));
            return Ok(());
        }
        loop {
            let rest = packed.fill_buf()?;
            if rest.is_empty() {
                return Ok(());
            }
            if rest.iter().any(|byte| *byte != 0) {
                return Err(Refusal::GzipTrailing { unpacked: self.unpacked }.into());
            }
            let zeros = rest.len();
            packed.consume(zeros);
        }
    }
}

impl<R: BufRead> Read for Gunzip<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        while let Some(member) = &mut self.member {
            match member.read(into) {
                Ok(0) => self.next_member()?,
                Ok(count) => {
                    self.unpacked += count as u64;
                    return Ok(count);
                }
                Err(error) => return Err(self.refuse(error)),
            }
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn packed(content: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(content).expect("into memory");
        encoder.finish().expect("into memory")
    }

    fn unpack(bytes: &[u8]) -> Result<Vec<u8>, &'static str> {
        let mut out = Vec::new();
        match Gunzip::new(bytes).read_to_end(&mut out) {
            Ok(_) => Ok(out),
            Err(e) => Err(Refusal::unwrap_io(e, |e| panic!("no refusal inside: {e}")).reason()),
        }
    }

    #[test]
    fn members_are_joined_and_zero_padding_is_passed_over() {
        let mut bytes = packed(b"one ");
        bytes.extend(packed(b"two"));
        bytes.extend([0; 700]);
        assert_eq!(unpack(&bytes).as_deref(), Ok(b"one two".as_slice()));
    }

    #[test]
    fn every_cut_is_noticed() {
        let bytes = packed(&b"reprise ".repeat(4000));
        for length in 1..bytes.len() {
            assert_eq!(unpack(&bytes[..length]), Err("gzip-cut"), "cut to {length} bytes");
        }
    }

    #[test]
    fn a_flip_and_a_foreign_tail_are_noticed() {
        let mut flipped = packed(&b"reprise ".repeat(4000));
        let crc = flipped.len() - 6;
        flipped[crc] ^= 1;
        assert_eq!(unpack(&flipped), Err("gzip-damaged"));
        let mut tailed = packed(b"reprise");
        tailed.extend(b"<html>");
        assert_eq!(unpack(&tailed), Err("gzip-trailing"));
    }
}
