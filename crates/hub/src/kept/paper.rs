//! What is written down of a session.

use super::fields::*;
use bytes::Bytes;
use model::{Address, Device, Dialect, Endpoint, Envelope, LeaseKey, Role, Timestamp, Tuple};
use std::sync::Arc;

/// A session that waits for its client.
pub(super) struct Paper {
    pub key: LeaseKey,
    /// Unix milliseconds at which it ends.
    pub until: u64,
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
    /// How somebody is: the last words of each of their devices.
    Seen(Address, Vec<Tuple>),
}

impl Paper {
    pub fn to_bytes(&self, owner: &Address) -> Vec<u8> {
        let mut out = vec![VERSION];
        put(&mut out, KEY, self.key.0.as_bytes());
        put(&mut out, UNTIL, &self.until.to_be_bytes());
        put(&mut out, DIALECT, &[self.dialect as u8]);
        put(&mut out, DEVICE, self.device.as_str().as_bytes());
        if let Some(priority) = self.attend {
            put(&mut out, ATTEND, &priority.to_be_bytes());
        }
        let flags = [self.announces, self.roster, self.blocks];
        put(&mut out, FLAGS, &flags.map(u8::from));
        for to in &self.directed {
            nest(&mut out, DIRECTED, |out| endpoint(out, to));
        }
        if let Some((key, words)) = &self.said {
            nest(&mut out, SAID, |out| {
                put(out, KEY, key.0.as_bytes());
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
        let (mut key, mut until, mut dialect, mut device, mut left) = (None, None, None, None, None);
        let (mut attend, mut flags, mut directed, mut said) = (None, [0; 3], Vec::new(), None);
        let mut news = Vec::new();
        for field in fields(versioned(bytes)?) {
            let (tag, v) = field?;
            match tag {
                KEY => key = Some(LeaseKey::new(text(v)?)),
                UNTIL => until = read_millis(v),
                DIALECT => dialect = Dialect::from_code(*v.first()?),
                DEVICE => device = Some(Device::new(text(v)?).ok()?),
                ATTEND => attend = Some(i8::from_be_bytes(v.try_into().ok()?)),
                FLAGS => flags = v.try_into().ok()?,
                DIRECTED => directed.push(read_endpoint(v)?),
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
            until: until?,
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
            Self::Seen(who, words) => nest(out, SEEN, |out| publish(out, who, words)),
        }
    }

    fn parse(tag: u8, v: &[u8]) -> Option<Self> {
        match tag {
            TOLD => {
                let (mut role, mut since) = (Role::Primary, None);
                for field in fields(v) {
                    match field? {
                        (ROLE, [1]) => role = Role::Copy,
                        (SINCE, at) => since = Some(Timestamp(read_millis(at)?)),
                        _ => {}
                    }
                }
                Some(Self::Told { role, since, envelope: read_envelope(v)? })
            }
            LISTED => Some(Self::Listed(address(v)?)),
            BLOCKED => Some(Self::Blocked(read_addresses(v)?)),
            UNBLOCKED => Some(Self::Unblocked(read_addresses(v)?)),
            SEEN => Some(Self::Seen(read_envelope(v)?.from.address.clone(), read_publish(v)?)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::presence::from_hub;
    use model::{Basic, Event, Message, Part};

    fn at(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    fn paper() -> Paper {
        let (ann, bob) = (at("ann@example.net"), at("bob@example.net"));
        let phone = Device::new("phone").unwrap();
        let tuples = vec![Tuple::plain(Some(phone.clone()), Basic::Open, Timestamp(7))];
        let message = Message { parts: vec![Part::text("hello", None)], ..Message::default() };
        let told = from_hub(bob.clone(), ann.clone(), Event::Message(message));
        Paper {
            key: LeaseKey::new("s"),
            until: 11,
            dialect: Dialect::Xmpp,
            device: phone.clone(),
            attend: Some(-3),
            announces: true,
            roster: false,
            blocks: true,
            directed: vec![bob.clone().into(), Endpoint::full(bob.clone(), phone.clone())],
            said: Some((LeaseKey::new("said"), tuples.clone())),
            left: Bytes::from_static(b"\x01opaque"),
            news: vec![
                News::Told { role: Role::Copy, since: None, envelope: told.clone() },
                News::Told { role: Role::Primary, since: Some(Timestamp(9)), envelope: told },
                News::Listed(bob.clone()),
                News::Blocked(vec![bob.clone()]),
                News::Unblocked(Vec::new()),
                News::Seen(bob, tuples),
            ],
        }
    }

    #[test]
    fn what_is_written_reads_the_same() {
        let paper = paper();
        let bytes = paper.to_bytes(&at("ann@example.net"));
        let read = Paper::parse(&bytes).unwrap();
        assert_eq!((read.attend, read.announces, read.roster, read.blocks), (Some(-3), true, false, true));
        assert_eq!((read.directed, read.news, read.left), (paper.directed, paper.news, paper.left));
        assert_eq!(read.said, paper.said);
    }

    #[test]
    fn what_was_cut_or_comes_from_another_version_is_nothing() {
        let bytes = paper().to_bytes(&at("ann@example.net"));
        for end in 0..bytes.len() {
            // A cut between two fields leaves a paper with less news: only a file system could make one.
            let _ = Paper::parse(&bytes[..end]);
        }
        assert!(Paper::parse(&bytes[..40]).is_none());
        assert!(Paper::parse(&[&[VERSION + 1], &bytes[1..]].concat()).is_none());
    }
}
