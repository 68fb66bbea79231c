//! A connection that can be cut from outside at any moment: russh ends one only in order, with a last word.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::http::line::{Line, Wish};

/// What cuts a connection.
#[derive(Debug, Clone, Default)]
pub(super) struct Scissors {
    wish: Wish,
    cut: CancellationToken,
}

impl Scissors {
    /// Closes the connection without a word.
    pub(super) fn cut(&self) {
        self.cut.cancel();
    }

    /// Resets it (TCP RST).
    pub(super) fn reset(&self) {
        self.wish.reset();
        self.cut.cancel();
    }

    /// `stream`, at the mercy of these.
    pub(super) fn around(&self, stream: TcpStream) -> Thread {
        Thread {
            line: Line::new(stream, self.wish.clone()),
            cut: Box::pin(self.cut.clone().cancelled_owned()),
        }
    }
}

/// A TCP stream that ends when its [`Scissors`] say so.
pub(super) struct Thread {
    line: Line,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Thread {
    fn is_cut(&mut self, context: &mut Context<'_>) -> bool {
        self.cut.as_mut().poll(context).is_ready()
    }
}

impl AsyncRead for Thread {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_cut(context) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Pin::new(&mut self.line).poll_read(context, into)
    }
}

impl AsyncWrite for Thread {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.line).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.line).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.line).poll_shutdown(context)
    }
}
