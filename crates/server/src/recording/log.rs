//! What one machine was given and what it said, kept until the end.

use connector::{Input, Output};
use model::{Answer, Ask, Credential, Delivery, Endpoint, Notice, Settlement, Ticket};
use std::net::SocketAddr;
use std::time::Duration;

/// One input, owned; with keys and states left out.
#[derive(Debug)]
pub(super) enum Taken {
    Opened,
    Bytes(Vec<u8>),
    Datagram(SocketAddr, Vec<u8>),
    Secured { exporter: bool },
    Closed,
    Drain,
    Deliver(Delivery),
    Notice(Endpoint, Notice),
    Kept(Ticket),
    Settled(Ticket, Settlement),
    Answer(Ticket, Answer),
    Resumed,
    Inherited,
    Line,
    Tick,
}

/// One output, as far as it matters for telling the story again.
#[derive(Debug)]
pub(super) struct Said {
    pub kind: &'static str,
    /// Of a submission or a question.
    pub ticket: Option<Ticket>,
    /// The user whose password or key was asked for.
    pub user: Option<String>,
    pub proven: Option<bool>,
    /// What the machine invented.
    pub tokens: Vec<String>,
}

/// One input with what came of it.
#[derive(Debug)]
pub(super) struct Entry {
    /// Since the first.
    pub at: Duration,
    pub input: Taken,
    pub said: Vec<Said>,
}

impl Taken {
    pub(super) fn new(input: &Input<'_>) -> Self {
        match input {
            Input::Opened(_) => Self::Opened,
            Input::Bytes(_, bytes) => Self::Bytes(bytes.to_vec()),
            Input::Datagram(from, bytes) => Self::Datagram(*from, bytes.to_vec()),
            Input::Secured(_, facts) => Self::Secured { exporter: facts.exporter.is_some() },
            Input::Closed(_) => Self::Closed,
            Input::Drain(_) => Self::Drain,
            Input::Deliver(delivery) => Self::Deliver(delivery.clone()),
            Input::Notice(device, notice) => Self::Notice(device.clone(), notice.clone()),
            Input::Kept(ticket) => Self::Kept(*ticket),
            Input::Settled(ticket, settlement) => Self::Settled(*ticket, settlement.clone()),
            Input::Answer(ticket, Answer::Credential(Some(_))) => {
                Self::Answer(*ticket, Answer::Credential(Some(Credential::Ha1(bytes::Bytes::new()))))
            }
            Input::Answer(ticket, answer) => Self::Answer(*ticket, answer.clone()),
            Input::Resumed(..) => Self::Resumed,
            Input::Inherited { .. } => Self::Inherited,
            Input::Line(_) => Self::Line,
            Input::Tick => Self::Tick,
        }
    }

    /// About how many bytes are held for it.
    pub(super) fn size(&self) -> usize {
        128 + match self {
            Self::Bytes(bytes) | Self::Datagram(_, bytes) => bytes.len(),
            Self::Deliver(delivery) => match &delivery.envelope.event {
                model::Event::Message(m) => m.parts.iter().map(|p| p.body.len()).sum::<usize>() + 1024,
                _ => 1024,
            },
            Self::Answer(_, Answer::Roster(items)) => items.len() * 128,
            _ => 0,
        }
    }
}

impl Said {
    pub(super) fn new(output: &Output) -> Self {
        let mut said =
            Self { kind: kind(output), ticket: None, user: None, proven: None, tokens: Vec::new() };
        match output {
            Output::Bytes(_, bytes) | Output::Datagram(_, bytes) => said.tokens = tokens(bytes),
            Output::Submit { ticket, .. } => said.ticket = Some(*ticket),
            Output::Ask { ticket, ask } => {
                said.ticket = Some(*ticket);
                if let Ask::Credential { account, .. } | Ask::Verify { account, .. } = ask {
                    said.user = account.user().map(str::to_owned);
                }
            }
            Output::Lease { key, .. } => said.tokens = vec![key.0.to_string()],
            Output::Login { proven, .. } => said.proven = Some(*proven),
            _ => {}
        }
        said
    }

    pub(super) fn size(&self) -> usize {
        64 + self.tokens.iter().map(|t| t.len() + 24).sum::<usize>()
    }
}

/// The sort of an output, for comparing two stories.
pub(super) fn kind(output: &Output) -> &'static str {
    match output {
        Output::Bytes(..) => "bytes",
        Output::Datagram(..) => "datagram",
        Output::Secure(..) => "secure",
        Output::Close(_) => "close",
        Output::Pause(_) => "pause",
        Output::Resume(_) => "resume",
        Output::Submit { .. } => "submit",
        Output::Ask { .. } => "ask",
        Output::Say(..) => "say",
        Output::HangUp(_) => "hang-up",
        Output::Login { .. } => "login",
        Output::Errand(_) => "errand",
        Output::Attend(..) => "attend",
        Output::Unbind(_) => "unbind",
        Output::Lease { .. } => "lease",
        Output::Resumable { .. } => "resumable",
        Output::Linger { .. } => "linger",
        Output::Ack(..) | Output::AckWhenWritten(_) => "ack",
    }
}

/// What a machine may have invented in these bytes: names of dialogs, transactions, stanzas and challenges, in order.
pub(super) fn tokens(bytes: &[u8]) -> Vec<String> {
    const MARKS: [(&str, &[char]); 8] = [
        (" id='", &['\'']),
        ("previd='", &['\'']),
        ("nonce=\"", &['"']),
        (";tag=", &[';', '\r', '>', ',']),
        (";branch=", &[';', '\r', ',']),
        ("\r\nCall-ID: ", &['\r']),
        ("\r\nSIP-ETag: ", &['\r']),
        ("\r\nimdn.Message-ID: ", &['\r']),
    ];
    let text = String::from_utf8_lossy(bytes);
    let mut found: Vec<(usize, &str)> = Vec::new();
    for (mark, ends) in MARKS {
        for (at, _) in text.match_indices(mark) {
            let value = &text[at + mark.len()..];
            found.push((at, value.split(ends).next().unwrap_or_default()));
        }
    }
    found.sort_unstable();
    found.into_iter().map(|(_, value)| value.to_owned()).collect()
}
