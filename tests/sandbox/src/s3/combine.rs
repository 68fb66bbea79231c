//! The CRC of a concatenation from the CRCs of its pieces, so that completing an upload reads nothing. Pure.
//!
//! A reflected CRC of `a ++ b` is `shift(crc(a), len(b)) xor crc(b)`; shifting by a zero bit is a linear map over GF(2), and
//! shifting by `n` bytes is that map raised to the power `8 n`.

use super::digest::Algorithm;

type Matrix = [u64; 64];

fn polynomial(algorithm: Algorithm) -> Option<(u64, usize)> {
    match algorithm {
        Algorithm::Crc32 => Some((0xedb8_8320, 32)),
        Algorithm::Crc32c => Some((0x82f6_3b78, 32)),
        Algorithm::Crc64Nvme => Some((0x9a6c_9329_ac4b_c9b5, 64)),
        Algorithm::Sha1 | Algorithm::Sha256 => None,
    }
}

/// The CRC (big-endian bytes) of all pieces together; `None` where the algorithm is no CRC or a value has the wrong length.
pub(crate) fn crc<'a>(
    algorithm: Algorithm,
    pieces: impl Iterator<Item = (&'a [u8], u64)>,
) -> Option<Vec<u8>> {
    let (polynomial, width) = polynomial(algorithm)?;
    let mut whole = 0;
    for (sum, len) in pieces {
        let sum = (sum.len() == width / 8)
            .then(|| sum.iter().fold(0, |all, byte| (all << 8) | u64::from(*byte)))?;
        whole = shift(whole, len, polynomial, width) ^ sum;
    }
    Some(whole.to_be_bytes()[8 - width / 8..].to_vec())
}

fn shift(mut crc: u64, len: u64, polynomial: u64, width: usize) -> u64 {
    let mut power = one_byte(polynomial, width);
    let mut left = len;
    while left > 0 {
        if left & 1 == 1 {
            crc = times(&power, crc);
        }
        power = square(&power);
        left >>= 1;
    }
    crc
}

/// The map that appends eight zero bits.
fn one_byte(polynomial: u64, width: usize) -> Matrix {
    let mut bit: Matrix = [0; 64];
    bit[0] = polynomial;
    for (row, value) in bit.iter_mut().enumerate().take(width).skip(1) {
        *value = 1 << (row - 1);
    }
    square(&square(&square(&bit)))
}

fn times(matrix: &Matrix, vector: u64) -> u64 {
    (0..64).filter(|bit| vector >> bit & 1 == 1).fold(0, |sum, bit| sum ^ matrix[bit])
}

fn square(matrix: &Matrix) -> Matrix {
    std::array::from_fn(|row| times(matrix, matrix[row]))
}
