//! A subscription of ours to the presence of somebody elsewhere, on behalf of one of us: one dialog (RFC 3856, RFC 8048
//! 5.2), left with the hub so that it outlives its connection.

use bytes::Bytes;
use connector::Dice;
use model::{Address, Device, DomainPair, Endpoint, LeaseKey, Now, Tick, Tuple};
use sha2::{Digest as _, Sha256};

use super::prefix;
use crate::wire::clean;

/// CSeq numbers count these, Unix milliseconds (RFC 3261 8.1.1.5): whichever connection goes on with a dialog counts up.
/// They begin again after a year, far beyond the life of a dialog.
const CSEQ_MS: u64 = 16;

/// One dialog of ours as watcher.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Backend {
    pub watcher: Address,
    pub presentity: Address,
    pub call_id: String,
    pub tag: String,
    /// Empty until they answered.
    pub remote_tag: String,
    pub target: String,
    pub routes: Vec<String>,
    pub cseq: u32,
    pub their_cseq: u32,
    /// When it runs out there, Unix milliseconds; 0 until they said.
    pub until: u64,
    /// Consent has been noted.
    pub granted: bool,
    /// We have ended it; the last word of theirs may still come.
    pub ended: bool,
    /// Somebody looks once.
    pub asker: Option<Endpoint>,
    /// Devices that were last told to be there.
    pub shown: Vec<String>,
    /// The last document; not left with the hub.
    pub tuples: Option<Vec<Tuple>>,
    /// When it is to be refreshed; not left with the hub.
    pub due: Tick,
}

impl Backend {
    /// One that is yet to begin.
    pub fn new(watcher: Address, presentity: Address, asker: Option<Endpoint>, dice: &mut Dice) -> Self {
        Self {
            watcher,
            presentity,
            call_id: dice.token(24),
            tag: format!("{}{}", kind(asker.is_some()), dice.token(15)),
            remote_tag: String::new(),
            target: String::new(),
            routes: Vec::new(),
            cseq: 0,
            their_cseq: 0,
            until: 0,
            granted: false,
            ended: false,
            asker,
            shown: Vec::new(),
            tuples: None,
            due: Tick::default(),
        }
    }

    /// The same in a new dialog.
    pub fn anew(&mut self, dice: &mut Dice) {
        let fresh = Self::new(self.watcher.clone(), self.presentity.clone(), self.asker.take(), dice);
        let (granted, shown) = (self.granted, std::mem::take(&mut self.shown));
        *self = Self { granted, shown, ..fresh };
    }

    pub fn key(&self) -> LeaseKey {
        key_of(&self.watcher, &self.presentity, self.asker.is_some())
    }

    /// It is to go on when its connection ends.
    pub fn lasts(&self) -> bool {
        !self.ended && self.asker.is_none()
    }

    pub fn between(&self) -> (Address, Address) {
        (self.watcher.clone(), self.presentity.clone())
    }

    pub fn next_cseq(&mut self, now: Now) -> u32 {
        self.cseq = cseq_after(now, self.cseq);
        self.cseq
    }

    /// One field a line.
    pub fn save(&self) -> Bytes {
        let flag = |name: &str, set: bool| if set { format!("{name} 1\n") } else { String::new() };
        let mut out = format!(
            "watcher {}\npresentity {}\ncall-id {}\ntag {}\nremote-tag {}\ntarget {}\ncseq {}\ntheir-cseq {}\nuntil {}\n",
            clean(self.watcher.as_str()),
            clean(self.presentity.as_str()),
            clean(&self.call_id),
            clean(&self.tag),
            clean(&self.remote_tag),
            clean(&self.target),
            self.cseq,
            self.their_cseq,
            self.until
        );
        out += &flag("granted", self.granted);
        out += &flag("ended", self.ended);
        if let Some(asker) = &self.asker {
            let device = asker.device.as_ref().map(Device::as_str).unwrap_or_default();
            out += &format!("asker {}\n", clean(device));
        }
        self.routes.iter().for_each(|route| out += &format!("route {}\n", clean(route)));
        self.shown.iter().for_each(|device| out += &format!("shown {}\n", clean(device)));
        out.into()
    }

    pub fn load(state: &[u8]) -> Option<Self> {
        let mut back = Self {
            watcher: Address::parse("unknown").ok()?,
            presentity: Address::parse("unknown").ok()?,
            call_id: String::new(),
            tag: String::new(),
            remote_tag: String::new(),
            target: String::new(),
            routes: Vec::new(),
            cseq: 0,
            their_cseq: 0,
            until: 0,
            granted: false,
            ended: false,
            asker: None,
            shown: Vec::new(),
            tuples: None,
            due: Tick::default(),
        };
        for line in std::str::from_utf8(state).ok()?.lines() {
            let (name, value) = line.split_once(' ')?;
            match name {
                "watcher" => back.watcher = Address::parse(value).ok()?,
                "presentity" => back.presentity = Address::parse(value).ok()?,
                "call-id" => back.call_id = value.to_owned(),
                "tag" => back.tag = value.to_owned(),
                "remote-tag" => back.remote_tag = value.to_owned(),
                "target" => back.target = value.to_owned(),
                "cseq" => back.cseq = value.parse().ok()?,
                "their-cseq" => back.their_cseq = value.parse().ok()?,
                "until" => back.until = value.parse().ok()?,
                "granted" => back.granted = true,
                "ended" => back.ended = true,
                "asker" => {
                    let address = back.watcher.clone();
                    back.asker = Some(Endpoint { address, device: Device::new(value).ok() });
                }
                "route" => back.routes.push(value.to_owned()),
                "shown" => back.shown.push(value.to_owned()),
                _ => return None,
            }
        }
        (!back.call_id.is_empty() && back.watcher.user().is_some()).then_some(back)
    }
}

/// The next number of a dialog that several connections may go on with.
pub(in crate::machine) fn cseq_after(now: Now, last: u32) -> u32 {
    let count = now.wall.unix_ms() / CSEQ_MS;
    u32::try_from(count & 0x7fff_ffff).unwrap_or(0).max(last.saturating_add(1))
}

fn kind(once: bool) -> &'static str {
    if once { "f" } else { "b" }
}

/// Whether our tag of a dialog says that it is for one look.
pub(super) fn is_once(tag: &str) -> bool {
    tag.starts_with('f')
}

/// Under which key the dialog between two people is left.
pub(super) fn key_of(watcher: &Address, presentity: &Address, once: bool) -> LeaseKey {
    let mut hash = Sha256::new();
    hash.update(watcher.as_str().as_bytes());
    hash.update([0]);
    hash.update(presentity.as_str().as_bytes());
    let hex: String = hash.finalize().iter().take(12).map(|b| format!("{b:02x}")).collect();
    let pair = DomainPair::between(watcher, presentity);
    LeaseKey::new(format!("{}{}:{hex}", prefix(&pair), kind(once)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dialog_survives_its_connection() {
        let address = |text: &str| Address::parse(text).unwrap();
        let mut dice = Dice::new([3; 32]);
        let asker = Endpoint::full(address("juliet@example.com"), Device::new("balcony x").unwrap());
        for asker in [None, Some(asker)] {
            let mut back =
                Backend::new(address("juliet@example.com"), address("bob@partner.example"), asker, &mut dice);
            assert_eq!(Backend::load(&back.save()), Some(back.clone()));
            back.remote_tag = "r".into();
            back.target = "sip:bob@192.0.2.1".into();
            back.routes = vec!["<sip:p;lr>".into(), "<sip:q;lr>".into()];
            back.shown = vec!["a b".into()];
            (back.cseq, back.their_cseq, back.until) = (4, 5, 6);
            (back.granted, back.ended) = (true, true);
            assert_eq!(Backend::load(&back.save()), Some(back.clone()));
            assert_eq!(is_once(&back.tag), back.asker.is_some());
        }
        for bad in [&b""[..], b"watcher", b"\xff", b"cseq x\n", b"other 1\n", b"call-id x\n"] {
            assert_eq!(Backend::load(bad), None);
        }
    }
}
