//! Two Rialtos of two companies, and what was acknowledged on one side arrives on the other: whichever of the two is
//! killed, and wherever the connection is cut.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use interop::abroad::Abroad;
use interop::dice::Dice;
use interop::known::judge;
use interop::load::{Place, Receiver, Sender, Until};
use interop::{Rialto, SOON};

const THEIRS: &str = "mantua.example";
const RECEIVER: &str = "tybalt@mantua.example";
const NO_LIMITS: &str = "deadline_seconds = 600\n[limits]\nmessages_per_second = 0\n";

fn place(rialto: &Rialto) -> Place {
    Place { sip: rialto.sip(), xmpps: rialto.xmpps(), ca: rialto.ca() }
}

/// Everything that was promised arrives, in order, and nothing twice within a session.
fn settle(theirs: &Rialto, receiver: &mut Receiver, sender: &mut Sender) -> usize {
    let owed = std::mem::take(&mut sender.acknowledged);
    receiver.xmpp(&place(theirs), Until::Has(&owed));
    owed.len()
}

#[test]
fn their_server_is_killed_again_and_again() {
    judge("federation_crash::their_server_is_killed_again_and_again", || {
        let abroad = Abroad::new();
        let ours = abroad.rialto(&["abram"], NO_LIMITS);
        let mut theirs = abroad.rialto_for(THEIRS, &[RECEIVER], NO_LIMITS);
        let mut dice = Dice::new(51);
        let (mut sender, mut receiver) =
            (Sender::new("abram", &[RECEIVER], dice.roll()), Receiver::new(RECEIVER));
        let mut promised = 0;
        for _ in 0..3 {
            let (ready, here) = mpsc::channel();
            let there = place(&theirs);
            thread::scope(|scope| {
                let receiver = &mut receiver;
                scope.spawn(move || receiver.xmpp(&there, Until::Gone(ready)));
                here.recv_timeout(SOON).expect("the receiver gets in");
                let sender = &mut sender;
                let ours = place(&ours);
                scope.spawn(move || sender.xmpp_some(&ours, 400));
                thread::sleep(Duration::from_millis(50 + dice.roll() % 400));
                theirs.crash();
            });
            theirs.restart();
            promised += settle(&theirs, &mut receiver, &mut sender);
        }
        let repeated = receiver.check();
        println!("{promised} acknowledged on our side, all delivered on theirs, {repeated} repeated");
        ours.verify();
        theirs.verify();
    });
}

#[test]
fn our_server_is_killed_again_and_again() {
    judge("federation_crash::our_server_is_killed_again_and_again", || {
        let abroad = Abroad::new();
        let mut ours = abroad.rialto(&["abram"], NO_LIMITS);
        let theirs = abroad.rialto_for(THEIRS, &[RECEIVER], NO_LIMITS);
        let mut dice = Dice::new(52);
        let (mut sender, mut receiver) =
            (Sender::new("abram", &[RECEIVER], dice.roll()), Receiver::new(RECEIVER));
        let mut promised = 0;
        for _ in 0..3 {
            let (ready, here) = mpsc::channel();
            thread::scope(|scope| {
                let sender = &mut sender;
                let there = place(&ours);
                scope.spawn(move || sender.xmpp(&there, ready));
                here.recv_timeout(SOON).expect("the sender gets in");
                thread::sleep(Duration::from_millis(200 + dice.roll() % 800));
                ours.crash();
            });
            ours.restart();
            promised += settle(&theirs, &mut receiver, &mut sender);
        }
        let repeated = receiver.check();
        println!("{promised} acknowledged on our side, all delivered on theirs, {repeated} repeated");
        ours.verify();
        theirs.verify();
    });
}
