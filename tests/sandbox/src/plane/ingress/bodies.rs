//! Bodies on their way through the ingress: an upload is counted, an answer is watched for its next byte.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::BoxError;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep};

/// How far a request's body is.
#[derive(Debug, Default)]
pub(super) struct Progress {
    bytes: u64,
    pub(super) too_large: bool,
}

/// A request's body, cut off at a limit: its length need not be told before.
#[derive(Debug)]
pub(super) struct Upload {
    inner: Incoming,
    limit: u64,
    told: watch::Sender<Progress>,
}

impl Upload {
    /// The body, and the news of it: they end with it.
    pub(super) fn new(inner: Incoming, limit: u64) -> (Self, watch::Receiver<Progress>) {
        let (told, progress) = watch::channel(Progress::default());
        (Self { inner, limit, told }, progress)
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
            Some(Ok(frame)) => frame,
            ended => return Poll::Ready(ended.map(|frame| frame.map_err(Into::into))),
        };
        let length = frame.data_ref().map_or(0, Bytes::len).try_into().unwrap_or(u64::MAX);
        let limit = self.limit;
        self.told.send_modify(|progress| {
            progress.bytes = progress.bytes.saturating_add(length);
            progress.too_large = progress.bytes > limit;
        });
        let too_large = self.told.borrow().too_large;
        Poll::Ready(Some(if too_large { Err("the request is too large".into()) } else { Ok(frame) }))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Resolves when nothing has moved for `limit`: no byte of the request, and once that is sent, none of its answer.
pub(super) async fn silence(mut progress: watch::Receiver<Progress>, limit: Duration) {
    loop {
        tokio::select! {
            moved = progress.changed() => if moved.is_err() { break },
            () = tokio::time::sleep(limit) => return,
        }
    }
    tokio::time::sleep(limit).await;
}

/// An answer's body, which breaks off where the next byte takes longer than `gap`.
#[derive(Debug)]
pub(super) struct Paced {
    inner: Incoming,
    gap: Duration,
    timer: Pin<Box<Sleep>>,
    waiting: bool,
}

impl Paced {
    pub(super) fn new(inner: Incoming, gap: Duration) -> Self {
        Self { inner, gap, timer: Box::pin(tokio::time::sleep(gap)), waiting: false }
    }
}

impl Body for Paced {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(cx) {
            self.waiting = false;
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        // Counted from when it is waited for: a client that reads slowly is not the app's fault.
        if !std::mem::replace(&mut self.waiting, true) {
            let end = Instant::now() + self.gap;
            self.timer.as_mut().reset(end);
        }
        ready!(self.timer.as_mut().poll(cx));
        Poll::Ready(Some(Err("the application said nothing for too long".into())))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
