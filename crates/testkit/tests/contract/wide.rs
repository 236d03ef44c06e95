//! The contract as it is, and what the studies found missing.

use bytes::Bytes;
use connector::{Flow, Input, Machine, Output};
use model::{Now, Reason, Tick};

/// One HTTP request that waits for its reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exchange(pub u64);

/// Content that is too large for memory, in the house's keeping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blob(pub u64);

/// What a machine is given.
pub enum Give<'a> {
    /// What it is given today. `Opened` also tells that a dialled flow is there.
    Now(Input<'a>),
    /// A dialled flow did not come about.
    Failed(Flow, Reason),
    /// A request on a path that the door declared.
    Request(Exchange, &'a str),
    /// Whoever made the request is gone: nothing can be replied.
    Gone(Exchange),
    /// So many more bytes of a blob are safe.
    Spooled(Blob, usize),
    /// The bytes asked for.
    Fetched(Blob, Bytes),
    /// Everything given out for the flow before `WhenWritten` is written.
    Writable(Flow),
}

/// What a machine gives.
pub enum Get {
    /// What it gives today.
    Now(Output),
    /// Dial the server of a domain; names, addresses and TLS are the driver's affair.
    Open(Flow, String),
    /// The answer to a request.
    Reply(Exchange, u16, String),
    /// Append to a blob.
    Spool(Blob, Bytes),
    /// Read so many bytes of a blob.
    Fetch(Blob, u64, usize),
    /// Tell when everything so far is written.
    WhenWritten(Flow),
}

/// A machine of the wider contract.
pub trait Wide {
    fn handle(&mut self, now: Now, given: Give<'_>);
    fn poll(&mut self) -> Option<Get>;
    fn deadline(&self) -> Option<Tick> {
        None
    }
}

/// A machine of the contract as it is.
pub struct Today<M>(pub M);

impl<M: Machine> Wide for Today<M> {
    fn handle(&mut self, now: Now, given: Give<'_>) {
        match given {
            Give::Now(input) => self.0.handle(now, input),
            _ => panic!("the contract has no such input"),
        }
    }

    fn poll(&mut self) -> Option<Get> {
        self.0.poll().map(Get::Now)
    }

    fn deadline(&self) -> Option<Tick> {
        self.0.deadline()
    }
}
