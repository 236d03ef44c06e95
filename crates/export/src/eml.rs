//! A conversation as a mail (RFC 5322, MIME): the transcript as text and as a page, the files beside it.

use crate::book::{Book, Conversation};
use crate::{html, plain};
use mail_builder::MessageBuilder;
use mail_builder::headers::HeaderType;
use mail_builder::headers::address::Address as Mailbox;
use mail_builder::headers::content_type::ContentType;
use mail_builder::headers::raw::Raw;
use mail_builder::mime::MimePart;
use model::Address;
use std::io;

/// Files beyond so many bytes in one mail are named, and stand beside it: archives refuse mails that are too long.
const CARRIED: u64 = 20 << 20;

/// A mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// As it is sent, lines end with CR LF.
    pub bytes: Vec<u8>,
    /// Its Message-ID, without the brackets: the same for the same rows.
    pub id: String,
}

/// An address as mail can have it, with the address itself as the name.
fn mailbox(who: &str) -> Mailbox<'static> {
    let plain = |c: u8| c.is_ascii_alphanumeric() || b"!#$&'*+-/=?^_`{|}~".contains(&c);
    let address = Address::parse(who).ok();
    let user = address.as_ref().and_then(Address::user).unwrap_or("system");
    let mut local = String::new();
    for (at, byte) in user.bytes().enumerate() {
        let dot = byte == b'.' && at > 0 && !local.ends_with('.') && at + 1 < user.len();
        match plain(byte) || dot {
            true => local.push(char::from(byte)),
            false => local.push_str(&format!("%{byte:02X}")),
        }
    }
    let domain = address.as_ref().map_or("localhost", Address::domain);
    let domain = idna::domain_to_ascii(domain).unwrap_or_else(|_| "unknown.invalid".into());
    // An IP address is no domain of mail by itself.
    let domain = if domain.contains([':', '[']) { "address.invalid".to_owned() } else { domain };
    Mailbox::new_address(Some(who.to_owned()), format!("{local}@{domain}"))
}

fn text(value: String) -> HeaderType<'static> {
    HeaderType::Raw(Raw::new(value))
}

/// The mail of a conversation. `content` gives a file's bytes by its path within an export, where they are at hand.
///
/// # Errors
/// What `content` said.
pub fn letter(
    book: &Book,
    of: &Conversation,
    mut content: impl FnMut(&str) -> io::Result<Option<Vec<u8>>>,
) -> io::Result<Letter> {
    let digest = of.digest();
    let node = book.chain.split('/').next().unwrap_or_default();
    let id = format!("{}.{}.{}@{node}.rialto.invalid", of.day.replace('-', ""), of.number, &digest[..24]);
    let (people, (first, last)) = (of.people(), of.span());
    let parts = if of.parts > 1 { format!(" ({}/{})", of.part, of.parts) } else { String::new() };
    let subject = format!("Conversation {} - {}{parts}", of.day, people.join(", "));
    let from = of.entries.first().map_or("", |entry| entry.from.as_str());
    let others: Vec<Mailbox<'_>> =
        people.iter().filter(|who| **who != from).map(|who| mailbox(who)).collect();
    let boundary = |name: &str| format!("={name}_{}", &digest[..32]);
    let both = MimePart::new(
        ContentType::new("multipart/alternative").attribute("boundary", boundary("text")),
        vec![
            MimePart::new("text/plain", plain::transcript(book, of)),
            MimePart::new("text/html", html::page(book, of)),
        ],
    );
    let (mut carried, mut room, mut seen) = (Vec::new(), CARRIED, Vec::new());
    for file in of.entries.iter().flat_map(|entry| &entry.attachments) {
        let size = file.size.unwrap_or(0);
        let Some(sha256) = file.sha256.as_deref().filter(|sum| size <= room && !seen.contains(sum)) else {
            continue;
        };
        let bytes = match (&file.content, &file.path) {
            (Some(bytes), _) => Some(bytes.clone()),
            (None, Some(path)) => content(path)?,
            _ => None,
        };
        if let Some(bytes) = bytes {
            room -= size;
            seen.push(sha256);
            let mime =
                if is_mime(&file.mime) { file.mime.clone() } else { "application/octet-stream".into() };
            carried.push(
                MimePart::new(ContentType::new(mime), bytes)
                    .attachment(file.name.clone())
                    .header("X-Rialto-SHA256", text(sha256.to_owned())),
            );
        }
    }
    let body = match carried.is_empty() {
        true => both,
        false => {
            let mut all = vec![both];
            all.append(&mut carried);
            MimePart::new(ContentType::new("multipart/mixed").attribute("boundary", boundary("all")), all)
        }
    };
    let mut message = MessageBuilder::new()
        .message_id(id.clone())
        .date(of.entries.last().map_or(0, |entry| seconds(&entry.time)))
        .from(mailbox(from))
        .subject(subject)
        .header("X-Rialto-Chain", text(book.chain.clone()))
        .header("X-Rialto-Conversation", text(of.number.to_string()))
        .header("X-Rialto-Rows", text(format!("{first}-{last}; {} rows", of.entries.len())))
        .header("X-Rialto-Links-SHA256", text(digest))
        .body(body);
    if !others.is_empty() {
        message = message.to(others);
    }
    Ok(Letter { bytes: message.write_to_vec()?, id })
}

/// A media type without anything that could end its line.
fn is_mime(mime: &str) -> bool {
    let token = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
    };
    mime.split_once('/')
        .is_some_and(|(kind, sub)| token(kind) && token(sub) && kind != "multipart" && kind != "message")
}

/// Unix seconds of a time as [`model::Timestamp`] writes it.
fn seconds(time: &str) -> i64 {
    let number =
        |range: std::ops::Range<usize>| time.get(range).and_then(|digits| digits.parse::<i64>().ok());
    let read = || {
        let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
        let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
        // Civil date to days, with a year that begins in March so that leap days end it.
        let shifted = if month <= 2 { year - 1 } else { year };
        let era = shifted.div_euclid(400);
        let of_era = shifted - era * 400;
        let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
        Some(days * 86_400 + hour * 3_600 + minute * 60 + second)
    };
    read().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_addresses_are_those_of_mail() {
        for ms in [0u64, 951_782_400_000, 1_709_251_199_000, 4_102_444_800_000] {
            assert_eq!(seconds(&model::Timestamp(ms).to_string()), (ms / 1000) as i64);
        }
        for (who, mail) in [
            ("juliet@example.com", "juliet@example.com"),
            ("d'arta gnan@example.com", "d'arta%20gnan@example.com"),
            ("a..b@müller.example", "a.%2Eb@xn--mller-kva.example"),
            ("example.com", "system@example.com"),
            ("j@2001:db8::1", "j@address.invalid"),
        ] {
            assert_eq!(mailbox(who).unwrap_address().email, mail, "{who}");
        }
        assert!(is_mime("image/svg+xml") && !is_mime("image/png\r\nX: y") && !is_mime("message/rfc822"));
    }
}
