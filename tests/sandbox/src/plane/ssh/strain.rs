//! A tunnel under a fault: slower than it should be, or cut after so many bytes.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::world::Fault;

const BUFFER: usize = 32 * 1024;

/// How a tunnel suffers.
#[derive(Debug)]
pub(super) struct Strain {
    /// Bytes that still pass, both ways together.
    left: AtomicU64,
    /// Bytes per second that pass each way.
    pace: Option<u64>,
}

impl Strain {
    /// What `fault` means for the bytes of a tunnel, if anything.
    pub(super) fn of(fault: Option<&Fault>) -> Option<Self> {
        match fault? {
            Fault::Truncate { bytes } => Some(Self { left: AtomicU64::new(*bytes), pace: None }),
            Fault::SlowBody { bytes_per_second } => {
                Some(Self { left: AtomicU64::new(u64::MAX), pace: Some(*bytes_per_second) })
            }
            _ => None,
        }
    }

    /// Carries bytes both ways until both ends are done; an error where the last byte that may pass has passed.
    pub(super) async fn carry<N, F>(&self, near: N, far: F) -> io::Result<()>
    where
        N: AsyncRead + AsyncWrite,
        F: AsyncRead + AsyncWrite,
    {
        let (mut near_out, mut near_in) = tokio::io::split(near);
        let (mut far_out, mut far_in) = tokio::io::split(far);
        tokio::try_join!(self.pour(&mut near_out, &mut far_in), self.pour(&mut far_out, &mut near_in))?;
        Ok(())
    }

    async fn pour(
        &self,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
    ) -> io::Result<()> {
        // A tenth of a second's bytes at a time.
        let piece = self.pace.map_or(BUFFER as u64, |pace| pace.div_ceil(10));
        let mut buffer = vec![0; usize::try_from(piece).unwrap_or(BUFFER).min(BUFFER)];
        loop {
            let read = from.read(&mut buffer).await?;
            if read == 0 {
                return to.shutdown().await;
            }
            let passes = self.take(read);
            to.write_all(buffer.get(..passes).unwrap_or_default()).await?;
            to.flush().await?;
            if passes < read {
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            if let Some(pace) = self.pace {
                tokio::time::sleep(Duration::from_secs(1).mul_f64(as_share(read, pace))).await;
            }
        }
    }

    /// How many of `wanted` bytes may pass; they are spent.
    fn take(&self, wanted: usize) -> usize {
        let wanted = wanted as u64;
        let left = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| Some(left.saturating_sub(wanted)));
        usize::try_from(left.unwrap_or_default().min(wanted)).unwrap_or_default()
    }
}

#[expect(clippy::cast_precision_loss, reason = "a buffer's length and a rate")]
fn as_share(bytes: usize, pace: u64) -> f64 {
    bytes as f64 / pace.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_so_many_bytes_pass_both_ways_together() {
        let strain = Strain::of(Some(&Fault::Truncate { bytes: 7 })).unwrap();
        let (mut client, near) = tokio::io::duplex(64);
        let (far, mut server) = tokio::io::duplex(64);
        let told = async {
            client.write_all(b"hello").await.unwrap();
            let mut heard = [0; 5];
            server.read_exact(&mut heard).await.unwrap();
            server.write_all(b"and you").await.unwrap();
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).await.unwrap();
            answer
        };
        let (cut, answer) = tokio::join!(strain.carry(near, far), told);
        assert_eq!(
            (cut.unwrap_err().kind(), answer.as_slice()),
            (io::ErrorKind::ConnectionReset, &b"an"[..])
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_tunnel_takes_its_time() {
        let strain = Strain::of(Some(&Fault::SlowBody { bytes_per_second: 100 })).unwrap();
        let (mut client, near) = tokio::io::duplex(1_024);
        let (far, mut server) = tokio::io::duplex(1_024);
        let began = tokio::time::Instant::now();
        let told = async {
            client.write_all(&[7; 500]).await.unwrap();
            client.shutdown().await.unwrap();
            let mut heard = Vec::new();
            server.read_to_end(&mut heard).await.unwrap();
            drop(server);
            heard.len()
        };
        let (carried, heard) = tokio::join!(strain.carry(near, far), told);
        carried.unwrap();
        assert_eq!((heard, began.elapsed().as_secs()), (500, 5));
    }
}
