//! The bytes between a client's channel and a git program: at their own pace, or as a fault has it.

use std::time::Duration;

use russh::server::Msg;
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin};

use crate::world::Fault;

pub(super) const STDERR: u32 = 1;
const CHUNK: usize = 32 * 1024;

/// The client's bytes to git, and its end. Resolves when the client is gone.
pub(super) async fn feed(from_client: &mut ChannelReadHalf, mut stdin: Option<ChildStdin>) {
    loop {
        match from_client.wait().await {
            None | Some(ChannelMsg::Close) => return,
            Some(ChannelMsg::Eof) => stdin = None,
            Some(ChannelMsg::Data { data }) => {
                // A git that no longer reads has said why on its other end.
                if let Some(pipe) = stdin.as_mut()
                    && pipe.write_all(&data).await.is_err()
                {
                    stdin = None;
                }
            }
            Some(_) => {}
        }
    }
}

/// How git's answers get to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Open,
    /// Only the greeting, without which there would be no push at all, is let through: the rest is what gets lost.
    Lost,
    /// Only so many bytes per second.
    Slow(u64),
}

impl Way {
    pub(super) fn of(fault: Option<&Fault>) -> Self {
        match fault {
            Some(Fault::DropAfter | Fault::Reset { .. }) => Self::Lost,
            Some(Fault::SlowBody { bytes_per_second }) => Self::Slow(*bytes_per_second),
            _ => Self::Open,
        }
    }

    /// The bytes that go at once, and the time until the next may.
    fn piece(self) -> (usize, Duration) {
        match self {
            // A tenth of a second's bytes at a time.
            Self::Slow(pace) => (
                usize::try_from(pace.div_ceil(10)).unwrap_or(CHUNK).clamp(1, CHUNK),
                Duration::from_millis(100),
            ),
            Self::Open | Self::Lost => (CHUNK, Duration::ZERO),
        }
    }
}

/// git's answers to the client; its exit code.
pub(super) async fn output(
    child: &mut Child,
    to_client: &ChannelWriteHalf<Msg>,
    way: Way,
) -> std::io::Result<u32> {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    if way == Way::Lost {
        greet(stdout, to_client).await?;
    } else {
        let piece = way.piece();
        tokio::try_join!(
            forward(stdout, to_client, None, piece),
            forward(stderr, to_client, Some(STDERR), piece)
        )?;
    }
    let status = child.wait().await?;
    Ok(status.code().and_then(|code| u32::try_from(code).ok()).unwrap_or(1))
}

async fn forward(
    stream: Option<impl AsyncRead + Unpin>,
    to_client: &ChannelWriteHalf<Msg>,
    ext: Option<u32>,
    (size, pause): (usize, Duration),
) -> std::io::Result<()> {
    let Some(mut stream) = stream else { return Ok(()) };
    let mut chunk = vec![0; size];
    loop {
        let read = stream.read(&mut chunk).await?;
        if read == 0 {
            return Ok(());
        }
        let data = bytes::Bytes::copy_from_slice(&chunk[..read]);
        match ext {
            Some(ext) => to_client.extended_data_bytes(ext, data).await,
            None => to_client.data_bytes(data).await,
        }
        .map_err(std::io::Error::other)?;
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }
}

/// Passes the list of refs on, up to its flush packet, and swallows the rest.
async fn greet(
    stream: Option<impl AsyncRead + Unpin>,
    to_client: &ChannelWriteHalf<Msg>,
) -> std::io::Result<()> {
    let Some(mut stream) = stream else { return Ok(()) };
    loop {
        let mut packet = vec![0; 4];
        stream.read_exact(&mut packet).await?;
        let length = std::str::from_utf8(&packet).ok().and_then(|hex| usize::from_str_radix(hex, 16).ok());
        let length = length.ok_or(std::io::ErrorKind::InvalidData)?;
        packet.resize(length.max(4), 0);
        stream.read_exact(&mut packet[4..]).await?;
        to_client.data_bytes(packet).await.map_err(std::io::Error::other)?;
        if length == 0 {
            break;
        }
    }
    tokio::io::copy(&mut stream, &mut tokio::io::sink()).await.map(drop)
}
