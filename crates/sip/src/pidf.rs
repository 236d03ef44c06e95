//! Presence documents: PIDF (RFC 3863) with RPID activities (RFC 4480) on a person of the data model (RFC 4479),
//! and XMPP's `<show/>` inside the status (RFC 8048 6.2).
//!
//! The reader goes by local names and ignores what it does not know; the publisher's own text travels beside as
//! `Original`, so nothing is lost between SIP users.

use crate::content::language;
use crate::xml::{self, Node};
use markup::xml::escaped;
use model::{Activity, Basic, Device, PresenceDoc, Timestamp, Tuple};

/// The media type.
pub const MIME: &str = "application/pidf+xml";

/// Most tuples read from one document.
const MAX_TUPLES: usize = 32;
/// Longest note kept, in characters.
const MAX_NOTE: usize = 1024;
/// What is kept of a document takes at most so many bytes when it is written, so that whoever reads as we do reads it all:
/// what is said of the person once is written for each device.
const MAX_WRITTEN: usize = 48 * 1024;
/// A tuple without its device's name, its contact and its notes, and a note without its text.
const BARE_TUPLE: usize = 256;
const BARE_NOTE: usize = 64;

/// Reads the tuples of a document. `None` if it is no presence document.
pub fn parse(body: &[u8], now: Timestamp) -> Option<Vec<Tuple>> {
    let root = xml::parse(body)?;
    if root.name != "presence" {
        return None;
    }
    // What is said of the person holds for every tuple that says nothing itself.
    let person = root.nodes.iter().find(|n| n.name == "person");
    let person_activity = person.and_then(activity_in);
    let mut general: Vec<_> = notes(&root);
    general.extend(person.map(notes).unwrap_or_default());
    let mut out = Vec::new();
    let mut room = MAX_WRITTEN;
    let mut fits = |size: usize| room.checked_sub(size).map(|left| room = left).is_some();
    for t in root.nodes.iter().filter(|n| n.name == "tuple").take(MAX_TUPLES) {
        let device = t.attr("id").and_then(device_of_id);
        if !fits(BARE_TUPLE + device.as_ref().map_or(0, |d| id_of_device(d.as_str()).len())) {
            break;
        }
        let status = t.child("status");
        // Without <basic/> the tuple says nothing about reachability; being listed is taken as open.
        let basic = match status.and_then(|s| s.child("basic")).map(|b| b.text.trim()) {
            Some(b) if b.eq_ignore_ascii_case("closed") => Basic::Closed,
            _ => Basic::Open,
        };
        let shown = status.and_then(|s| s.child("show")).and_then(|s| from_show(s.text.trim()));
        let activity = shown
            .or_else(|| activity_in(t))
            .or_else(|| status.and_then(activity_in))
            .or(person_activity)
            .unwrap_or_default();
        let contact = t.child("contact");
        let mut own = notes(t);
        if own.is_empty() {
            own.clone_from(&general);
        }
        let address = contact.map(|c| c.text.trim()).filter(|c| !c.is_empty() && fits(escaped(c).len()));
        own.retain(|(lang, text)| {
            fits(BARE_NOTE + lang.as_ref().map_or(0, |l| l.len()) + escaped(text).len())
        });
        out.push(Tuple {
            device,
            basic,
            activity,
            priority: contact.and_then(|c| c.attr("priority")).and_then(priority_of),
            notes: own,
            contact: address.map(Into::into),
            at: now,
            original: None,
        });
    }
    Some(out)
}

fn notes(node: &Node) -> Vec<(Option<model::Lang>, String)> {
    node.nodes
        .iter()
        .filter(|n| n.name == "note" && !n.text.trim().is_empty())
        .take(8)
        .map(|n| {
            let lang = n.attr("xml:lang").and_then(language).map(Into::into);
            (lang, n.text.trim().chars().take(MAX_NOTE).collect())
        })
        .collect()
}

fn activity_in(node: &Node) -> Option<Activity> {
    let known = node.nodes.iter().filter(|n| n.name == "activities").flat_map(|a| &a.nodes);
    known.filter_map(|a| from_rpid(&a.name)).next()
}

/// RPID activities (RFC 4480 3.2) as activities of the model. `None` says nothing about reachability.
pub fn from_rpid(name: &str) -> Option<Activity> {
    Some(match name {
        "away" | "breakfast" | "dinner" | "meal" | "shopping" | "in-transit" | "steering" => Activity::Away,
        "vacation" | "holiday" | "permanent-absence" | "sleeping" | "travel" | "worship" => {
            Activity::ExtendedAway
        }
        "busy" | "working" | "performance" | "playing" | "tv" => Activity::Busy,
        "on-the-phone" => Activity::OnThePhone,
        "meeting" | "appointment" | "presentation" => Activity::InMeeting,
        "unknown" => Activity::Available,
        _ => return None,
    })
}

/// The RPID element for an activity; `None` where there is nothing to say.
pub fn to_rpid(activity: Activity) -> Option<&'static str> {
    Some(match activity {
        Activity::Available | Activity::Chatty => return None,
        Activity::Away | Activity::ExtendedAway => "away",
        Activity::Busy => "busy",
        Activity::OnThePhone => "on-the-phone",
        Activity::InMeeting => "meeting",
    })
}

fn from_show(show: &str) -> Option<Activity> {
    Some(match show {
        "away" => Activity::Away,
        "xa" => Activity::ExtendedAway,
        "dnd" => Activity::Busy,
        "chat" => Activity::Chatty,
        _ => return None,
    })
}

fn to_show(activity: Activity) -> Option<&'static str> {
    Some(match activity {
        Activity::Available => return None,
        Activity::Chatty => "chat",
        Activity::Away => "away",
        Activity::ExtendedAway => "xa",
        // A reader that knows only XMPP's four words still learns the right thing; the richer word is in RPID.
        Activity::Busy | Activity::OnThePhone | Activity::InMeeting => "dnd",
    })
}

/// 0 to 1 becomes 0 to 127 (RFC 8048 6.2).
fn priority_of(text: &str) -> Option<i8> {
    let p: f32 = text.trim().parse().ok()?;
    (0.0..=1.0).contains(&p).then(|| (p * 127.0).round() as i8)
}

/// The tuple id of a device: `ID-` and the name, escaped to what an XML name may hold.
pub fn id_of_device(device: &str) -> String {
    let mut out = String::from("ID-");
    for c in device.chars() {
        if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') {
            out.push(c);
        } else {
            out.push_str(&format!("_{:x}_", u32::from(c)));
        }
    }
    out
}

/// The device of a tuple id; an id without our prefix is taken as it is.
pub fn device_of_id(id: &str) -> Option<Device> {
    let Some(mut rest) = id.strip_prefix("ID-") else { return Device::new(id).ok() };
    let mut out = String::new();
    while let Some(at) = rest.find('_') {
        out.push_str(&rest[..at]);
        let tail = &rest[at + 1..];
        let decoded = tail.find('_').and_then(|end| {
            let c = char::from_u32(u32::from_str_radix(&tail[..end], 16).ok()?)?;
            Some((c, &tail[end + 1..]))
        });
        match decoded {
            Some((c, after)) => {
                out.push(c);
                rest = after;
            }
            None => {
                out.push('_');
                rest = tail;
            }
        }
    }
    out.push_str(rest);
    Device::new(&out).ok()
}

/// Writes a document. Open tuples come first, the highest priority foremost: many readers look at the first only.
/// An empty document says closed (RFC 8048 5.2.1: nothing known is unavailable).
pub fn render(doc: &PresenceDoc, entity: &str) -> String {
    let mut tuples: Vec<&Tuple> = doc.tuples.iter().collect();
    tuples.sort_by_key(|t| {
        (t.basic != Basic::Open, std::cmp::Reverse(t.priority.unwrap_or(0)), std::cmp::Reverse(t.at))
    });
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" \
         xmlns:dm=\"urn:ietf:params:xml:ns:pidf:data-model\" xmlns:rpid=\"urn:ietf:params:xml:ns:pidf:rpid\" entity=\"{}\">\r\n",
        escaped(entity)
    );
    if tuples.is_empty() {
        out.push_str("<tuple id=\"ID-none\"><status><basic>closed</basic></status></tuple>\r\n");
    }
    for (i, t) in tuples.iter().enumerate() {
        let id = t.device.as_ref().map_or_else(|| format!("t{i}"), |d| id_of_device(d.as_str()));
        let basic = if t.basic == Basic::Open { "open" } else { "closed" };
        out.push_str(&format!("<tuple id=\"{}\"><status><basic>{basic}</basic>", escaped(&id)));
        if let Some(show) = to_show(t.activity).filter(|_| t.basic == Basic::Open) {
            out.push_str(&format!("<show xmlns=\"jabber:client\">{show}</show>"));
        }
        out.push_str("</status>");
        if t.basic == Basic::Open || t.contact.is_some() {
            let priority = match t.priority {
                Some(p) if p >= 0 => format!(" priority=\"{:.3}\"", f32::from(p) / 127.0),
                _ => String::new(),
            };
            let contact = t.contact.as_deref().unwrap_or(entity);
            out.push_str(&format!("<contact{priority}>{}</contact>", escaped(contact)));
        }
        for (lang, text) in &t.notes {
            match lang {
                Some(lang) => {
                    out.push_str(&format!("<note xml:lang=\"{}\">{}</note>", escaped(lang), escaped(text)))
                }
                None => out.push_str(&format!("<note>{}</note>", escaped(text))),
            }
        }
        if t.at.0 > 0 {
            out.push_str(&format!("<timestamp>{}</timestamp>", t.at));
        }
        out.push_str("</tuple>\r\n");
    }
    if let Some(activity) =
        tuples.first().filter(|t| t.basic == Basic::Open).and_then(|t| to_rpid(t.activity))
    {
        out.push_str(&format!(
            "<dm:person id=\"p1\"><rpid:activities><rpid:{activity}/></rpid:activities></dm:person>\r\n"
        ));
    }
    out.push_str("</presence>\r\n");
    out
}

#[cfg(test)]
#[path = "pidf_tests.rs"]
mod tests;
