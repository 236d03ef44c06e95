//! Bytes on their way out, and the acknowledgements that wait for them.

use crate::stream::Stream;
use connector::FlushedAck;
use model::DeliveryId;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::task::{Context, Poll, ready};

/// Above this the driver stops feeding the machine until the peer has read some.
pub(crate) const HIGH_WATER: usize = 256 * 1024;
/// Buffers larger than this are given back to the allocator.
const KEPT_CAPACITY: usize = 64 * 1024;
/// Spare buffers each thread keeps, so that a quiet connection owns none.
const SPARES: usize = 16;

thread_local! {
    static POOL: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// What a connection has yet to write. Owns a buffer only while it holds bytes.
#[derive(Default)]
pub(crate) struct Outbox {
    buffer: Vec<u8>,
    start: usize,
    /// Bytes queued and written since the beginning.
    queued: u64,
    written: u64,
    unflushed: bool,
    acks: VecDeque<(u64, FlushedAck)>,
}

impl Outbox {
    pub fn push(&mut self, bytes: &[u8]) {
        if self.buffer.capacity() == 0 {
            self.buffer = POOL.with_borrow_mut(Vec::pop).unwrap_or_default();
        }
        self.buffer.extend_from_slice(bytes);
        self.queued += bytes.len() as u64;
    }

    pub fn push_ack(&mut self, ack: FlushedAck) {
        self.acks.push_back((self.queued, ack));
    }

    pub fn len(&self) -> usize {
        self.buffer.len() - self.start
    }

    pub fn is_flushed(&self) -> bool {
        self.len() == 0 && !self.unflushed
    }

    /// The next acknowledgement whose bytes are out.
    pub fn pop_ack(&mut self) -> Option<FlushedAck> {
        let out = if self.unflushed { 0 } else { self.written };
        self.acks.pop_front_if(|(due, _)| *due <= out).map(|(_, ack)| ack)
    }

    /// Gives up the oldest acknowledgement, whose bytes may never be out.
    pub fn drop_ack(&mut self) -> Option<DeliveryId> {
        self.acks.pop_front().map(|(_, ack)| ack.delivery)
    }

    /// Writes what it can. Ready when everything is out; `true` if anything moved.
    pub fn poll_write(
        &mut self,
        stream: &mut Stream,
        cx: &mut Context<'_>,
        moved: &mut bool,
    ) -> Poll<io::Result<()>> {
        while self.len() > 0 {
            let n = ready!(stream.poll_write(cx, &self.buffer[self.start..]))?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.start += n;
            self.written += n as u64;
            self.unflushed = true;
            *moved = true;
        }
        self.release();
        if self.unflushed {
            ready!(stream.poll_flush(cx))?;
            self.unflushed = false;
            *moved = true;
        }
        Poll::Ready(Ok(()))
    }

    fn release(&mut self) {
        if self.buffer.capacity() == 0 {
            return;
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        self.start = 0;
        buffer.clear();
        if buffer.capacity() <= KEPT_CAPACITY {
            POOL.with_borrow_mut(|pool| {
                if pool.len() < SPARES {
                    pool.push(buffer);
                }
            });
        }
    }
}
