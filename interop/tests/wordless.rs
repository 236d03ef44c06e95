//! What a phone sends and XMPP cannot show: its sender hears no, and its reader sees nothing empty.

use interop::Rialto;
use interop::known::judge;
use interop::raw::sip::Sip;
use interop::raw::xmpp::Xmpp;

#[test]
fn a_picture_is_refused() {
    judge("wordless::a_picture_is_refused", || {
        let rialto = Rialto::start(&["romeo", "juliet"]);
        let mut desk = Xmpp::online(rialto.xmpps(), &rialto.ca(), "juliet", "desk");
        let mut phone = Sip::registered(rialto.sip(), "romeo");
        let words = phone.request("MESSAGE", "juliet").saying("not really a picture");
        let picture = words.replacing("Content-Type", "Content-Type: image/png");
        let answer = phone.ask(&picture);
        assert_eq!(answer.status(), 606, "{}", answer.head);
        assert!(answer.head.contains("no text that XMPP can carry"), "{}", answer.head);
        let words = phone.request("MESSAGE", "juliet").saying("words then");
        assert_eq!(phone.ask(&words).status(), 200);
        // The words are the first thing that she gets.
        assert!(desk.expect("<message").contains("words then"));
    });
}
