//! The decoder's end of the channel: pieces of an asynchronous body as a synchronous reader, hashed as they pass.

use std::io::{self, BufRead, Read};

use bytes::{Buf as _, Bytes};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use crate::backup::Refusal;

/// What travels down the channel.
#[derive(Debug)]
pub(super) enum Piece {
    /// Some bytes of the body.
    Bytes(Bytes),
    /// The body ended in good order.
    End,
}

/// Reads what the channel brings. To be read on a blocking thread.
#[derive(Debug)]
pub(super) struct Feed {
    pieces: mpsc::Receiver<Piece>,
    current: Bytes,
    ended: bool,
    received: u64,
    hash: Sha256,
}

impl Feed {
    pub(super) fn new(pieces: mpsc::Receiver<Piece>) -> Self {
        Self { pieces, current: Bytes::new(), ended: false, received: 0, hash: Sha256::new() }
    }

    /// Length and SHA-256 of all that was received.
    pub(super) fn finish(self) -> (u64, String) {
        (self.received, hex::encode(self.hash.finalize()))
    }
}

impl BufRead for Feed {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.current.is_empty() && !self.ended {
            match self.pieces.blocking_recv() {
                Some(Piece::Bytes(bytes)) => {
                    self.received += bytes.len() as u64;
                    self.hash.update(&bytes);
                    self.current = bytes;
                }
                Some(Piece::End) => self.ended = true,
                None => return Err(Refusal::Cancelled.into()),
            }
        }
        Ok(&self.current)
    }

    fn consume(&mut self, amount: usize) {
        self.current.advance(amount);
    }
}

impl Read for Feed {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let count = available.len().min(into.len());
        into[..count].copy_from_slice(&available[..count]);
        self.consume(count);
        Ok(count)
    }
}
