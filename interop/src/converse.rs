//! What two users of two companies say to each other, whatever their servers.

use crate::slixmpp::fence;
use crate::talk::Talk;

/// Somebody of the company whose server is under test, and somebody of the other: each with the address the other knows.
pub struct Pair<'a> {
    /// Ours.
    pub juliet: &'a mut Talk,
    /// Her address.
    pub ours: &'a str,
    /// Theirs.
    pub romeo: &'a mut Talk,
    /// His address.
    pub theirs: &'a str,
}

impl Pair<'_> {
    /// A message each way.
    pub fn greet(&mut self) {
        self.juliet.tell(format!("send {} Art thou not Romeo, and a Montague?", self.theirs));
        self.romeo.expect(format!("message {} Art thou not Romeo, and a Montague?", self.ours));
        self.romeo
            .tell(format!("send {} Neither, fair saint, if either thee dislike. <&> \u{1F339}", self.ours));
        self.juliet.expect(format!(
            "message {} Neither, fair saint, if either thee dislike. <&> \u{1F339}",
            self.theirs
        ));
    }

    /// Many, in order.
    ///
    /// # Panics
    /// If they come out of order.
    pub fn chatter(&mut self) {
        for n in 0..50 {
            self.juliet.tell(format!("send {} line {n}", self.theirs));
            self.romeo.tell(format!("send {} answer {n}", self.ours));
        }
        for n in 0..50 {
            assert_eq!(
                self.romeo.expect(format!("message {} line", self.ours)),
                n.to_string(),
                "out of order"
            );
            assert_eq!(
                self.juliet.expect(format!("message {} answer", self.theirs)),
                n.to_string(),
                "out of order"
            );
        }
        // Somebody tells a story, longer than a stranger may be before they are known.
        let story = "never was a story of more woe ".repeat(500);
        self.juliet.tell(format!("send {} {story}", self.theirs));
        self.romeo.tell(format!("send {} {story}", self.ours));
        for (hears, whom) in [(&mut *self.romeo, self.ours), (&mut *self.juliet, self.theirs)] {
            assert_eq!(hears.expect(format!("message {whom} never")).len(), story.trim_end().len() - 6);
        }
    }

    /// Receipts and typing, each way.
    pub fn report(&mut self) {
        self.juliet.tell(format!("receipt {} Hast thou got this?", self.theirs));
        self.romeo.expect(format!("message {} Hast thou got this?", self.ours));
        self.juliet.expect(format!("delivered {}", self.theirs));
        self.romeo.tell(format!("receipt {} And thou this?", self.ours));
        self.juliet.expect(format!("message {} And thou this?", self.theirs));
        self.romeo.expect(format!("delivered {}", self.ours));
        self.juliet.tell(format!("typing {}", self.theirs));
        self.romeo.expect(format!("typing {}", self.ours));
        self.romeo.tell(format!("typing {}", self.ours));
        self.juliet.expect(format!("typing {}", self.theirs));
    }

    /// Each asks to see the other, is let, and sees what becomes of the other.
    ///
    /// # Panics
    /// If somebody sees what was not granted.
    pub fn watch(&mut self) {
        self.juliet.tell(format!("add {}", self.theirs));
        self.romeo.expect(format!("ask {}", self.ours));
        fence(self.juliet);
        let seen = self.juliet.count(&format!("presence {} available", self.theirs));
        assert_eq!(seen, 0, "presence without consent");
        self.romeo.tell(format!("approve {}", self.ours));
        self.juliet.expect(format!("granted {}", self.theirs));
        self.juliet.expect(format!("presence {} available", self.theirs));
        self.romeo.tell("show away in the orchard");
        self.juliet.expect(format!("presence {} away in the orchard", self.theirs));
        self.romeo.tell(format!("add {}", self.ours));
        self.juliet.expect(format!("ask {}", self.theirs));
        self.juliet.tell(format!("approve {}", self.theirs));
        self.romeo.expect(format!("granted {}", self.ours));
        self.romeo.expect(format!("presence {} available", self.ours));
        self.juliet.tell("show dnd on the balcony");
        self.romeo.expect(format!("presence {} dnd on the balcony", self.ours));
    }

    /// Each asks the other's server, and the other's device, something that only clients and servers understand.
    ///
    /// # Panics
    /// If what comes back is no answer.
    pub fn ask(&mut self) {
        let domain = |who: &str| who.split_once('@').expect("an address").1.to_owned();
        for (asks, of) in [(&mut *self.juliet, self.theirs), (&mut *self.romeo, self.ours)] {
            asks.tell(format!("ping {}", domain(of)));
            asks.expect("pong");
            asks.tell(format!("disco {}", domain(of)));
            let features = asks.expect("features");
            assert!(features.contains("http://jabber.org/protocol/disco#info"), "{features}");
        }
        // Where the other is: the last message came from there.
        self.romeo.forget();
        self.juliet.tell(format!("send {} Where art thou?", self.theirs));
        let there = full(&self.romeo.expect("envelope chat live"));
        self.romeo.tell(format!("disco {there}"));
        let features = self.romeo.expect("features");
        assert!(features.contains("urn:xmpp:receipts"), "{features}");
    }

    /// Nobody is there on either side, and both hear it.
    pub fn miss(&mut self) {
        let nobody = |who: &str| format!("nobody@{}", who.split_once('@').expect("an address").1);
        self.juliet.tell(format!("send {} Art thou there?", nobody(self.theirs)));
        self.juliet.expect(format!("error {} service-unavailable", nobody(self.theirs)));
        self.romeo.tell(format!("send {} Art thou there?", nobody(self.ours)));
        self.romeo.expect(format!("error {} service-unavailable", nobody(self.ours)));
    }
}

/// The full address at the end of what a client says of a message.
fn full(said: &str) -> String {
    said.rsplit(' ').next().unwrap_or_default().to_owned()
}
