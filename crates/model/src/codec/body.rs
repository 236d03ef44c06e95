//! The body of an envelope: everything a person wrote.

use super::refusal::{read_refusal, write_refusal};
use super::tlv::{Reader, Writer, int, text};
use super::{CodecError, VERSION};
use crate::{
    Activity, Authorize, Basic, Decision, Device, Dialect, Envelope, Event, Lang, LeaseKey, Message,
    Original, Part, Publish, Receipt, ReceiptKind, Subscribe, Term, Timestamp, Tuple,
};
use bytes::Bytes;

// Tags of a message body.
const MSG_ID: u8 = 1;
const THREAD: u8 = 2;
const SUBJECT: u8 = 3;
const LANG: u8 = 4;
const PART: u8 = 5;
const WANTS: u8 = 6;
const LASTING: u8 = 7;
const ORIGINAL: u8 = 8;
// Tags of the other bodies.
const RECEIPT_KIND: u8 = 9;
const RECEIPT_REFUSAL: u8 = 10;
const NOTE: u8 = 11;
const TUPLE: u8 = 12;

/// Writes the content of an envelope's event. Events that are never journalled have none.
pub fn encode_body(envelope: &Envelope) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    out.push(VERSION);
    let mut w = Writer(&mut out);
    match &envelope.event {
        Event::Message(m) => message(&mut w, m),
        Event::Receipt(r) => {
            w.text(MSG_ID, &r.of);
            match &r.kind {
                ReceiptKind::Delivered => w.int(RECEIPT_KIND, 1),
                ReceiptKind::Displayed => w.int(RECEIPT_KIND, 2),
                ReceiptKind::Failed(refusal) => w.nest(RECEIPT_REFUSAL, |w| write_refusal(w, refusal)),
            }
            original(&mut w, r.original.as_ref());
        }
        Event::Subscribe(s) => {
            w.opt(NOTE, s.note.as_deref());
            original(&mut w, s.original.as_ref());
        }
        Event::Authorize(a) => original(&mut w, a.original.as_ref()),
        Event::Publish(p) => p.tuples.iter().for_each(|tuple| w.nest(TUPLE, |w| write_tuple(w, tuple))),
        Event::Composing(_) | Event::Notify(_) | Event::Opaque(_) | Event::Call(_) => {}
    }
    out
}

fn message(w: &mut Writer<'_>, m: &Message) {
    w.text(MSG_ID, &m.id);
    w.opt(THREAD, m.thread.as_deref());
    w.opt(SUBJECT, m.subject.as_deref());
    w.opt(LANG, m.lang.as_deref());
    for part in &m.parts {
        w.nest(PART, |w| {
            w.text(1, &part.mime);
            w.opt(2, part.lang.as_deref());
            match place_in(m.original.as_ref(), &part.body) {
                Some(start) => {
                    w.int(4, start as u64);
                    w.int(5, part.body.len() as u64);
                }
                None => w.bytes(3, &part.body),
            }
        });
    }
    w.int(WANTS, u64::from(m.wants.delivered) | (u64::from(m.wants.displayed) << 1));
    w.int(LASTING, u64::from(m.lasting));
    original(w, m.original.as_ref());
}

/// Shorter texts take no more room than saying where they stand.
const WORTH_IT: usize = 16;

/// Places are looked at that begin like the text, no more: whoever writes one beginning many times over is kept twice.
const PLACES: usize = 4;

/// Where the sender's rendering has this text as it is: most texts need not be kept twice. Only the beginning is searched
/// for, because preparing a search takes as long as what is searched for is.
fn place_in(original: Option<&Original>, text: &[u8]) -> Option<usize> {
    let (bytes, beginning) = (&original?.bytes, text.get(..WORTH_IT)?);
    let mut places = memchr::memmem::find_iter(bytes, beginning).take(PLACES);
    places.find(|at| bytes[*at..].starts_with(text))
}

fn original(w: &mut Writer<'_>, original: Option<&Original>) {
    if let Some(o) = original {
        w.nest(ORIGINAL, |w| {
            w.int(1, o.dialect as u64);
            w.bytes(2, &o.bytes);
        });
    }
}

/// What a device says of its user; when is said by the head.
fn write_tuple(w: &mut Writer<'_>, tuple: &Tuple) {
    w.opt(1, tuple.device.as_ref().map(Device::as_str));
    w.int(2, u64::from(tuple.basic == Basic::Open));
    w.int(3, activity_code(tuple.activity));
    if let Some(priority) = tuple.priority {
        w.int(4, u64::from(priority.cast_unsigned().wrapping_add(128)));
    }
    for (lang, note) in &tuple.notes {
        w.nest(5, |w| {
            w.opt(1, lang.as_deref());
            w.text(2, note);
        });
    }
    w.opt(6, tuple.contact.as_deref());
    original(w, tuple.original.as_ref());
}

/// The number of an activity in the row format.
fn activity_code(activity: Activity) -> u64 {
    match activity {
        Activity::Available => 0,
        Activity::Chatty => 1,
        Activity::Away => 2,
        Activity::ExtendedAway => 3,
        Activity::Busy => 4,
        Activity::OnThePhone => 5,
        Activity::InMeeting => 6,
    }
}

fn read_tuple(bytes: &[u8]) -> Result<Tuple, CodecError> {
    let mut tuple = Tuple::plain(None, Basic::Closed, Timestamp::default());
    let mut r = Reader(bytes);
    while let Some((tag, v)) = r.next()? {
        match tag {
            1 => tuple.device = Some(Device::new(text(v)?).map_err(|_| CodecError("device"))?),
            2 => tuple.basic = if int(v)? == 1 { Basic::Open } else { Basic::Closed },
            3 => {
                tuple.activity = match int(v)? {
                    1 => Activity::Chatty,
                    2 => Activity::Away,
                    3 => Activity::ExtendedAway,
                    4 => Activity::Busy,
                    5 => Activity::OnThePhone,
                    6 => Activity::InMeeting,
                    _ => Activity::Available,
                }
            }
            4 => {
                let shifted = u8::try_from(int(v)?).map_err(|_| CodecError("priority"))?;
                tuple.priority = Some(shifted.wrapping_sub(128).cast_signed());
            }
            5 => tuple.notes.push(read_note(v)?),
            6 => tuple.contact = Some(text(v)?.into()),
            ORIGINAL => tuple.original = Some(read_original(v)?),
            _ => {}
        }
    }
    Ok(tuple)
}

fn read_note(bytes: &[u8]) -> Result<(Option<Lang>, String), CodecError> {
    let mut note = (None, String::new());
    let mut r = Reader(bytes);
    while let Some((tag, v)) = r.next()? {
        match tag {
            1 => note.0 = Some(text(v)?.into()),
            2 => note.1 = text(v)?.to_owned(),
            _ => {}
        }
    }
    Ok(note)
}

pub(super) fn decode_event(kind: u64, granted: bool, term: u64, body: &[u8]) -> Result<Event, CodecError> {
    let Some((&VERSION, fields)) = body.split_first() else { return Err(CodecError("version")) };
    let mut m = Message::default();
    let (mut receipt, mut note) = (ReceiptKind::Delivered, None);
    let (mut parts, mut tuples) = (Vec::new(), Vec::new());
    let mut r = Reader(fields);
    while let Some((tag, v)) = r.next()? {
        match tag {
            MSG_ID => m.id = text(v)?.into(),
            THREAD => m.thread = Some(text(v)?.into()),
            SUBJECT => m.subject = Some(text(v)?.to_owned()),
            LANG => m.lang = Some(text(v)?.into()),
            PART => parts.push(v),
            WANTS => {
                let bits = int(v)?;
                m.wants.delivered = bits & 1 != 0;
                m.wants.displayed = bits & 2 != 0;
            }
            LASTING => m.lasting = int(v)? == 1,
            ORIGINAL => m.original = Some(read_original(v)?),
            RECEIPT_KIND if int(v)? == 2 => receipt = ReceiptKind::Displayed,
            RECEIPT_REFUSAL => receipt = ReceiptKind::Failed(read_refusal(v)?),
            NOTE => note = Some(text(v)?.to_owned()),
            TUPLE => tuples.push(read_tuple(v)?),
            _ => {}
        }
    }
    m.parts = parts.into_iter().map(|v| part(v, m.original.as_ref())).collect::<Result<_, _>>()?;
    Ok(match kind {
        1 => Event::Message(m),
        2 => Event::Receipt(Receipt { of: m.id, kind: receipt, original: m.original }),
        // Which publication it replaced, and for how long it was good, is known to the door alone.
        4 => Event::Publish(Publish { key: LeaseKey::new(""), tuples, secs: None }),
        5 => {
            let term = match term {
                1 => Term::Lasting,
                2 => Term::End,
                // A lease's key lives no longer than its machine, so the record keeps only that it was one.
                3 => Term::Lease { key: LeaseKey::new(""), secs: 0 },
                _ => Term::Once { key: None },
            };
            Event::Subscribe(Subscribe { term, note, original: m.original })
        }
        6 => {
            let decision = if granted { Decision::Granted } else { Decision::Denied };
            Event::Authorize(Authorize { decision, original: m.original })
        }
        _ => return Err(CodecError("kind")),
    })
}

fn part(bytes: &[u8], original: Option<&Original>) -> Result<Part, CodecError> {
    let mut part = Part::text(Bytes::new(), None);
    let (mut start, mut length) = (None, 0);
    let mut r = Reader(bytes);
    while let Some((tag, v)) = r.next()? {
        match tag {
            1 => part.mime = text(v)?.into(),
            2 => part.lang = Some(text(v)?.into()),
            3 => part.body = Bytes::copy_from_slice(v),
            4 => start = usize::try_from(int(v)?).ok(),
            5 => length = usize::try_from(int(v)?).unwrap_or(usize::MAX),
            _ => {}
        }
    }
    if let Some(start) = start {
        let whole = original.map(|o| &o.bytes).ok_or(CodecError("part"))?;
        let end = start.checked_add(length).filter(|end| *end <= whole.len()).ok_or(CodecError("part"))?;
        part.body = whole.slice(start..end);
    }
    Ok(part)
}

fn read_original(bytes: &[u8]) -> Result<Original, CodecError> {
    let (mut dialect, mut content) = (None, Bytes::new());
    let mut r = Reader(bytes);
    while let Some((tag, v)) = r.next()? {
        match tag {
            1 => dialect = u8::try_from(int(v)?).ok().and_then(Dialect::from_code),
            2 => content = Bytes::copy_from_slice(v),
            _ => {}
        }
    }
    Ok(Original { dialect: dialect.ok_or(CodecError("dialect"))?, bytes: content })
}
