//! The server is killed in the middle of its work, or the power goes, again and again, and it keeps every promise it has
//! made.
//!
//! `cargo xtask crash` runs many rounds. `RIALTO_CRASH_ROUNDS` says how often; `RIALTO_CRASH_SEED` repeats a run.

use std::ops::RangeInclusive;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use interop::dice::Dice;
use interop::known::judge;
use interop::load::{Place, Receiver, Sender, Until};
use interop::talk::until;
use interop::{Rialto, SOON};

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name)
        .map_or(usual, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// How the server ends.
#[derive(Clone, Copy, PartialEq)]
enum End {
    /// The process is killed; the system keeps what it wrote.
    Kill,
    /// The disk keeps what was synced, and of the rest what chance will have.
    Power,
}

#[test]
fn acknowledged_is_delivered() {
    judge("crash::acknowledged_is_delivered", || rounds(End::Kill));
}

#[test]
fn acknowledged_is_delivered_after_a_power_cut() {
    judge("crash::acknowledged_is_delivered_after_a_power_cut", || rounds(End::Power));
}

/// After how many crashes the index was behind the journal.
fn behind(rialto: &Rialto) -> bool {
    let log = rialto.log_text();
    let line =
        log.lines().rfind(|line| line.contains("the search index goes on")).expect("it says how far it is");
    let number = |name: &str| {
        let from = line.find(name).expect("it is said") + name.len();
        line[from..]
            .chars()
            .take_while(char::is_ascii_digit)
            .collect::<String>()
            .parse::<u64>()
            .expect("a number")
    };
    let (indexed, head) = (number("indexed="), number("head="));
    assert!(indexed <= head, "the index has rows that the journal has not: {line}");
    indexed < head
}

/// Waits as long as the index comes nearer to the journal; the last thousand rows are not told.
fn index_catches_up(rialto: &Rialto) {
    let (mut last, mut since) = (0, Instant::now());
    loop {
        let text = rialto.command(&["search", "--kind", "message", "-n", "1"]);
        let Some(line) = text.lines().find(|line| line.contains("is indexed: what is newer")) else { return };
        let indexed = line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a row");
        if indexed > last {
            (last, since) = (indexed, Instant::now());
        }
        assert!(since.elapsed() < SOON, "the index stands still: {line}");
        thread::sleep(Duration::from_millis(200));
    }
}

/// The index is written behind the journal: it catches up, and finds exactly the messages that are on record, each once.
fn index_is_exact(rialto: &Rialto) {
    let number =
        |text: &str| text.chars().take_while(char::is_ascii_digit).collect::<String>().parse::<u64>().ok();
    // Everything is exported from the journal alone.
    let dir = rialto.home("export");
    let _ = std::fs::remove_dir_all(&dir);
    rialto.command(&["export", dir.to_str().expect("text"), "--format", "jsonl"]);
    let lines = std::fs::read_to_string(dir.join("messages.jsonl")).expect("exported");
    let said = lines.lines().filter(|line| line.contains("\"kind\":\"message\""));
    let recorded: Vec<u64> = said.filter_map(|line| number(line.strip_prefix("{\"row\":")?)).collect();
    assert!(!recorded.is_empty(), "nothing is on record: {lines}");
    let found = || {
        let (mut all, mut page): (Vec<u64>, Vec<String>) = (Vec::new(), Vec::new());
        loop {
            let words: Vec<&str> = page.iter().map(String::as_str).collect();
            let text = rialto.command(&[&["search", "--kind", "message", "-n", "1000"], &words[..]].concat());
            all.extend(text.lines().filter_map(|line| number(line.trim_start())));
            let Some(next) = text.lines().find_map(|line| line.strip_prefix("there is more: --before "))
            else {
                break;
            };
            page = vec!["--before".into(), next.trim().to_owned()];
        }
        all.sort_unstable();
        all
    };
    index_catches_up(rialto);
    let newest = || {
        let text = rialto.command(&["search", "--kind", "message", "-n", "1"]);
        text.lines().find_map(|line| number(line.trim_start()))
    };
    until("the index has the last of them", || newest() == recorded.last().copied());
    assert!(found() == recorded, "the index has other messages than the journal");
}

/// A new server after so many: else most of the time goes into verifying what earlier rounds wrote.
const OF_ONE_SERVER: u64 = 10;

fn rounds(end: End) {
    let rounds = number("RIALTO_CRASH_ROUNDS", 3);
    let seed = number("RIALTO_CRASH_SEED", 6_120);
    println!("{rounds} crashes, seed {seed}");
    let mut dice = Dice::new(seed);
    let (mut promises, mut repeated) = (0, 0);
    for done in (0..rounds).step_by(OF_ONE_SERVER as usize) {
        let these = done + 1..=rounds.min(done + OF_ONE_SERVER);
        let (of_these, again) = life_of_a_server(end, these, &mut dice);
        promises += of_these;
        repeated += again;
    }
    println!(
        "{rounds} crashes, {promises} acknowledged messages, none lost, all in order, {repeated} repeated"
    );
}

/// Crashes one server again and again. Gives how many promises it made, and how many messages came more than once.
fn life_of_a_server(end: End, rounds: RangeInclusive<u64>, dice: &mut Dice) -> (usize, usize) {
    // Two who are there, one in each protocol, and one who comes only after the crash.
    let recipients = ["desk", "phone", "absent"];
    let writers = ["abram", "balthasar", "capulet", "escalus"];
    let mut users = recipients.to_vec();
    users.extend(writers);
    let limits = "[limits]\nmessages_per_second = 0\n";
    let mut rialto = Rialto::start_with(&users, limits, "info");
    let place = Place { sip: rialto.sip(), xmpps: rialto.xmpps(), ca: rialto.ca() };
    if end == End::Power {
        rialto.on_ill_disk();
    }
    let mut senders: Vec<Sender> =
        writers.iter().map(|user| Sender::new(user, &recipients, dice.roll())).collect();
    let mut receivers = recipients.map(Receiver::new);
    let (mut promises, mut late) = (0, 0);
    for round in rounds {
        let before: u64 = senders.iter().map(|s| s.sent).sum();
        let life = Duration::from_millis(300 + dice.roll() % 2_000);
        let begin = Instant::now();
        thread::scope(|scope| {
            let (ready, here) = mpsc::channel();
            let [desk, phone, _] = &mut receivers;
            let place = &place;
            let said = ready.clone();
            scope.spawn(move || desk.xmpp(place, Until::Gone(said)));
            let said = ready.clone();
            scope.spawn(move || phone.sip(place, Until::Gone(said)));
            for (n, sender) in senders.iter_mut().enumerate() {
                let said = ready.clone();
                scope.spawn(
                    move || if n % 2 == 0 { sender.xmpp(place, said) } else { sender.sip(place, said) },
                );
            }
            for _ in 0..2 + writers.len() {
                here.recv_timeout(SOON).expect("everybody gets in");
            }
            // The moment of the crash is what varies here: nothing is waited for.
            thread::sleep(life);
            match end {
                End::Kill => rialto.crash(),
                End::Power => {
                    rialto.cut_power(dice.roll());
                    // The first to open what is left is a process on a sound disk.
                    rialto.verify();
                }
            }
        });
        rialto.restart();
        late += usize::from(behind(&rialto));
        // What was promised in earlier rounds has arrived: these are this round's promises.
        let owed: Vec<_> = senders.iter_mut().flat_map(|s| std::mem::take(&mut s.acknowledged)).collect();
        promises += owed.len();
        let [desk, phone, absent] = &mut receivers;
        thread::scope(|scope| {
            scope.spawn(|| desk.xmpp(&place, Until::Has(&owed)));
            scope.spawn(|| phone.sip(&place, Until::Has(&owed)));
            scope.spawn(|| absent.xmpp(&place, Until::Has(&owed)));
        });
        rialto.verify();
        receivers.iter().for_each(|receiver| _ = receiver.check());
        let sent: u64 = senders.iter().map(|s| s.sent).sum::<u64>() - before;
        println!(
            "round {round}: killed after {life:?} with {sent} sent and {} acknowledged, all delivered, {:?}",
            owed.len(),
            begin.elapsed()
        );
    }
    assert!(promises > 0, "there was no load");
    assert!(late > 0, "the index was never behind");
    index_is_exact(&rialto);
    let repeated: usize = receivers.iter().map(Receiver::check).sum();
    rialto.finish();
    (promises, repeated)
}
