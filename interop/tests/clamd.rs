//! Files that are looked into by a real clamd, which knows one signature: that of the harmless test file of EICAR.

use interop::clamd::{Clamd, EICAR};
use interop::raw::sip::Sip;
use interop::{Rialto, known::judge};

fn sent(phone: &mut Sip, text: &str) -> (u16, String) {
    let file = phone.request("MESSAGE", "juliet").saying(text);
    let answer = phone.ask(&file.replacing("Content-Type", "Content-Type: application/octet-stream"));
    (answer.status(), answer.head)
}

#[test]
fn malware_is_refused_and_a_scanner_that_is_down_lets_nothing_pass_unseen() {
    judge("clamd::malware_is_refused", || {
        let mut at = 0;
        let more = |first: u16| {
            at = first + 4;
            format!("[hygiene.clamd]\naddress = \"127.0.0.1:{at}\"\nwhen_down = \"hold\"\n")
        };
        let rialto = Rialto::start_by(&["romeo", "juliet"], more, "info");
        let clamd = Clamd::start(at);
        let mut phone = Sip::registered(rialto.sip(), "romeo");
        let (status, head) = sent(&mut phone, EICAR);
        assert_eq!(status, 403, "{head}");
        assert!(head.contains("Local.Eicar"), "{head}");
        let (status, head) = sent(&mut phone, "a picture of a balcony");
        assert_eq!(status, 202, "{head}");
        let state = rialto.command(&["status"]);
        assert!(state.contains("2 file(s), 1 with malware, 0 not looked into"), "{state}");
        assert!(rialto.doctor().contains("clamd answers"));

        // It dies: what it cannot look into waits for a person; text needs nobody.
        drop(clamd);
        sent(&mut phone, "a picture of a nurse");
        let held = rialto.command(&["quarantine", "list"]);
        assert!(held.contains("hygiene:unscanned") && held.lines().count() == 1, "{held}");
        let words = phone.request("MESSAGE", "juliet").saying("words");
        assert_eq!(phone.ask(&words).status(), 202);
        assert!(rialto.command(&["status"]).contains("CANNOT BE ASKED"));

        // Where that is wanted it passes, and the record says that nobody looked.
        let text = std::fs::read_to_string(rialto.config()).expect("it is there");
        let text = text.replace("when_down = \"hold\"", "when_down = \"pass\"");
        std::fs::write(rialto.config(), text).expect("writable");
        rialto.command(&["reload"]);
        assert_eq!(sent(&mut phone, "a picture of a friar").0, 202);
        assert_eq!(rialto.command(&["quarantine", "list"]).lines().count(), 1);
        assert_eq!(rialto.journal().matches("hygiene:unscanned").count(), 2, "{}", rialto.journal());

        let _clamd = Clamd::start(at);
        assert_eq!(sent(&mut phone, EICAR).0, 403);
        rialto.finish();
    });
}
