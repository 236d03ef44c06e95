//! Message/CPIM (RFC 3862) with the IMDN headers of RFC 5438 6.3.

use model::{Timestamp, Wants};

use crate::content::{Content, language};
use crate::wire::clean;

const IMDN: &str = "urn:ietf:params:imdn";

/// A message in its CPIM envelope.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cpim {
    /// `From`, as written: `name <uri>` or `<uri>`. Empty where others may read another one than we do.
    pub from: String,
    /// `To`, the same.
    pub to: String,
    /// `DateTime` (RFC 3339).
    pub at: Option<Timestamp>,
    /// `Subject`, and its language.
    pub subject: Option<(Option<String>, String)>,
    /// `imdn.Message-ID`.
    pub id: Option<String>,
    /// `imdn.Disposition-Notification`.
    pub wants: Wants,
    /// Content-Type of the content.
    pub mime: String,
    /// Content-Language of the content.
    pub lang: Option<String>,
    /// The content, its transfer encoding undone.
    pub body: Vec<u8>,
    /// It had one.
    pub encoded: bool,
}

impl Cpim {
    /// Reads an envelope (RFC 3862 2). Line ends may be bare LF: some senders write them.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (head, rest) = block(bytes)?;
        let Content { mime, lang, body, encoded } = Content::read(rest, true).ok()?;
        let mut out = Self { mime, lang, body, encoded, ..Self::default() };
        let mut prefix = "imdn".to_owned();
        let fields = fields(head)?;
        // Each with the prefix of its namespace, if it has one (RFC 3862 2.2).
        let local = |name: &str| name.split(';').next().and_then(|n| n.rsplit('.').next()).map(str::to_owned);
        let senders = fields.iter().filter_map(|(name, _)| local(name));
        let senders = senders.filter(|name| name.trim().eq_ignore_ascii_case("from")).count();
        for (name, value) in &fields {
            if name.eq_ignore_ascii_case("NS")
                && let Some((p, uri)) = value.split_once('<')
                && uri.trim_end().trim_end_matches('>') == IMDN
            {
                prefix = p.trim().to_owned();
            }
        }
        for (name, value) in fields {
            let (name, param) = match name.split_once(';') {
                Some((n, p)) => (n.to_owned(), Some(p.to_owned())),
                None => (name, None),
            };
            match name.to_ascii_lowercase().as_str() {
                "from" => out.from = value.trim().to_owned(),
                "to" => out.to = value.trim().to_owned(),
                "datetime" => out.at = parse_time(&value),
                "subject" => {
                    // A parameter stands at once behind the colon; behind a blank it is text.
                    let (lang, text) = match value.strip_prefix(";lang=") {
                        Some(rest) => {
                            let (l, t) = rest.split_once(' ').unwrap_or((rest, ""));
                            (language(l), t)
                        }
                        None => (param.and_then(|p| language(p.strip_prefix("lang=")?)), value.as_str()),
                    };
                    out.subject.get_or_insert((lang, text.trim().to_owned()));
                }
                _ => {
                    let Some((p, local)) = name.split_once('.') else { continue };
                    if !p.eq_ignore_ascii_case(&prefix) {
                        continue;
                    }
                    if local.eq_ignore_ascii_case("Message-ID") {
                        out.id =
                            Some(value.trim().trim_matches(['<', '>']).to_owned()).filter(|v| !v.is_empty());
                    } else if local.eq_ignore_ascii_case("Disposition-Notification") {
                        for token in value.split(',') {
                            match token.trim().to_ascii_lowercase().as_str() {
                                "positive-delivery" => out.wants.delivered = true,
                                "display" => out.wants.displayed = true,
                                _ => {}
                            }
                        }
                    }
                }
            }
        }
        if senders != 1 || head.replace("\r\n", "\n").contains('\r') {
            out.from.clear();
        }
        Some(out)
    }

    /// Writes the envelope.
    pub fn render(&self) -> Vec<u8> {
        let mut head = format!("From: {}\r\nTo: {}\r\n", clean(&self.from), clean(&self.to));
        if let Some(at) = self.at {
            head.push_str(&format!("DateTime: {at}\r\n"));
        }
        if let Some((lang, text)) = &self.subject {
            match lang {
                Some(lang) => head.push_str(&format!("Subject:;lang={} {}\r\n", clean(lang), clean(text))),
                None => head.push_str(&format!("Subject: {}\r\n", clean(text))),
            }
        }
        if let Some(id) = &self.id {
            head.push_str(&format!("NS: imdn <{IMDN}>\r\nimdn.Message-ID: {}\r\n", clean(id)));
            let wants: Vec<_> = [
                (self.wants.delivered, "positive-delivery, negative-delivery"),
                (self.wants.displayed, "display"),
            ]
            .into_iter()
            .filter_map(|(on, token)| on.then_some(token))
            .collect();
            if !wants.is_empty() {
                head.push_str(&format!("imdn.Disposition-Notification: {}\r\n", wants.join(", ")));
            }
        }
        head.push_str(&format!("\r\nContent-Type: {}\r\n", clean(&self.mime)));
        if let Some(lang) = &self.lang {
            head.push_str(&format!("Content-Language: {}\r\n", clean(lang)));
        }
        head.push_str("\r\n");
        let mut out = head.into_bytes();
        out.extend_from_slice(&self.body);
        out
    }
}

/// Cuts a header block off at its blank line.
fn block(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let mut at = 0;
    loop {
        let line = bytes.get(at..)?;
        let end = line.iter().position(|&b| b == b'\n')?;
        if line.get(..end)?.trim_ascii_end().is_empty() {
            return Some((std::str::from_utf8(bytes.get(..at)?).ok()?, bytes.get(at + end + 1..)?));
        }
        at += end + 1;
        if at > 8192 {
            return None;
        }
    }
}

fn fields(head: &str) -> Option<Vec<(String, String)>> {
    let mut out = Vec::new();
    for line in head.lines() {
        // "Subject:;lang=fr text" and "imdn.Message-ID: x": the name ends at the first colon.
        let (name, value) = line.split_once(':')?;
        // Control characters mean nothing here, and could not be written again.
        out.push((name.trim().to_owned(), clean(value).trim_end().to_owned()));
        if out.len() > 64 {
            return None;
        }
    }
    Some(out)
}

/// Reads an RFC 3339 time.
pub fn parse_time(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let n = |a: usize, b: usize| -> Option<i64> {
        let part = text.get(a..b)?;
        part.bytes().all(|c| c.is_ascii_digit()).then(|| part.parse().ok())?
    };
    let (y, mo, d, h, mi, s) = (n(0, 4)?, n(5, 7)?, n(8, 10)?, n(11, 13)?, n(14, 16)?, n(17, 19)?);
    if !(1..=12).contains(&mo) || !(1..=31).contains(&d) || h > 23 || mi > 59 || s > 60 || y < 1970 {
        return None;
    }
    let mut rest = text.get(19..)?;
    let mut ms = 0;
    if let Some(fraction) = rest.strip_prefix('.') {
        let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
        let three: String = fraction.get(..digits)?.chars().chain("000".chars()).take(3).collect();
        ms = three.parse().ok()?;
        rest = fraction.get(digits..)?;
    }
    let offset = match rest.as_bytes().first() {
        None | Some(b'Z' | b'z') => 0,
        Some(sign @ (b'+' | b'-')) => {
            let hours: i64 = rest.get(1..3)?.parse().ok()?;
            let minutes: i64 = rest.get(4..6)?.parse().ok()?;
            (hours * 60 + minutes) * if *sign == b'-' { -1 } else { 1 }
        }
        Some(_) => return None,
    };
    // Days from the civil date, with years beginning in March.
    let (y, m) = if mo <= 2 { (y - 1, mo + 9) } else { (y, mo - 3) };
    let (era, yoe) = (y.div_euclid(400), y.rem_euclid(400));
    let days = era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + (153 * m + 2) / 5 + d - 1 - 719_468;
    let secs = days * 86_400 + h * 3600 + mi * 60 + s - offset * 60;
    u64::try_from(secs * 1000 + ms).ok().map(Timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_is_read_whatever_its_line_ends() {
        let text = "From: MR SANDERS <im:piglet@100akerwood.com>\r\nTo: Depressed Donkey <im:eeyore@100akerwood.com>\r\n\
             DateTime: 2000-12-13T13:40:00-08:00\r\nSubject:;lang=fr beau temps\r\nNS: im-dn <urn:ietf:params:imdn>\r\n\
             im-dn.Message-ID: 34jk324j\r\nim-dn.Disposition-Notification: positive-delivery, display\r\n\r\n\
             Content-type: text/plain; charset=utf-8\r\nContent-ID: <1>\r\n\r\nHello: there\r\n\r\n.";
        for text in [text.to_owned(), text.replace("\r\n", "\n")] {
            let c = Cpim::parse(text.as_bytes()).unwrap();
            assert_eq!(c.from, "MR SANDERS <im:piglet@100akerwood.com>");
            assert_eq!(c.at.unwrap().to_string(), "2000-12-13T21:40:00.000Z");
            assert_eq!(c.subject, Some((Some("fr".into()), "beau temps".into())));
            assert_eq!(c.id.as_deref(), Some("34jk324j"));
            assert_eq!(c.wants, Wants { delivered: true, displayed: true });
            assert_eq!(c.mime, "text/plain;charset=utf-8");
            assert!(c.body.starts_with(b"Hello: there"));
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let c = Cpim {
            from: "<im:a@b>".into(),
            to: "<im:c@d>".into(),
            at: Some(Timestamp(1_709_251_199_999)),
            subject: Some((None, "s".into())),
            id: Some("x1".into()),
            wants: Wants { delivered: true, displayed: false },
            mime: "text/plain".into(),
            lang: Some("de".into()),
            body: b"hi\r\n\r\nho".to_vec(),
            encoded: false,
        };
        assert_eq!(Cpim::parse(&c.render()), Some(c));
    }

    #[test]
    fn a_sender_is_named_once_or_not_at_all() {
        for (head, from) in [
            ("From: <sip:a@b>", "<sip:a@b>"),
            ("To: <sip:a@b>", ""),
            ("From: <sip:a@b>\r\nfrom: <sip:c@d>", ""),
            ("From: <sip:a@b>\r\nNS: x <urn:ietf:params:cpim-headers:>\r\nx.From: <sip:c@d>", ""),
            ("From: <sip:a@b>\r\nSubject: x\rFrom: <sip:c@d>", ""),
        ] {
            let text = format!("{head}\r\n\r\nContent-Type: text/plain\r\n\r\nhi");
            assert_eq!(Cpim::parse(text.as_bytes()).unwrap().from, from, "{head}");
        }
    }

    #[test]
    fn the_content_is_decoded() {
        let read = |encoding: &str, body: &str| {
            let text = format!(
                "From: <sip:a@b>\r\n\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n{body}"
            );
            Cpim::parse(text.as_bytes()).map(|c| c.body)
        };
        assert_eq!(read("Base64", "aGVs\r\nbG8=\r\n"), Some(b"hello".to_vec()));
        assert_eq!(read("quoted-printable", "h=C3=A9=\r\nllo"), Some("héllo".as_bytes().to_vec()));
        assert_eq!(read("8bit", "a=20b"), Some(b"a=20b".to_vec()));
        assert_eq!((read("base64", "&"), read("x-own", "a")), (None, None));
    }

    #[test]
    fn broken_envelopes_are_refused() {
        for bad in
            ["", "From: x", "From: x\r\n\r\nno second block", "no colon\r\n\r\nContent-Type: a/b\r\n\r\n"]
        {
            assert_eq!(Cpim::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn times() {
        for (text, ms) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2000-02-29T00:00:00.5+01:00", Some(951_778_800_500)),
            ("2024-02-29T23:59:59.999Z", Some(1_709_251_199_999)),
            ("1960-01-01T00:00:00Z", None),
            ("2024-13-01T00:00:00Z", None),
            ("now", None),
            ("2024-01-01T00:00:00+1", None),
        ] {
            assert_eq!(parse_time(text).map(|t| t.0), ms, "{text}");
        }
    }
}
