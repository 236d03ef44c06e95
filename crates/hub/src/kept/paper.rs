//! What is written down of a session, as bytes: a version, then fields of `tag (1 byte), length (4 bytes, big-endian), bytes`. They
//! are read once, by the next process; one that cannot read them lets the sessions end.

use crate::presence::from_hub;
use bytes::Bytes;
use model::codec::{decode, encode_body, encode_head};
use model::{
    Address, Device, Dialect, Endpoint, Envelope, Event, Judgement, LeaseKey, Publish, Role, Timestamp, Tuple,
};
use std::sync::Arc;

const VERSION: u8 = 1;

/// A session that waits for its client.
pub(super) struct Paper {
    pub key: LeaseKey,
    pub dialect: Dialect,
    pub device: Device,
    pub attend: Option<i8>,
    pub announces: bool,
    pub roster: bool,
    pub blocks: bool,
    pub directed: Vec<Endpoint>,
    /// What it says of its user, and under which key.
    pub said: Option<(LeaseKey, Vec<Tuple>)>,
    /// What its machine left.
    pub left: Bytes,
    pub news: Vec<News>,
}

/// What it was to be told.
#[derive(Debug, PartialEq)]
pub(super) enum News {
    /// A copy, a request, a receipt.
    Told { role: Role, since: Option<Timestamp>, envelope: Arc<Envelope> },
    /// Its list changed here.
    Listed(Address),
    /// These are blocked.
    Blocked(Vec<Address>),
    /// These are blocked no more; none: nobody is.
    Unblocked(Vec<Address>),
    /// How somebody is; with the devices that went.
    Seen(Address, Vec<Option<Device>>),
}

/// What the clients of a house believe of the presence of somebody, and nobody may say again.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Memory {
    /// Devices of an account of ours that were there otherwise than by a session that waits.
    pub said: Vec<Option<Device>>,
    /// Devices of people elsewhere, as its own sessions were told.
    pub abroad: Vec<(Address, Vec<Option<Device>>)>,
}

// Tags of a session.
const KEY: u8 = 1;
const DIALECT: u8 = 2;
const DEVICE: u8 = 3;
const ATTEND: u8 = 4;
const FLAGS: u8 = 5;
const DIRECTED: u8 = 6;
const SAID: u8 = 7;
const LEFT: u8 = 8;
const TOLD: u8 = 9;
const LISTED: u8 = 10;
const BLOCKED: u8 = 11;
const UNBLOCKED: u8 = 12;
const SEEN: u8 = 13;
// Tags of a memory.
const SAID_OF: u8 = 14;
const ABROAD: u8 = 15;
// Tags of what is nested in them.
const ADDRESS: u8 = 16;
const NO_DEVICE: u8 = 17;
const ROLE: u8 = 18;
const SINCE: u8 = 19;
const HEAD: u8 = 20;
const BODY: u8 = 21;

impl Paper {
    pub fn to_bytes(&self, owner: &Address) -> Vec<u8> {
        let mut out = vec![VERSION];
        put(&mut out, KEY, self.key.0.as_bytes());
        put(&mut out, DIALECT, &[self.dialect as u8]);
        put(&mut out, DEVICE, self.device.as_str().as_bytes());
        if let Some(priority) = self.attend {
            put(&mut out, ATTEND, &priority.to_be_bytes());
        }
        let flags = [self.announces, self.roster, self.blocks];
        put(&mut out, FLAGS, &flags.map(u8::from));
        for to in &self.directed {
            nest(&mut out, DIRECTED, |out| endpoint(out, &to.address, to.device.as_ref()));
        }
        if let Some((key, words)) = &self.said {
            nest(&mut out, SAID, |out| {
                put(out, KEY, key.0.as_bytes());
                words.iter().for_each(|tuple| put(out, SINCE, &tuple.at.0.to_be_bytes()));
                publish(out, owner, words);
            });
        }
        put(&mut out, LEFT, &self.left);
        for news in &self.news {
            news.write(&mut out);
        }
        out
    }

    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (mut key, mut dialect, mut device, mut left) = (None, None, None, None);
        let (mut attend, mut flags, mut directed, mut said) = (None, [0; 3], Vec::new(), None);
        let mut news = Vec::new();
        for field in fields(versioned(bytes)?) {
            let (tag, v) = field?;
            match tag {
                KEY => key = Some(LeaseKey::new(text(v)?)),
                DIALECT => dialect = Dialect::from_code(*v.first()?),
                DEVICE => device = Some(Device::new(text(v)?).ok()?),
                ATTEND => attend = Some(i8::from_be_bytes(v.try_into().ok()?)),
                FLAGS => flags = v.try_into().ok()?,
                DIRECTED => {
                    let (address, devices) = whom(v)?;
                    let device = devices.into_iter().next().flatten();
                    directed.push(Endpoint { address, device });
                }
                SAID => {
                    let (tag, key) = fields(v).next()??;
                    let words = read_publish(v)?;
                    said = (tag == KEY).then_some((LeaseKey::new(text(key)?), words));
                }
                LEFT => left = Some(Bytes::copy_from_slice(v)),
                _ => news.push(News::parse(tag, v)?),
            }
        }
        let [announces, roster, blocks] = flags.map(|flag| flag == 1);
        Some(Self {
            key: key?,
            dialect: dialect?,
            device: device?,
            attend,
            announces,
            roster,
            blocks,
            directed,
            said,
            left: left?,
            news,
        })
    }
}

impl News {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Told { role, since, envelope: told } => nest(out, TOLD, |out| {
                put(out, ROLE, &[u8::from(*role == Role::Copy)]);
                if let Some(since) = since {
                    put(out, SINCE, &since.0.to_be_bytes());
                }
                envelope(out, told);
            }),
            Self::Listed(contact) => put(out, LISTED, contact.as_str().as_bytes()),
            Self::Blocked(who) => nest(out, BLOCKED, |out| addresses(out, who)),
            Self::Unblocked(who) => nest(out, UNBLOCKED, |out| addresses(out, who)),
            Self::Seen(who, gone) => nest(out, SEEN, |out| devices_of(out, who, gone)),
        }
    }

    fn parse(tag: u8, v: &[u8]) -> Option<Self> {
        match tag {
            TOLD => {
                let (mut role, mut since) = (Role::Primary, None);
                for field in fields(v) {
                    match field? {
                        (ROLE, [1]) => role = Role::Copy,
                        (SINCE, at) => since = Some(Timestamp(u64::from_be_bytes(at.try_into().ok()?))),
                        _ => {}
                    }
                }
                Some(Self::Told { role, since, envelope: read_envelope(v)? })
            }
            LISTED => Some(Self::Listed(address(v)?)),
            BLOCKED => Some(Self::Blocked(read_addresses(v)?)),
            UNBLOCKED => Some(Self::Unblocked(read_addresses(v)?)),
            SEEN => whom(v).map(|(who, gone)| Self::Seen(who, gone)),
            _ => None,
        }
    }
}

impl Memory {
    pub fn is_empty(&self) -> bool {
        self.said.is_empty() && self.abroad.is_empty()
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        nest(&mut out, SAID_OF, |out| devices(out, &self.said));
        for (who, there) in &self.abroad {
            nest(&mut out, ABROAD, |out| devices_of(out, who, there));
        }
        out
    }

    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut memory = Self::default();
        for field in fields(versioned(bytes)?) {
            match field? {
                (SAID_OF, v) => memory.said = read_devices(v)?,
                (ABROAD, v) => memory.abroad.push(whom(v)?),
                _ => return None,
            }
        }
        Some(memory)
    }
}

fn put(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    out.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(bytes);
}

fn nest(out: &mut Vec<u8>, tag: u8, fill: impl FnOnce(&mut Vec<u8>)) {
    let mut inner = Vec::new();
    fill(&mut inner);
    put(out, tag, &inner);
}

fn envelope(out: &mut Vec<u8>, envelope: &Envelope) {
    put(out, HEAD, &encode_head(envelope, &Judgement::default()));
    put(out, BODY, &encode_body(envelope));
}

/// Words as the journal has them, which knows only when all of them were said.
fn publish(out: &mut Vec<u8>, owner: &Address, words: &[Tuple]) {
    let publish = Publish { key: LeaseKey::new(""), tuples: words.to_vec(), secs: None };
    envelope(out, &from_hub(owner.clone(), owner.clone(), Event::Publish(publish)));
}

fn addresses(out: &mut Vec<u8>, who: &[Address]) {
    who.iter().for_each(|who| put(out, ADDRESS, who.as_str().as_bytes()));
}

fn devices(out: &mut Vec<u8>, devices: &[Option<Device>]) {
    for device in devices {
        match device {
            Some(device) => put(out, DEVICE, device.as_str().as_bytes()),
            None => put(out, NO_DEVICE, &[]),
        }
    }
}

fn devices_of(out: &mut Vec<u8>, who: &Address, there: &[Option<Device>]) {
    put(out, ADDRESS, who.as_str().as_bytes());
    devices(out, there);
}

fn endpoint(out: &mut Vec<u8>, address: &Address, device: Option<&Device>) {
    devices_of(out, address, &[device.cloned()]);
}

fn versioned(bytes: &[u8]) -> Option<&[u8]> {
    bytes.strip_prefix(&[VERSION])
}

/// The fields; one that is cut ends them with `None`.
fn fields(mut rest: &[u8]) -> impl Iterator<Item = Option<(u8, &[u8])>> {
    std::iter::from_fn(move || {
        let (tag, after) = rest.split_first()?;
        let cut = |after: &mut &'_ [u8]| *after = &[];
        let Some((len, after)) = after.split_first_chunk::<4>() else {
            cut(&mut rest);
            return Some(None);
        };
        let Some((value, after)) = after.split_at_checked(u32::from_be_bytes(*len) as usize) else {
            cut(&mut rest);
            return Some(None);
        };
        rest = after;
        Some(Some((*tag, value)))
    })
}

fn text(v: &[u8]) -> Option<&str> {
    std::str::from_utf8(v).ok()
}

fn address(v: &[u8]) -> Option<Address> {
    Address::parse(text(v)?).ok()
}

fn read_addresses(v: &[u8]) -> Option<Vec<Address>> {
    fields(v).map(|field| address(field?.1)).collect()
}

fn read_devices(v: &[u8]) -> Option<Vec<Option<Device>>> {
    let mut devices = Vec::new();
    for field in fields(v) {
        match field? {
            (DEVICE, name) => devices.push(Some(Device::new(text(name)?).ok()?)),
            (NO_DEVICE, _) => devices.push(None),
            _ => {}
        }
    }
    Some(devices)
}

fn whom(v: &[u8]) -> Option<(Address, Vec<Option<Device>>)> {
    let (tag, who) = fields(v).next()??;
    (tag == ADDRESS).then_some((address(who)?, read_devices(v)?))
}

fn read_publish(v: &[u8]) -> Option<Vec<Tuple>> {
    let envelope = Arc::unwrap_or_clone(read_envelope(v)?);
    let Event::Publish(Publish { mut tuples, .. }) = envelope.event else { return None };
    let mut said = tuples.iter_mut();
    for field in fields(v) {
        if let (SINCE, at) = field? {
            said.next()?.at = Timestamp(u64::from_be_bytes(at.try_into().ok()?));
        }
    }
    Some(tuples)
}

fn read_envelope(v: &[u8]) -> Option<Arc<Envelope>> {
    let (mut head, mut body) = (None, None);
    for field in fields(v) {
        match field? {
            (HEAD, v) => head = Some(v),
            (BODY, v) => body = Some(v),
            _ => {}
        }
    }
    decode(head?, Some(body?)).ok().map(|kept| Arc::new(kept.envelope))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Basic, Message, Part};

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    fn paper() -> Paper {
        let (ann, bob) = (address("ann@example.net"), address("bob@example.net"));
        let phone = Device::new("phone").unwrap();
        let tuples = vec![Tuple::plain(Some(phone.clone()), Basic::Open, Timestamp(7))];
        let message = Message { parts: vec![Part::text("hello", None)], ..Message::default() };
        let told = from_hub(bob.clone(), ann.clone(), Event::Message(message));
        Paper {
            key: LeaseKey::new("s"),
            dialect: Dialect::Xmpp,
            device: phone.clone(),
            attend: Some(-3),
            announces: true,
            roster: false,
            blocks: true,
            directed: vec![bob.clone().into(), Endpoint::full(bob.clone(), phone.clone())],
            said: Some((LeaseKey::new("said"), tuples)),
            left: Bytes::from_static(b"\x01opaque"),
            news: vec![
                News::Told { role: Role::Copy, since: None, envelope: told.clone() },
                News::Told { role: Role::Primary, since: Some(Timestamp(9)), envelope: told },
                News::Listed(bob.clone()),
                News::Blocked(vec![bob.clone()]),
                News::Unblocked(Vec::new()),
                News::Seen(bob, vec![None, Some(phone)]),
            ],
        }
    }

    #[test]
    fn what_is_written_reads_the_same() {
        let paper = paper();
        let bytes = paper.to_bytes(&address("ann@example.net"));
        let read = Paper::parse(&bytes).unwrap();
        assert_eq!((read.attend, read.announces, read.roster, read.blocks), (Some(-3), true, false, true));
        assert_eq!((read.directed, read.news, read.left), (paper.directed, paper.news, paper.left));
        assert_eq!(read.said, paper.said);
    }

    #[test]
    fn what_was_cut_or_comes_from_another_version_is_nothing() {
        let bytes = paper().to_bytes(&address("ann@example.net"));
        for end in 0..bytes.len() {
            // A cut between two fields leaves a paper with less news: only a file system could make one.
            let _ = Paper::parse(&bytes[..end]);
        }
        assert!(Paper::parse(&bytes[..40]).is_none());
        assert!(Paper::parse(&[&[VERSION + 1], &bytes[1..]].concat()).is_none());
    }

    #[test]
    fn a_memory_reads_the_same() {
        let phone = Some(Device::new("phone").unwrap());
        let abroad = vec![(address("carol@example.org"), vec![phone.clone()])];
        let memory = Memory { said: vec![None, phone], abroad };
        assert_eq!(Memory::parse(&memory.to_bytes()), Some(memory));
    }
}
