//! A refusal within other fields.

use super::CodecError;
use super::tlv::{Reader, Writer, address, int, text};
use crate::{Address, Fault, Reason, Refusal};

pub(super) fn write_refusal(w: &mut Writer<'_>, refusal: &Refusal) {
    w.int(1, refusal.reason as u64);
    w.int(
        2,
        match refusal.fault {
            Fault::Sender => 1,
            Fault::Recipient => 2,
            Fault::Peer => 3,
            Fault::Server => 4,
        },
    );
    w.opt(3, refusal.text.as_deref());
    w.opt(4, refusal.rule.as_deref());
    w.opt(5, refusal.alternative.as_ref().map(Address::as_str));
}

pub(super) fn read_refusal(bytes: &[u8]) -> Result<Refusal, CodecError> {
    let mut refusal = Refusal::new(Reason::Internal);
    let mut r = Reader(bytes);
    while let Some((tag, v)) = r.next()? {
        match tag {
            1 => {
                refusal.reason =
                    u8::try_from(int(v)?).ok().and_then(Reason::from_code).ok_or(CodecError("reason"))?;
            }
            2 => {
                refusal.fault = match int(v)? {
                    1 => Fault::Sender,
                    2 => Fault::Recipient,
                    3 => Fault::Peer,
                    _ => Fault::Server,
                };
            }
            3 => refusal.text = Some(text(v)?.into()),
            4 => refusal.rule = Some(text(v)?.into()),
            5 => refusal.alternative = Some(address(v)?),
            _ => {}
        }
    }
    Ok(refusal)
}
