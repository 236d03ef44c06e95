//! The head of an envelope: who, when, which way, what kind, and the verdict.

use super::refusal::{read_refusal, write_refusal};
use super::tlv::{Reader, Writer, address, int, text};
use super::{CodecError, VERSION, body};
use crate::{
    Decision, Device, Dialect, Endpoint, Envelope, EnvelopeId, Event, Hold, Judgement, Origin, Proof,
    Security, Seq, Term, Timestamp, Vouch,
};

/// What the journal kept of an envelope.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// The envelope; where its content was erased, with empty content.
    pub envelope: Envelope,
    /// What the pipeline said of it.
    pub judged: Judgement,
    /// True where the content was erased.
    pub erased: bool,
}

// Tags of the head.
const ID: u8 = 1;
const AT: u8 = 2;
const DIALECT: u8 = 3;
const SECURITY: u8 = 4;
const VOUCH: u8 = 5;
const FROM: u8 = 6;
const FROM_DEVICE: u8 = 7;
const TO: u8 = 8;
const TO_DEVICE: u8 = 9;
const HOPS: u8 = 10;
const KIND: u8 = 11;
const REFUSAL: u8 = 12;
const DECISION: u8 = 13;
const TERM: u8 = 14;
const HELD: u8 = 15;
const RULE: u8 = 16;
const RELEASED: u8 = 17;
const SILENT: u8 = 18;
const IMPORTED: u8 = 19;

/// Writes the head of an envelope and the pipeline's verdict on it.
pub fn encode_head(envelope: &Envelope, judged: &Judgement) -> Vec<u8> {
    let mut out = Vec::with_capacity(160);
    out.push(VERSION);
    let mut w = Writer(&mut out);
    w.bytes(ID, &envelope.id.0.to_be_bytes());
    w.int(AT, envelope.at.0);
    w.int(DIALECT, envelope.origin.dialect as u64);
    w.int(SECURITY, u64::from(envelope.origin.security == Security::Tls));
    match &envelope.origin.vouch {
        Vouch::Nobody => w.text(VOUCH, ""),
        Vouch::Server => w.text(VOUCH, "s"),
        Vouch::Account(a) => w.nest(VOUCH, |w| w.text(1, a.as_str())),
        Vouch::Domain(a, proof) => w.nest(VOUCH, |w| {
            w.text(2, a.as_str());
            match proof {
                Proof::Certificate => w.text(3, "certificate"),
                Proof::Dialback => w.text(3, "dialback"),
                Proof::Unsaid => {}
            }
        }),
    }
    w.text(FROM, envelope.from.address.as_str());
    w.opt(FROM_DEVICE, envelope.from.device.as_ref().map(Device::as_str));
    w.text(TO, envelope.to.address.as_str());
    w.opt(TO_DEVICE, envelope.to.device.as_ref().map(Device::as_str));
    w.int(HOPS, u64::from(envelope.hops));
    w.int(KIND, kind(&envelope.event));
    match &envelope.event {
        Event::Authorize(a) => w.int(DECISION, u64::from(a.decision == Decision::Granted)),
        Event::Subscribe(s) => w.int(
            TERM,
            match &s.term {
                Term::Lasting => 1,
                Term::End => 2,
                Term::Lease { .. } => 3,
                Term::Once { .. } => 4,
            },
        ),
        _ => {}
    }
    if let Some(refusal) = &judged.refused {
        w.nest(REFUSAL, |w| write_refusal(w, refusal));
    }
    if let Some(hold) = &judged.held {
        w.nest(HELD, |w| {
            w.text(1, &hold.rule);
            w.opt(2, hold.text.as_deref());
        });
    }
    judged.rules.iter().for_each(|rule| w.text(RULE, rule));
    if let Some(seq) = judged.released {
        w.int(RELEASED, seq.0);
    }
    if judged.silent {
        w.int(SILENT, 1);
    }
    w.opt(IMPORTED, judged.imported.as_deref());
    out
}

/// The number of an event's kind in the row format.
fn kind(event: &Event) -> u64 {
    match event {
        Event::Message(_) => 1,
        Event::Receipt(_) => 2,
        Event::Composing(_) => 3,
        Event::Publish(_) => 4,
        Event::Subscribe(_) => 5,
        Event::Authorize(_) => 6,
        Event::Notify(_) => 7,
        Event::Opaque(_) => 8,
        Event::Call(_) => 9,
    }
}

/// The id alone, from what [`encode_head`] wrote; `None` where it cannot be read.
pub fn decode_id(head: &[u8]) -> Option<EnvelopeId> {
    let mut fields = Reader(head.strip_prefix(&[VERSION])?);
    while let Ok(Some((tag, value))) = fields.next() {
        if tag == ID {
            return Some(EnvelopeId(u128::from_be_bytes(value.try_into().ok()?)));
        }
    }
    None
}

/// Reads what [`encode_head`] and [`super::encode_body`] wrote. `body` is `None` where it was erased.
///
/// # Errors
/// [`CodecError`] for bytes no version of ours wrote, or of a kind that is never journalled.
pub fn decode(head: &[u8], body: Option<&[u8]>) -> Result<Kept, CodecError> {
    let Some((&VERSION, fields)) = head.split_first() else { return Err(CodecError("version")) };
    let mut id = EnvelopeId::default();
    let mut at = Timestamp::default();
    let mut origin = Origin { dialect: Dialect::Hub, security: Security::Plain, vouch: Vouch::Nobody };
    let (mut from, mut from_device, mut to, mut to_device) = (None, None, None, None);
    let (mut hops, mut kind, mut granted, mut term) = (0u8, 0u64, false, 0u64);
    let mut judged = Judgement::default();
    let mut r = Reader(fields);
    while let Some((tag, v)) = r.next()? {
        match tag {
            ID => id = EnvelopeId(u128::from_be_bytes(v.try_into().map_err(|_| CodecError("id"))?)),
            AT => at = Timestamp(int(v)?),
            DIALECT => {
                origin.dialect =
                    u8::try_from(int(v)?).ok().and_then(Dialect::from_code).ok_or(CodecError("dialect"))?;
            }
            SECURITY => origin.security = if int(v)? == 1 { Security::Tls } else { Security::Plain },
            VOUCH => origin.vouch = vouch(v)?,
            FROM => from = Some(address(v)?),
            FROM_DEVICE => from_device = Some(device(v)?),
            TO => to = Some(address(v)?),
            TO_DEVICE => to_device = Some(device(v)?),
            HOPS => hops = u8::try_from(int(v)?).map_err(|_| CodecError("hops"))?,
            KIND => kind = int(v)?,
            REFUSAL => judged.refused = Some(read_refusal(v)?),
            HELD => judged.held = Some(read_hold(v)?),
            RULE => judged.rules.push(text(v)?.into()),
            SILENT => judged.silent = int(v)? == 1,
            IMPORTED => judged.imported = Some(text(v)?.into()),
            RELEASED => judged.released = Some(Seq(int(v)?)),
            DECISION => granted = int(v)? == 1,
            TERM => term = int(v)?,
            _ => {}
        }
    }
    let envelope = Envelope {
        id,
        at,
        origin,
        from: Endpoint { address: from.ok_or(CodecError("from"))?, device: from_device },
        to: Endpoint { address: to.ok_or(CodecError("to"))?, device: to_device },
        hops,
        event: body::decode_event(kind, granted, term, body.unwrap_or(&[VERSION]))?,
    };
    Ok(Kept { envelope, judged, erased: body.is_none() })
}

fn device(v: &[u8]) -> Result<Device, CodecError> {
    Device::new(text(v)?).map_err(|_| CodecError("device"))
}

fn vouch(v: &[u8]) -> Result<Vouch, CodecError> {
    match v {
        b"" => return Ok(Vouch::Nobody),
        b"s" => return Ok(Vouch::Server),
        _ => {}
    }
    let mut r = Reader(v);
    match r.next()? {
        Some((1, a)) => Ok(Vouch::Account(address(a)?)),
        Some((2, a)) => {
            let proof = match r.next()? {
                Some((3, b"certificate")) => Proof::Certificate,
                Some((3, b"dialback")) => Proof::Dialback,
                _ => Proof::Unsaid,
            };
            Ok(Vouch::Domain(address(a)?, proof))
        }
        _ => Err(CodecError("vouch")),
    }
}

fn read_hold(bytes: &[u8]) -> Result<Hold, CodecError> {
    let mut hold = Hold { rule: Default::default(), text: None };
    let mut r = Reader(bytes);
    while let Some((tag, v)) = r.next()? {
        match tag {
            1 => hold.rule = text(v)?.into(),
            2 => hold.text = Some(text(v)?.into()),
            _ => {}
        }
    }
    Ok(hold)
}
