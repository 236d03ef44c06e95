//! What a server that follows a node of a publish-subscribe service says and hears (XEP-0060): it subscribes, asks for what is
//! there, page by page where the service can (XEP-0059), and is told what comes and what goes. Only the ids of items are read.

use bytes::Bytes;
use model::{Address, Endpoint};

use crate::jid;
use crate::wire::{Element, PUBSUB, PUBSUB_EVENT, RSM, Tree, Writer};

/// So many items at a time: an answer stays well below what a stanza may be.
pub const PAGE: usize = 500;

/// Something that a service says about a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// The answer to the request with this id.
    Answer {
        /// The request's id.
        id: String,
        /// Items of the node, where it was asked for them.
        items: Vec<String>,
        /// After which to ask for more; `None` where that is all.
        more: Option<String>,
    },
    /// The request with this id was refused; in the words of the protocol, why.
    Refused {
        /// The request's id.
        id: String,
        /// The condition.
        why: String,
    },
    /// Items of a node that came, and items that went.
    Changed {
        /// The node.
        node: String,
        /// What came.
        came: Vec<String>,
        /// What went.
        went: Vec<String>,
    },
    /// All items of a node went.
    Purged(String),
    /// The node is gone.
    Deleted(String),
}

/// The request to be told of a node (section 6.1), or no longer (section 6.2).
#[must_use]
pub fn subscribe(id: &str, from: &Endpoint, to: &Address, node: &str, on: bool) -> Bytes {
    request(id, "set", from, to, |w| {
        let verb = if on { "subscribe" } else { "unsubscribe" };
        w.open(verb).attr("node", node).attr("jid", &jid::text(from)).end();
    })
}

/// The request for items of a node (section 6.5), from the first or after one.
#[must_use]
pub fn items(id: &str, from: &Endpoint, to: &Address, node: &str, after: Option<&str>) -> Bytes {
    request(id, "get", from, to, |w| {
        w.open("items").attr("node", node).end();
        w.open_ns("set", RSM).leaf("max", &PAGE.to_string());
        if let Some(after) = after {
            w.leaf("after", after);
        }
        w.end();
    })
}

fn request(id: &str, kind: &str, from: &Endpoint, to: &Address, inner: impl FnOnce(&mut Writer)) -> Bytes {
    let mut w = Writer::new();
    w.open("iq").attr("from", &jid::text(from)).attr("to", to.as_str()).attr("type", kind).attr("id", id);
    w.open_ns("pubsub", PUBSUB);
    inner(&mut w);
    w.finish().into()
}

/// Reads a stanza of a service. `None` where it says nothing of the kind.
#[must_use]
pub fn read(stanza: &[u8]) -> Option<News> {
    let tree = Tree::read(stanza, &[])?;
    let root = tree.root();
    match root.name() {
        b"iq" => answer(&root),
        b"message" => event(&root),
        _ => None,
    }
}

fn answer(iq: &Element<'_, '_>) -> Option<News> {
    let id = iq.attr("id")?.into_owned();
    if iq.attr("type")? == "error" {
        let error = iq.children().find(|child| child.name() == b"error");
        let condition = error.and_then(|error| error.children().next());
        let why = condition.map(|c| String::from_utf8_lossy(c.name()).into_owned());
        return Some(News::Refused { id, why: why.unwrap_or_default() });
    }
    let pubsub = iq.child("pubsub", PUBSUB);
    let listed = pubsub.as_ref().and_then(|p| p.child("items", PUBSUB));
    let items = listed.as_ref().map(|items| ids(items, "item", PUBSUB)).unwrap_or_default();
    // A service without pages gives all, and no set.
    let set = pubsub.as_ref().and_then(|p| p.child("set", RSM));
    let word = |name: &str| set.as_ref()?.child(name, RSM).map(|c| c.text().into_owned());
    let last = word("last").filter(|last| !last.is_empty());
    let count = word("count").and_then(|count| count.parse::<usize>().ok());
    let is_all = items.is_empty() || count.is_some_and(|count| count <= items.len());
    Some(News::Answer { id, more: last.filter(|_| !is_all), items })
}

fn event(message: &Element<'_, '_>) -> Option<News> {
    let event = message.child("event", PUBSUB_EVENT)?;
    let what = event.children().next()?;
    let node = what.attr("node")?.into_owned();
    match what.name() {
        b"items" => {
            let (came, went) = (ids(&what, "item", PUBSUB_EVENT), ids(&what, "retract", PUBSUB_EVENT));
            Some(News::Changed { node, came, went })
        }
        b"purge" => Some(News::Purged(node)),
        b"delete" => Some(News::Deleted(node)),
        _ => None,
    }
}

fn ids(of: &Element<'_, '_>, name: &str, ns: &str) -> Vec<String> {
    of.children().filter(|c| c.is(name, ns)).filter_map(|c| c.attr("id").map(|id| id.into_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(node: &str, came: &[&str], went: &[&str]) -> Option<News> {
        let own = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect();
        Some(News::Changed { node: node.into(), came: own(came), went: own(went) })
    }

    #[test]
    fn what_a_service_says_is_understood() {
        let event = |inner: &str| {
            read(format!("<message from='l.example' to='a@b/c' type='headline'><event xmlns='http://jabber.org/protocol/pubsub#event'>{inner}</event></message>").as_bytes())
        };
        assert_eq!(
            event("<items node='n'><item id='a'><x xmlns='y'/></item><item id='b'/></items>"),
            changed("n", &["a", "b"], &[])
        );
        assert_eq!(event("<items node='n'><retract id='&lt;a'/></items>"), changed("n", &[], &["<a"]));
        assert_eq!(event("<purge node='n'/>"), Some(News::Purged("n".into())));
        assert_eq!(event("<delete node='n'/>"), Some(News::Deleted("n".into())));
        for nothing in ["", "<items/>", "<configuration node='n'/>"] {
            assert_eq!(event(nothing), None, "{nothing}");
        }
        assert_eq!(read(b"<message><body>x</body></message>"), None);
        assert_eq!(read(b"<presence/>"), None);
        assert_eq!(read(b"no stanza"), None);
        let page = |set: &str| {
            let iq = format!(
                "<iq type='result' id='7'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='n'><item id='a'/><item id='b'/></items>{set}</pubsub></iq>"
            );
            let Some(News::Answer { id, items, more }) = read(iq.as_bytes()) else { panic!("{iq}") };
            assert_eq!((id.as_str(), items.len()), ("7", 2));
            more
        };
        let set = |inner: &str| format!("<set xmlns='http://jabber.org/protocol/rsm'>{inner}</set>");
        assert_eq!(page(""), None);
        assert_eq!(page(&set("<last>b</last><count>2</count>")), None);
        assert_eq!(page(&set("<last>b</last><count>9</count>")).as_deref(), Some("b"));
        assert_eq!(page(&set("<last>b</last>")).as_deref(), Some("b"));
        let no = "<iq type='error' id='7'><error type='auth'><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>";
        assert_eq!(read(no.as_bytes()), Some(News::Refused { id: "7".into(), why: "forbidden".into() }));
    }

    #[test]
    fn requests_are_as_the_standard_has_them() {
        let me = jid::parse("me@b.example/d").unwrap();
        let to = Address::parse("l.example").unwrap();
        let text = |bytes: Bytes| String::from_utf8(bytes.to_vec()).unwrap();
        assert_eq!(
            text(subscribe("1", &me, &to, "n", true)),
            "<iq from='me@b.example/d' to='l.example' type='set' id='1'><pubsub xmlns='http://jabber.org/protocol/pubsub'>\
             <subscribe node='n' jid='me@b.example/d'/></pubsub></iq>"
        );
        assert!(text(subscribe("1", &me, &to, "n", false)).contains("<unsubscribe node='n'"));
        let page = text(items("2", &me, &to, "n", Some("b")));
        assert!(page.contains("<items node='n'/><set xmlns='http://jabber.org/protocol/rsm'><max>500</max><after>b</after></set>"), "{page}");
    }
}
