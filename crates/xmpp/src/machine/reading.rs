//! Bytes to items, for every kind of stream: the scanner, what waits while an answer is awaited, and what is thrown
//! away when TLS begins.

use crate::wire::{Condition, Header, Item, Limits, Scanner, Stanza};

/// What a stream has received and not looked at.
#[derive(Debug)]
pub(crate) struct Reader {
    /// `None` only while it is lent to the loop that reads.
    scanner: Option<Scanner>,
    /// What to do with the scanner before the next item.
    turn: Option<Turn>,
    /// Bytes that arrived while the stream was parked.
    stash: Vec<u8>,
    /// There may be something to read without new bytes.
    unread: bool,
    /// An answer is awaited without which the next item cannot be understood.
    parked: bool,
}

/// A change of the scanner that waits until the current item is let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// A new stream header follows on the same connection, of somebody who is known now.
    Restart,
    /// TLS follows: whatever else has arrived is not to be trusted.
    Forget,
}

impl Reader {
    /// Expects a stream header.
    pub fn new(limits: Limits) -> Reader {
        Reader {
            scanner: Some(Scanner::new(limits)),
            turn: None,
            stash: Vec::new(),
            unread: false,
            parked: false,
        }
    }

    /// A new stream header follows, and perhaps it has come already.
    pub fn restart(&mut self) {
        self.turn = Some(Turn::Restart);
        self.unread = true;
    }

    /// TLS follows.
    pub fn forget(&mut self) {
        self.turn = Some(Turn::Forget);
    }

    /// Reads no further until an answer is there.
    pub fn park(&mut self) {
        self.parked = true;
    }

    /// Goes on reading.
    pub fn unpark(&mut self) {
        self.parked = false;
    }

    /// Is an answer awaited?
    pub fn is_parked(&self) -> bool {
        self.parked
    }

    /// Gives memory back while a connection is idle.
    pub fn relax(&mut self) {
        if let Some(scanner) = &mut self.scanner {
            scanner.relax();
        }
    }

    /// Nothing will be read any more.
    pub fn end(&mut self) {
        self.stash = Vec::new();
    }
}

/// A stream that reads.
pub(crate) trait Reading {
    /// What it has received.
    fn reader(&mut self) -> &mut Reader;
    /// Nothing is heard any more.
    fn is_over(&self) -> bool;
    /// TLS was asked for and is not up yet.
    fn is_securing(&self) -> bool;
    /// What an element may cost before somebody is known.
    fn limits_before(&self) -> Limits;
    /// What an element may cost now.
    fn limits_now(&self) -> Limits;
    /// A stream header.
    fn header(&mut self, header: Header);
    /// A first-level element.
    fn element(&mut self, stanza: &Stanza<'_>);
    /// The peer closed its stream.
    fn closed(&mut self);
    /// What came is no stream.
    fn broken(&mut self, condition: Condition);

    /// Bytes from the peer.
    fn read(&mut self, bytes: &[u8]) {
        if self.is_securing() {
            // Sent in the clear behind our back; nothing of it may be believed (RFC 6120 section 5.4.3.3).
            return;
        }
        let most = self.limits_now().bytes.max(65_536);
        let reader = self.reader();
        if reader.parked {
            reader.stash.extend_from_slice(bytes);
            reader.unread = true;
            if reader.stash.len() > most {
                self.broken(Condition::PolicyViolation);
            }
            return;
        }
        let Some(mut scanner) = reader.scanner.take() else { return };
        let mut input = bytes;
        loop {
            match self.reader().turn.take() {
                Some(Turn::Restart) => scanner.restart(self.limits_now()),
                Some(Turn::Forget) => {
                    scanner.forget();
                    scanner.restart(self.limits_before());
                    input = &[];
                }
                // Whoever is known by now may say more, also where no new stream begins with that (XEP-0220).
                None => scanner.allow(self.limits_now()),
            }
            if self.is_over() {
                return;
            }
            let reader = self.reader();
            if reader.parked {
                // The scanner may hold complete elements too: look again when the answer is there.
                reader.stash.extend_from_slice(input);
                reader.unread = true;
                break;
            }
            match scanner.next(&mut input) {
                Ok(None) => break,
                Ok(Some(Item::Open(header))) => self.header(header),
                Ok(Some(Item::Close)) => self.closed(),
                Ok(Some(Item::Element(stanza))) => self.element(&stanza),
                Err(condition) => self.broken(condition),
            }
        }
        self.reader().scanner = Some(scanner);
    }

    /// Goes on with what arrived while the stream was parked.
    fn resume_reading(&mut self) {
        loop {
            let over = self.is_over();
            let reader = self.reader();
            if !reader.unread || reader.parked || over {
                return;
            }
            reader.unread = false;
            let stash = std::mem::take(&mut reader.stash);
            self.read(&stash);
        }
    }
}
