//! What the machine has to say, in order; bytes written one after another leave as one piece.

use std::collections::VecDeque;

use bytes::Bytes;
use connector::{Flow, Output};

#[derive(Debug, Default)]
pub(crate) struct Out {
    queue: VecDeque<Output>,
    bytes: Vec<u8>,
}

impl Out {
    pub fn write(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Writes a buffer without copying it where nothing waits before it.
    pub fn write_vec(&mut self, bytes: Vec<u8>) {
        if self.bytes.is_empty() {
            self.bytes = bytes;
        } else {
            self.bytes.extend_from_slice(&bytes);
        }
    }

    pub fn push(&mut self, output: Output) {
        self.flush();
        self.queue.push_back(output);
    }

    fn flush(&mut self) {
        if !self.bytes.is_empty() {
            let bytes = Bytes::from(std::mem::take(&mut self.bytes));
            self.queue.push_back(Output::Bytes(Flow::ACCEPTED, bytes));
        }
    }

    pub fn pop(&mut self) -> Option<Output> {
        if self.queue.is_empty() {
            self.flush();
        }
        let next = self.queue.pop_front();
        if next.is_none() && self.queue.capacity() > 4 {
            self.queue = VecDeque::new();
        }
        next
    }
}
