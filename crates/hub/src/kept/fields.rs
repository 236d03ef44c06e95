//! How the papers of sessions are written: a version, then fields of `tag (1 byte), length (4 bytes, big-endian), bytes`,
//! which may hold fields again. They are read once, by the next process; one that cannot read them lets the sessions end.

use crate::presence::from_hub;
use model::codec::{decode, encode_body, encode_head};
use model::{Address, Device, Endpoint, Envelope, Event, Judgement, LeaseKey, Publish, Timestamp, Tuple};
use std::sync::Arc;

pub(super) const VERSION: u8 = 1;

// Tags of a session.
pub(super) const KEY: u8 = 1;
pub(super) const DIALECT: u8 = 2;
pub(super) const DEVICE: u8 = 3;
pub(super) const ATTEND: u8 = 4;
pub(super) const FLAGS: u8 = 5;
pub(super) const DIRECTED: u8 = 6;
pub(super) const SAID: u8 = 7;
pub(super) const LEFT: u8 = 8;
pub(super) const TOLD: u8 = 9;
pub(super) const LISTED: u8 = 10;
pub(super) const BLOCKED: u8 = 11;
pub(super) const UNBLOCKED: u8 = 12;
pub(super) const SEEN: u8 = 13;
pub(super) const UNTIL: u8 = 24;
// Tags of a memory.
pub(super) const SAID_OF: u8 = 14;
pub(super) const ABROAD: u8 = 15;
pub(super) const VEILED: u8 = 22;
pub(super) const DIRECTED_BY: u8 = 23;
// Tags of what is nested in them.
pub(super) const ADDRESS: u8 = 16;
pub(super) const NO_DEVICE: u8 = 17;
pub(super) const ROLE: u8 = 18;
pub(super) const SINCE: u8 = 19;
pub(super) const HEAD: u8 = 20;
pub(super) const BODY: u8 = 21;

pub(super) fn put(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    out.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(bytes);
}

pub(super) fn nest(out: &mut Vec<u8>, tag: u8, fill: impl FnOnce(&mut Vec<u8>)) {
    let mut inner = Vec::new();
    fill(&mut inner);
    put(out, tag, &inner);
}

pub(super) fn envelope(out: &mut Vec<u8>, envelope: &Envelope) {
    put(out, HEAD, &encode_head(envelope, &Judgement::default()));
    put(out, BODY, &encode_body(envelope));
}

/// Words as the journal has them, which knows only when all of them were said.
pub(super) fn publish(out: &mut Vec<u8>, owner: &Address, words: &[Tuple]) {
    words.iter().for_each(|tuple| put(out, SINCE, &tuple.at.0.to_be_bytes()));
    let publish = Publish { key: LeaseKey::new(""), tuples: words.to_vec(), secs: None };
    envelope(out, &from_hub(owner.clone(), owner.clone(), Event::Publish(publish)));
}

pub(super) fn addresses(out: &mut Vec<u8>, who: &[Address]) {
    who.iter().for_each(|who| put(out, ADDRESS, who.as_str().as_bytes()));
}

pub(super) fn devices(out: &mut Vec<u8>, devices: &[Option<Device>]) {
    for device in devices {
        match device {
            Some(device) => put(out, DEVICE, device.as_str().as_bytes()),
            None => put(out, NO_DEVICE, &[]),
        }
    }
}

pub(super) fn devices_of(out: &mut Vec<u8>, who: &Address, there: &[Option<Device>]) {
    put(out, ADDRESS, who.as_str().as_bytes());
    devices(out, there);
}

pub(super) fn endpoint(out: &mut Vec<u8>, to: &Endpoint) {
    devices_of(out, &to.address, std::slice::from_ref(&to.device));
}

pub(super) fn read_endpoint(v: &[u8]) -> Option<Endpoint> {
    let (address, devices) = whom(v)?;
    Some(Endpoint { address, device: devices.into_iter().next().flatten() })
}

pub(super) fn read_millis(v: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(v.try_into().ok()?))
}

pub(super) fn versioned(bytes: &[u8]) -> Option<&[u8]> {
    bytes.strip_prefix(&[VERSION])
}

/// The fields; one that is cut ends them with `None`.
pub(super) fn fields(mut rest: &[u8]) -> impl Iterator<Item = Option<(u8, &[u8])>> {
    std::iter::from_fn(move || {
        let (tag, after) = std::mem::take(&mut rest).split_first()?;
        let field = after.split_first_chunk::<4>().and_then(|(len, after)| {
            let (value, after) = after.split_at_checked(u32::from_be_bytes(*len) as usize)?;
            rest = after;
            Some((*tag, value))
        });
        Some(field)
    })
}

pub(super) fn text(v: &[u8]) -> Option<&str> {
    std::str::from_utf8(v).ok()
}

pub(super) fn address(v: &[u8]) -> Option<Address> {
    Address::parse(text(v)?).ok()
}

pub(super) fn read_addresses(v: &[u8]) -> Option<Vec<Address>> {
    fields(v).map(|field| address(field?.1)).collect()
}

pub(super) fn read_devices(v: &[u8]) -> Option<Vec<Option<Device>>> {
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

pub(super) fn whom(v: &[u8]) -> Option<(Address, Vec<Option<Device>>)> {
    let (tag, who) = fields(v).next()??;
    (tag == ADDRESS).then_some((address(who)?, read_devices(v)?))
}

pub(super) fn read_publish(v: &[u8]) -> Option<Vec<Tuple>> {
    let envelope = Arc::unwrap_or_clone(read_envelope(v)?);
    let Event::Publish(Publish { mut tuples, .. }) = envelope.event else { return None };
    let mut said = tuples.iter_mut();
    for field in fields(v) {
        if let (SINCE, at) = field? {
            said.next()?.at = Timestamp(read_millis(at)?);
        }
    }
    Some(tuples)
}

pub(super) fn read_envelope(v: &[u8]) -> Option<Arc<Envelope>> {
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
