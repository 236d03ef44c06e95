//! Presence (RFC 8048): watch states and documents.

use model::{Dialect, Loss, Notify, PresenceDoc, Timestamp, Tuple, WatchState};

use crate::pidf;
use crate::translate::address;

/// The value of `Subscription-State` (RFC 6665 8.2.3) with the seconds left.
pub fn state(state: WatchState, left: u64) -> String {
    match state {
        WatchState::Active => format!("active;expires={left}"),
        WatchState::Pending => format!("pending;expires={left}"),
        WatchState::Rejected => "terminated;reason=rejected".to_owned(),
        WatchState::Expired => "terminated;reason=timeout".to_owned(),
    }
}

/// True if a NOTIFY with this state ends the dialog.
pub fn is_end(state: WatchState) -> bool {
    matches!(state, WatchState::Rejected | WatchState::Expired)
}

/// The body of a NOTIFY. A watch without consent shows nothing (RFC 8048 5.3.2): no body at all.
pub fn body(state: WatchState, doc: &PresenceDoc) -> Option<String> {
    match state {
        WatchState::Active | WatchState::Expired => {
            Some(pidf::render(doc, &address::to_uri(&doc.presentity)))
        }
        WatchState::Pending | WatchState::Rejected => None,
    }
}

/// What a PIDF document cannot say of this presence.
pub fn losses(notify: &Notify, from: Dialect) -> Vec<Loss> {
    let mut out = Vec::new();
    if from == Dialect::Sip {
        return out;
    }
    if notify.doc.tuples.iter().any(|t| t.priority.is_some_and(|p| p < 0)) {
        out.push(Loss::dropped("negative-priority", from, Dialect::Sip));
    }
    out
}

/// The tuples of a published document. `device` renames a single tuple to the device that published it, so that
/// others see one device where there is one.
pub fn from_pidf(body: &[u8], device: Option<&model::Device>, now: Timestamp) -> Option<Vec<Tuple>> {
    let mut tuples = pidf::parse(body, now)?;
    if let (Some(device), [one]) = (device, tuples.as_mut_slice()) {
        one.device = Some(device.clone());
    }
    Some(tuples)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Activity, Address, Basic, Device};

    #[test]
    fn rfc_8048_states() {
        for (s, text, end) in [
            (WatchState::Active, "active;expires=60", false),
            (WatchState::Pending, "pending;expires=60", false),
            (WatchState::Rejected, "terminated;reason=rejected", true),
            (WatchState::Expired, "terminated;reason=timeout", true),
        ] {
            assert_eq!((state(s, 60).as_str(), is_end(s)), (text, end));
        }
    }

    #[test]
    fn nothing_is_shown_without_consent() {
        let mut doc = PresenceDoc::empty(Address::parse("juliet@example.com").unwrap());
        doc.tuples.push(Tuple::plain(None, Basic::Open, Timestamp(0)));
        assert_eq!(body(WatchState::Pending, &doc), None);
        assert_eq!(body(WatchState::Rejected, &doc), None);
        let text = body(WatchState::Active, &doc).unwrap();
        assert!(text.contains("entity=\"sip:juliet@example.com\"") && text.contains("<basic>open</basic>"));
    }

    #[test]
    fn a_single_tuple_takes_the_name_of_its_device() {
        let pidf = b"<presence><tuple id='t1'><status><basic>open</basic></status></tuple><person><activities><busy/></activities></person></presence>";
        let d = Device::new("phone").unwrap();
        let t = from_pidf(pidf, Some(&d), Timestamp(5)).unwrap();
        assert_eq!((t[0].device.as_ref(), t[0].activity, t[0].at), (Some(&d), Activity::Busy, Timestamp(5)));
        assert_eq!(from_pidf(pidf, None, Timestamp(5)).unwrap()[0].device.as_ref().unwrap().as_str(), "t1");
    }
}
