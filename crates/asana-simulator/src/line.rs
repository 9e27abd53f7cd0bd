//! A connection that can be broken on purpose, and response bodies that end badly.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

/// Breaks its connection: unsent data is lost, and the peer sees a reset.
#[derive(Clone, Debug, Default)]
pub(crate) struct Breaker(Arc<AtomicBool>);

impl Breaker {
    pub(crate) fn break_line(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_broken(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A stream that fails as soon as its breaker has been used.
pub(crate) struct Line {
    stream: TcpStream,
    breaker: Breaker,
}

impl Line {
    pub(crate) fn new(stream: TcpStream, breaker: Breaker) -> Self {
        Self { stream, breaker }
    }

    fn check(&self) -> io::Result<()> {
        if self.breaker.is_broken() {
            // Without lingering, closing the socket resets the connection.
            self.stream.set_zero_linger()?;
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(())
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// How a body ends.
#[derive(Clone, Debug)]
pub(crate) enum End {
    Whole,
    /// The connection is closed before the announced length.
    Closed,
    /// The connection is reset.
    Reset(Breaker),
}

/// A response body in pieces.
pub(crate) struct Pieces {
    pieces: VecDeque<Bytes>,
    pause: Duration,
    pausing: Option<Pin<Box<Sleep>>>,
    end: End,
    flushed: bool,
    /// The announced length.
    length: u64,
}

impl Pieces {
    pub(crate) fn whole(body: String) -> Self {
        Self::ending(body, usize::MAX, End::Whole)
    }

    /// The first `sent` bytes of a body, and then its end.
    pub(crate) fn ending(body: String, sent: usize, end: End) -> Self {
        let bytes = Bytes::from(body);
        let length = bytes.len() as u64;
        let sent = bytes.slice(..sent.min(bytes.len()));
        Self {
            pieces: VecDeque::from([sent]),
            pause: Duration::ZERO,
            pausing: None,
            end,
            flushed: false,
            length,
        }
    }

    /// The body in ten pieces with a pause before each.
    pub(crate) fn slow(body: String, pause: Duration) -> Self {
        let bytes = Bytes::from(body);
        let length = bytes.len() as u64;
        let step = bytes.len().div_ceil(10).max(1);
        let pieces =
            (0..bytes.len()).step_by(step).map(|from| bytes.slice(from..(from + step).min(bytes.len())));
        Self { pieces: pieces.collect(), pause, pausing: None, end: End::Whole, flushed: false, length }
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if !self.pause.is_zero() && !self.pieces.is_empty() {
            let pause = self.pause;
            let pausing = self.pausing.get_or_insert_with(|| Box::pin(tokio::time::sleep(pause)));
            if pausing.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.pausing = None;
        }
        if let Some(piece) = self.pieces.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        if !matches!(self.end, End::Whole) && !std::mem::replace(&mut self.flushed, true) {
            // The bytes so far must be sent before the end drops the rest. Hyper flushes while a body is pending.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        match std::mem::replace(&mut self.end, End::Whole) {
            End::Whole => Poll::Ready(None),
            End::Closed => Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into()))),
            End::Reset(breaker) => {
                breaker.break_line();
                Poll::Ready(Some(Err(io::ErrorKind::ConnectionReset.into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty() && matches!(self.end, End::Whole)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[test]
    fn a_slow_body_pauses_before_each_of_its_ten_pieces() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let (body, taken) = runtime.unwrap().block_on(async {
            let started = tokio::time::Instant::now();
            let body = Pieces::slow("0123456789".repeat(7), Duration::from_secs(3)).collect().await.unwrap();
            (body.to_bytes(), started.elapsed())
        });
        assert_eq!((body.len(), taken), (70, Duration::from_secs(30)));
    }

    #[test]
    fn a_cut_body_announces_more_than_it_sends_and_fails() {
        let body = Pieces::ending("0123456789".to_owned(), 4, End::Closed);
        assert_eq!(body.size_hint().exact(), Some(10));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert!(runtime.block_on(body.collect()).is_err());
    }
}
