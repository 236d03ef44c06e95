//! One document of many publications.

use super::Publication;
use model::{Address, Basic, PresenceDoc, Tuple};
use std::sync::Arc;

/// Everything an account's devices say, best first: open before closed, then by priority, then the latest word.
/// A closed tuple stays only while nothing else of its device is open.
pub(crate) fn compose(presentity: &Address, publications: &[Publication]) -> Arc<PresenceDoc> {
    let mut tuples: Vec<Tuple> = publications.iter().flat_map(|p| p.tuples.iter().cloned()).collect();
    tuples.sort_by(|a, b| {
        let open = |t: &Tuple| t.basic == Basic::Open;
        (open(b), b.priority.unwrap_or(0), b.at).cmp(&(open(a), a.priority.unwrap_or(0), a.at))
    });
    Arc::new(PresenceDoc { presentity: presentity.clone(), tuples })
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Device, LeaseKey, Timestamp};

    #[test]
    fn the_best_device_comes_first() {
        let tuple = |name: &str, basic, priority, at| Tuple {
            priority: Some(priority),
            ..Tuple::plain(Some(Device::new(name).unwrap()), basic, Timestamp(at))
        };
        let of = |t| Publication { key: LeaseKey::new("k"), device: None, tuples: vec![t], until: None };
        let doc = compose(
            &Address::parse("a@b").unwrap(),
            &[
                of(tuple("closed", Basic::Closed, 9, 9)),
                of(tuple("old", Basic::Open, 1, 1)),
                of(tuple("new", Basic::Open, 1, 2)),
                of(tuple("first", Basic::Open, 5, 0)),
            ],
        );
        let names: Vec<_> = doc.tuples.iter().map(|t| t.device.as_ref().unwrap().as_str()).collect();
        assert_eq!(names, ["first", "new", "old", "closed"]);
    }
}
