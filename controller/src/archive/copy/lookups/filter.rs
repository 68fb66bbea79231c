//! Which contents were seen, in little memory: it may take a new one for one that was seen, never the other way round.
//!
//! A Bloom filter. A digest is as random as any hash of it would be, so that its own first bytes choose the bits.

use std::sync::atomic::{AtomicU64, Ordering};

/// Two MiB: one in five hundred of a million is taken for seen.
const BITS: u32 = 24;
/// Bits for each.
const EACH: usize = 4;

/// Some contents.
#[derive(Debug)]
pub(super) struct Filter(Vec<AtomicU64>);

impl Filter {
    pub(super) fn new() -> Self {
        Self((0..1_usize << (BITS - 6)).map(|_| AtomicU64::new(0)).collect())
    }

    /// Whether this one was certainly not seen before. It is now.
    pub(super) fn is_new(&self, digest: &[u8; 32]) -> bool {
        let chunks = digest.as_chunks::<4>().0.iter().take(EACH);
        // Each bit is set, whatever the others say.
        chunks.fold(false, |new, chunk| new | self.set(u32::from_le_bytes(*chunk) >> (32 - BITS)))
    }

    /// Whether the bit was not set before.
    fn set(&self, bit: u32) -> bool {
        let (word, mask) = ((bit >> 6) as usize, 1_u64 << (bit & 63));
        self.0.get(word).is_some_and(|word| word.fetch_or(mask, Ordering::Relaxed) & mask == 0)
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::*;

    #[test]
    fn what_was_seen_is_never_new_and_what_is_new_hardly_ever_seen() {
        let (filter, digest) = (Filter::new(), |number: u32| Sha256::digest(number.to_le_bytes()).into());
        let new = (0..200_000).filter(|number| filter.is_new(&digest(*number))).count();
        assert!(new > 199_900, "{new}");
        assert!((0..200_000).all(|number| !filter.is_new(&digest(number))));
    }
}
