//! A listener whose connections are bounded in number, in silence and in the time that they take to ask, so that a client that says
//! nothing, or a byte now and then, costs little and not for long.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep};

/// Accepts at most so many connections at once; the others wait in the kernel's queue.
pub(super) struct Bounded {
    listener: TcpListener,
    places: Arc<Semaphore>,
    limits: Limits,
}

/// What a connection may take its time for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// From its beginning, or a later request's first byte, until an answer is begun. Nothing that is served takes long, and none has a
    /// body: that is the time of a request's head.
    pub(super) asking: Duration,
    /// Neither to send nor to take a byte.
    pub(super) silence: Duration,
}

impl Bounded {
    pub(super) fn new(listener: TcpListener, connections: usize, limits: Limits) -> Self {
        Self { listener, places: Arc::new(Semaphore::new(connections)), limits }
    }
}

impl Listener for Bounded {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        // The semaphore is never closed; without a place the connection would only be uncounted.
        let place = Arc::clone(&self.places).acquire_owned().await.ok();
        let (stream, peer) = Listener::accept(&mut self.listener).await;
        let limits = self.limits;
        let (asking, idle) = (Some(Box::pin(sleep(limits.asking))), Box::pin(sleep(limits.silence)));
        (Connection { stream, asking, idle, limits, _place: place }, peer)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that ends itself when nothing moves on it, or not fast enough.
pub(super) struct Connection {
    stream: TcpStream,
    /// While a request is awaited that has begun.
    asking: Option<Pin<Box<Sleep>>>,
    idle: Pin<Box<Sleep>>,
    limits: Limits,
    _place: Option<OwnedSemaphorePermit>,
}

impl Connection {
    /// Passes on what moved, and turns a wait that has become too long into an error.
    fn watched<T>(&mut self, cx: &mut Context<'_>, moved: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if moved.is_ready() {
            let silence = self.limits.silence;
            self.idle.as_mut().reset(Instant::now() + silence);
            return moved;
        }
        self.idle.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Whether the request takes too long, however lively it comes.
    fn is_late(&mut self, cx: &mut Context<'_>) -> bool {
        self.asking.as_mut().is_some_and(|asking| asking.as_mut().poll(cx).is_ready())
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_late(cx) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if read.is_ready() && self.asking.is_none() {
            self.asking = Some(Box::pin(sleep(self.limits.asking)));
        }
        self.watched(cx, read)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.asking = None;
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watched(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.asking = None;
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.watched(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
