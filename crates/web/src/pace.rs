//! Connections that must get on: who neither sends nor takes bytes, or too few, loses theirs.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// How long nothing may move.
const PATIENCE: Duration = Duration::from_secs(30);

/// Bytes a second that must move on average.
const RATE: u64 = 4096;

/// What the connection and whoever answers on it share.
#[derive(Default)]
pub(crate) struct Pace {
    resting: AtomicBool,
}

impl Pace {
    /// It is our turn: for now nothing is expected of the other side.
    pub fn rest(self: &Arc<Self>) -> Rest {
        self.resting.store(true, Relaxed);
        Rest(self.clone())
    }
}

/// For as long as this is there it is our turn.
pub(crate) struct Rest(Arc<Pace>);

impl Drop for Rest {
    fn drop(&mut self) {
        self.0.resting.store(false, Relaxed);
    }
}

/// A connection whose other side must get on.
pub(crate) struct Paced<I> {
    io: I,
    pace: Arc<Pace>,
    until: Instant,
    alarm: Pin<Box<Sleep>>,
}

impl<I> Paced<I> {
    pub fn new(io: I, pace: Arc<Pace>) -> Self {
        Self { io, pace, until: Instant::now() + PATIENCE, alarm: Box::pin(sleep(PATIENCE)) }
    }

    fn moved(&mut self, bytes: usize) {
        let earned = Duration::from_millis(bytes as u64 * 1000 / RATE);
        self.until = (self.until + earned).min(Instant::now() + PATIENCE);
    }

    /// Nothing can move now: is it too late?
    fn wait<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if self.pace.resting.load(Relaxed) {
            self.until = Instant::now() + PATIENCE;
        }
        let until = self.until;
        self.alarm.as_mut().reset(until);
        match self.alarm.as_mut().poll(cx) {
            Poll::Ready(()) if !self.pace.resting.load(Relaxed) => {
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "too slow")))
            }
            _ => Poll::Pending,
        }
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Paced<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        match Pin::new(&mut self.io).poll_read(cx, buf) {
            Poll::Ready(end) => {
                self.moved(buf.filled().len() - before);
                Poll::Ready(end)
            }
            Poll::Pending => self.wait(cx),
        }
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Paced<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.io).poll_write(cx, bytes) {
            Poll::Ready(end) => {
                self.moved(end.as_ref().copied().unwrap_or(0));
                Poll::Ready(end)
            }
            Poll::Pending => self.wait(cx),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.io).poll_flush(cx) {
            Poll::Pending => self.wait(cx),
            ready => ready,
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.io).poll_shutdown(cx) {
            Poll::Pending => self.wait(cx),
            ready => ready,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test(start_paused = true)]
    async fn who_does_not_get_on_loses_the_connection() {
        let (near, mut far) = tokio::io::duplex(64);
        let pace = Arc::new(Pace::default());
        let mut near = Paced::new(near, pace.clone());
        // A byte now and then is not enough, however often.
        let dripping = tokio::spawn(async move {
            while far.write_all(b"x").await.is_ok() {
                sleep(Duration::from_secs(5)).await;
            }
        });
        let mut all = Vec::new();
        let end = near.read_to_end(&mut all).await.unwrap_err();
        assert_eq!(end.kind(), io::ErrorKind::TimedOut);
        assert!(all.len() <= 7, "{} bytes", all.len());
        drop(near);
        dripping.await.unwrap();
        // While it is our turn nobody is late.
        let (near, mut far) = tokio::io::duplex(64);
        let mut near = Paced::new(near, pace.clone());
        let rest = pace.rest();
        let late = tokio::spawn(async move {
            sleep(Duration::from_secs(100)).await;
            drop(rest);
            far.write_all(b"at last").await.unwrap();
        });
        let mut seven = [0; 7];
        near.read_exact(&mut seven).await.unwrap();
        late.await.unwrap();
    }
}
