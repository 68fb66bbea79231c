//! Do bytes look random? From a histogram of a sample of an object's first 64 KiB, taken while they stream by.

/// How far into an object it looks.
const REACH: usize = 64 * 1024;
/// The beginning that is looked at wholly; most formats that are not noise show it there.
const WHOLE: usize = 4 * 1024;
/// After that, the first `PART` bytes of each `STRIDE`: a quarter of the work for the same verdict.
const STRIDE: usize = 1024;
const PART: usize = 256;
/// With fewer bytes than this nothing can be said.
const ENOUGH: u32 = 1024;
/// Entropy above which bytes look random, in bits a byte. Text is at 4 to 5, base64 at 6, machine code at 6 to 7.
const LIMIT: f64 = 7.9;

/// An estimate of the entropy of an object. 1 KiB of memory, no allocation.
#[derive(Debug, Clone)]
pub struct Noise {
    counts: [u32; 256],
    position: usize,
}

impl Noise {
    /// Before the first byte.
    pub const fn new() -> Self {
        Self { counts: [0; 256], position: 0 }
    }

    /// The object's next bytes. However they are cut, the verdict is the same.
    pub fn update(&mut self, mut bytes: &[u8]) {
        while self.position < REACH && !bytes.is_empty() {
            let (looked_at, left) = stretch(self.position);
            let (now, rest) = bytes.split_at(left.min(bytes.len()));
            if looked_at {
                for byte in now {
                    // A byte is always below 256.
                    if let Some(count) = self.counts.get_mut(usize::from(*byte)) {
                        *count += 1;
                    }
                }
            }
            self.position += now.len();
            bytes = rest;
        }
    }

    /// Whether what was seen looks random. Of too few bytes it is not said that they do.
    pub fn is_noise(&self) -> bool {
        let seen: u32 = self.counts.iter().sum();
        seen >= ENOUGH && self.entropy(seen) > LIMIT
    }

    /// Shannon entropy in bits a byte, with the correction of Miller and Madow: a small sample of random bytes is uneven by
    /// chance and would look less random than it is.
    fn entropy(&self, seen: u32) -> f64 {
        let total = f64::from(seen);
        let (mut entropy, mut kinds) = (0.0, 0.0);
        for count in self.counts.iter().filter(|count| **count > 0) {
            let share = f64::from(*count) / total;
            entropy -= share * share.log2();
            kinds += 1.0;
        }
        entropy + (kinds - 1.0) / (2.0 * total * std::f64::consts::LN_2)
    }
}

impl Default for Noise {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether the byte at `position` is looked at, and for how many bytes that holds.
const fn stretch(position: usize) -> (bool, usize) {
    let within = position % STRIDE;
    if position < WHOLE {
        (true, WHOLE - position)
    } else if within < PART {
        (true, PART - within)
    } else {
        (false, STRIDE - within)
    }
}
