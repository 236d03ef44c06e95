//! The JSON Lines that we export.

use crate::element::{CLIENT, Element};
use crate::{Bad, Hear, Said, hear_said};
use serde::Deserialize;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// What of a line is needed.
#[derive(Deserialize)]
struct Line {
    time: String,
    kind: String,
    from: String,
    #[serde(default)]
    to: String,
    #[serde(default)]
    from_device: Option<String>,
    #[serde(default)]
    to_device: Option<String>,
    #[serde(default)]
    message_id: String,
    #[serde(default)]
    thread: Option<String>,
    #[serde(default)]
    subject: Option<String>,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    about: Option<String>,
    #[serde(default)]
    reactions: Vec<String>,
}

pub(crate) fn read(path: &Path, hear: &mut Hear<'_>) -> Result<(), Bad> {
    let file = File::open(path).map_err(|e| Bad::new(path.display(), e))?;
    for (at, line) in BufReader::new(file).lines().enumerate() {
        let place = format!("{}:{}", path.display(), at + 1);
        let line = line.map_err(|e| Bad::new(&place, e))?;
        if line.trim().is_empty() {
            continue;
        }
        let read = serde_json::from_str::<Line>(&line).map_err(|e| e.to_string());
        hear_said(hear, read.and_then(|line| said(line, &place)), &place)?;
    }
    Ok(())
}

/// A message; nothing for what is none, such as acts and receipts.
fn said(line: Line, place: &str) -> Result<Option<Said>, String> {
    if !["message", "edit", "retraction", "reaction"].contains(&line.kind.as_str()) {
        return Ok(None);
    }
    let at = time(&line.time).ok_or_else(|| format!("{:?} is no time", line.time))?;
    let full = |who: &str, device: &Option<String>| match device {
        Some(device) => format!("{who}/{device}"),
        None => who.to_owned(),
    };
    let (from, to) = (full(&line.from, &line.from_device), full(&line.to, &line.to_device));
    let mut stanza = Element::new("message", CLIENT).with("from", &from).with("to", &to).with("type", "chat");
    if !line.message_id.is_empty() {
        stanza = stanza.with("id", &line.message_id);
    }
    for (name, value) in [("subject", &line.subject), ("body", &line.text), ("thread", &line.thread)] {
        if let Some(value) = value {
            stanza = stanza.holding(Element::new(name, "").saying(value));
        }
    }
    let about = line.about.as_deref().unwrap_or_default();
    match line.kind.as_str() {
        "edit" => {
            stanza = stanza.holding(Element::new("replace", "urn:xmpp:message-correct:0").with("id", about))
        }
        "retraction" => {
            stanza = stanza.holding(Element::new("retract", "urn:xmpp:message-retract:1").with("id", about))
        }
        "reaction" => {
            let mut all = Element::new("reactions", "urn:xmpp:reactions:0").with("id", about);
            for one in &line.reactions {
                all = all.holding(Element::new("reaction", "").saying(one));
            }
            stanza = stanza.holding(all);
        }
        _ => {}
    }
    Said::new(at, &stanza, place)
}

/// Unix milliseconds of a time after XEP-0082 (RFC 3339).
pub(crate) fn time(text: &str) -> Option<u64> {
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<i64>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    let rest = text.get(19..)?;
    let digits = rest.strip_prefix('.').map_or(0, |rest| rest.bytes().take_while(u8::is_ascii_digit).count());
    let fraction: f64 = if digits > 0 { format!("0{}", &rest[..=digits]).parse().ok()? } else { 0.0 };
    let zone = &rest[if digits > 0 { digits + 1 } else { 0 }..];
    let offset = match zone {
        "Z" | "z" => 0,
        _ => {
            let sign = if zone.starts_with('-') { -1 } else { 1 };
            let (hours, minutes) = zone.get(1..)?.split_once(':')?;
            sign * (hours.parse::<i64>().ok()? * 60 + minutes.parse::<i64>().ok()?)
        }
    };
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let of_era = shifted - era * 400;
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    let seconds = days * 86_400 + hour * 3_600 + (minute - offset) * 60 + second;
    u64::try_from(seconds * 1_000 + (fraction * 1_000.0).round() as i64).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_we_write_we_read() {
        assert_eq!(time("2023-11-14T22:13:20.250Z"), Some(1_700_000_000_250));
        assert_eq!(time("2023-11-14T23:13:20+01:00"), Some(1_700_000_000_000));
        for wrong in
            ["", "2023-11-14", "2023-13-14T22:13:20Z", "2023-11-14T22:13:20", "2023-11-14T22:13:20.Z é"]
        {
            assert_eq!(time(wrong), None, "{wrong}");
        }
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("messages.jsonl");
        let line = r#"{"row":1,"time":"2023-11-14T22:13:20.000Z","kind":"edit","from":"a@x","to":"b@y","text":"<b>","message_id":"m","about":"n","outcomes":[]}"#;
        std::fs::write(
            &file,
            format!("{line}\n{{\"kind\":\"act\",\"time\":\"\",\"from\":\"\"}}\nnonsense\n"),
        )
        .unwrap();
        let all = crate::tests::all(|hear| read(&file, hear));
        assert_eq!(all.len(), 2, "{all:?}");
        let stanza = &crate::tests::said(&all[0]).stanza;
        assert!(
            stanza.ends_with(
                "<body>&lt;b&gt;</body><replace xmlns='urn:xmpp:message-correct:0' id='n'/></message>"
            ),
            "{stanza}"
        );
        assert!(all[1].as_ref().unwrap_err().to_string().contains("messages.jsonl:3"));
    }
}
