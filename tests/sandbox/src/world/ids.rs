//! Identifiers and secrets in the vendors' shapes, drawn from one seeded generator so that a run can be repeated.

use std::sync::{Mutex, PoisonError};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// The generator of one sandbox.
#[derive(Debug)]
pub struct Ids(Mutex<StdRng>);

impl Ids {
    /// The sequence that belongs to `seed`.
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(StdRng::seed_from_u64(seed)))
    }

    /// Begins the sequence of an estate, whatever was drawn before: the same seed makes the same estate again.
    pub fn begin(&self, seed: u64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) =
            StdRng::seed_from_u64(seed ^ 0xa076_1d64_78bd_642f);
    }

    /// `length` lower-case hexadecimal digits (24: the vendor's object ids).
    pub fn hex(&self, length: usize) -> String {
        self.draw(length, b"0123456789abcdef")
    }

    /// `length` letters and digits: a password or an opaque token.
    pub fn secret(&self, length: usize) -> String {
        self.draw(length, b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
    }

    /// A random (version 4) UUID.
    pub fn uuid(&self) -> uuid::Uuid {
        let bytes: [u8; 16] = self.0.lock().unwrap_or_else(PoisonError::into_inner).random();
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }

    /// A number below `bound`.
    pub fn below(&self, bound: u64) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).random_range(0..bound.max(1))
    }

    fn draw(&self, length: usize, alphabet: &[u8]) -> String {
        let mut rng = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (0..length).map(|_| char::from(alphabet[rng.random_range(0..alphabet.len())])).collect()
    }
}
