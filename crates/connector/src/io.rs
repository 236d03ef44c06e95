use bytes::Bytes;
use model::{
    Address, Answer, Ask, Certificates, Delivery, DeliveryId, Endpoint, Envelope, LeaseKey, Line, LineNews,
    Notice, Outcome, Refusal, Remains, Settlement, Ticket,
};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// A machine's name for one of its byte streams. A machine of an accepted connection has exactly one at first,
/// [`Flow::ACCEPTED`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flow(pub u32);

impl Flow {
    /// The connection a machine was made for.
    pub const ACCEPTED: Flow = Flow(0);
}

/// Both ends of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Theirs.
    pub remote: SocketAddr,
    /// Ours.
    pub local: SocketAddr,
}

/// What TLS proved and offers, once a flow is secured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsFacts {
    /// The name the client asked for (SNI).
    pub server_name: Option<String>,
    /// `tls-exporter` channel binding (RFC 9266): 32 bytes, TLS 1.3 only.
    pub exporter: Option<[u8; 32]>,
    /// `tls-server-end-point` channel binding (RFC 5929 section 4): hash of our certificate.
    pub server_end_point: Option<Bytes>,
    /// What the peer showed. Where it is another server it is asked for, on connections we open and on those we take;
    /// whether it is good for anything is for `Ask::Admit` to say.
    pub certificates: Option<Certificates>,
}

/// What the driver gives a machine.
#[derive(Debug)]
pub enum Input<'a> {
    /// The flow is open; comes first. On a `TlsMode::Direct` listener `Secured` follows before any bytes.
    Opened(Flow),
    /// Bytes arrived on a stream. Borrowed: copy what outlives the call.
    Bytes(Flow, &'a [u8]),
    /// A datagram arrived on a shared socket.
    Datagram(SocketAddr, &'a [u8]),
    /// TLS is up on the flow, after `Output::Secure` or on a direct listener.
    Secured(Flow, TlsFacts),
    /// The peer closed, the network failed, or the driver gave up on a peer that reads too slowly. Nothing can be
    /// written any more.
    Closed(Flow),
    /// The server stops. Finish what is open, take nothing new, say goodbye, then `Output::Close`; the machine of a
    /// shared socket gives `Output::Close` once nothing is open and still answers what comes. With it, if the operator
    /// named one, the `host:port` to send clients to.
    Drain(Option<Arc<str>>),
    /// The hub hands an envelope to a device this machine bound, or to a lease it holds. To be answered by
    /// `Output::Ack` or `Output::AckWhenWritten`.
    Deliver(Delivery),
    /// A call, or what is said about one. A line that comes is this machine's to end.
    Line(LineNews),
    /// News for a device this machine bound.
    Notice(Endpoint, Notice),
    /// The envelope submitted under this ticket is committed to the journal. Frees the window; says nothing about
    /// delivery. Events that are not journalled are kept at once. Where the outcome is wanted it may come only with that.
    Kept(Ticket),
    /// How the submission ended. Comes always after `Kept` (or instead of it, when the envelope was refused before
    /// the journal could take it), within 5 seconds; for `outcome_wanted: false` only refusals come.
    Settled(Ticket, Settlement),
    /// The answer to an ask.
    Answer(Ticket, Answer),
    /// The answer to `Ask::Resume`: what another machine of this door left with `Output::Linger`. Its devices are
    /// bound by this machine now; what it submitted, asked and was delivered ends here, under its tickets and numbers.
    /// Where that machine was one of the last process, the bytes that its [`Remains`] became: what it submitted and asked
    /// has ended, and what it was delivered and did not acknowledge is delivered again under new numbers.
    Resumed(Ticket, Box<dyn Remains>),
    /// A lease that outlived the machine which held it, or the whole process, and that `Connector::heir` says is
    /// this machine's to go on with. Shared machines hear of theirs before anything else.
    Inherited {
        /// Its name.
        key: LeaseKey,
        /// Who owns it.
        owner: Address,
        /// What was left.
        state: Bytes,
        /// The seconds that are left of it.
        secs: u32,
    },
    /// The deadline passed.
    Tick,
}

/// What a machine gives the driver.
#[derive(Debug)]
pub enum Output {
    /// Write to a stream.
    Bytes(Flow, Bytes),
    /// Send a datagram from the shared socket.
    Datagram(SocketAddr, Bytes),
    /// Start TLS, as server on a flow that was accepted and as client on one we opened, once everything before is
    /// written. Bytes the peer sent in the clear and that are still unread are thrown away. With the domain of ours that
    /// the peer has named, whose certificate it is shown if it names none in TLS (SNI).
    Secure(Flow, Option<Box<str>>),
    /// Write what is queued, then close the flow.
    Close(Flow),
    /// Stop reading a flow (its window is full).
    Pause(Flow),
    /// Read it again.
    Resume(Flow),
    /// Hand an envelope to the hub. `Kept` and `Settled` name the ticket.
    Submit {
        /// The machine's own number for it.
        ticket: Ticket,
        /// What.
        envelope: Box<Envelope>,
        /// True where the outcome must be told whatever it is (a SIP transaction waits for its final response);
        /// false where only a refusal interests (an XMPP stanza).
        outcome_wanted: bool,
    },
    /// Ask the hub.
    Ask {
        /// The machine's own number for it.
        ticket: Ticket,
        /// What.
        ask: Ask,
    },
    /// Say this to the machine at the other end of a line.
    Say(Line, Bytes),
    /// A line is of no use any more. The other end hears it.
    HangUp(Line),
    /// Somebody proved a password, or failed to: for the operator's counters, which name nobody, and for the wait of those
    /// who guess.
    Login {
        /// Whose it was to be; `None` where nothing was tried.
        account: Option<Address>,
        /// Who did, where that is not whoever the connection leads to: a datagram's sender.
        from: Option<IpAddr>,
        /// Whether it was the right one.
        proven: bool,
    },
    /// What became of the errand a machine was made for ([`crate::Connector::dial`]); said once. For
    /// [`crate::Errand::Confirm`] a refusal for [`model::Reason::NotAuthorized`] means no; every other one, and a
    /// machine that ends without a word, that nobody could tell.
    Errand(Result<(), Refusal>),
    /// A bound device becomes ready for messages with this priority, or (`None`) no longer.
    Attend(Endpoint, Option<i8>),
    /// A bound device is gone.
    Unbind(Endpoint),
    /// Leave something with the hub that must outlive this machine (a dialog, a publication), for so many seconds
    /// from now; 0 removes it. Leaving it again replaces state and term. See `Ask::Claim`.
    Lease {
        /// Its name.
        key: LeaseKey,
        /// Who owns it.
        owner: Address,
        /// What the next machine needs to go on. Only this door can read it.
        state: Bytes,
        /// Seconds.
        secs: u32,
    },
    /// What this machine has bound may be taken over by another machine of this door, with `Ask::Resume` under this key.
    Resumable {
        /// The session's name; whoever knows it and is the owner may resume it.
        key: LeaseKey,
        /// Who owns it.
        owner: Address,
    },
    /// The end of a machine that is resumable: what it bound stays bound, and what comes for it waits, for so many
    /// seconds, the end of the process in order included; nobody hears it go before that. Nothing the machine says after this is heard, and
    /// it is told nothing more.
    Linger {
        /// What the next machine needs to go on.
        state: Box<dyn Remains>,
        /// Seconds.
        secs: u32,
    },
    /// What became of a delivery. A delivery that is never acknowledged goes back to the mailbox when the machine
    /// ends.
    Ack(DeliveryId, Settlement),
    /// The same, but only once every byte given out so far for the flow is written to the network: for dialects
    /// without acknowledgements. If the flow closes before, the delivery goes back to the mailbox.
    AckWhenWritten(FlushedAck),
}

/// An acknowledgement that waits for bytes to be written.
#[derive(Debug)]
pub struct FlushedAck {
    /// The flow whose bytes must be out.
    pub flow: Flow,
    /// Which delivery.
    pub delivery: DeliveryId,
    /// What became of it.
    pub settlement: Settlement,
}

impl Output {
    /// Acknowledges a delivery with an outcome and no losses.
    pub fn ack(delivery: DeliveryId, outcome: Outcome) -> Self {
        Self::Ack(delivery, outcome.into())
    }
}
