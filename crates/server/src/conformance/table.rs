//! The table: everything two people do, tried with the other side's responder.

use super::{Conformance, WORDS, message};
use model::{Address, Envelope, Event, Outcome, Reason, ReceiptKind, Refusal};
use partner::RESPONDER;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};
use web::{Check, Verdict};

/// How long the other side may take for one step.
const PATIENCE: Duration = Duration::from_secs(5);
/// How much longer what should have come before the rest may take.
const STRAGGLERS: Duration = Duration::from_secs(2);
/// More than any server here takes.
const OVERSIZED: usize = 300 * 1024;

/// What a test has found so far.
struct Table {
    checks: Vec<Check>,
    since: Instant,
}

impl Table {
    fn add(&mut self, verdict: Verdict, step: &str, found: impl Into<String>, remedy: Option<&str>) {
        let ms = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.since = Instant::now();
        let (protocol, remedy) = ("all".to_owned(), remedy.map(str::to_owned));
        self.checks.push(Check { protocol, step: step.to_owned(), verdict, found: found.into(), remedy, ms });
    }

    fn good(&mut self, step: &str, found: impl Into<String>) {
        self.add(Verdict::Good, step, found, None);
    }

    /// Something did not come. What was not agreed on is no fault.
    fn failed(&mut self, step: &str, why: Missing, remedy: &str) {
        match why {
            Missing::Refused(no) if no.rule.as_deref().is_some_and(|rule| rule.starts_with("partner:")) => {
                let remedy =
                    "nothing, if that is as agreed; else `rialto partner edit` on this side or theirs";
                self.add(Verdict::Note, step, in_words(&no), Some(remedy));
            }
            Missing::Refused(no) => self.add(Verdict::Bad, step, in_words(&no), Some(remedy)),
            Missing::Silence => {
                let found = format!("nothing came within {} seconds", PATIENCE.as_secs());
                self.add(Verdict::Bad, step, found, Some(remedy));
            }
        }
    }
}

/// Why something did not come.
enum Missing {
    Refused(Refusal),
    Silence,
}

fn in_words(no: &Refusal) -> String {
    let rule = no.rule.as_ref().map(|rule| format!(" ({rule})")).unwrap_or_default();
    format!("refused: {}{rule}", no.text.as_deref().unwrap_or(no.reason.name()))
}

/// One test's ears.
struct Ears(mpsc::UnboundedReceiver<Arc<Envelope>>);

impl Ears {
    /// Waits for something, and for word that what we said was refused.
    async fn wait(
        &mut self,
        said: oneshot::Receiver<Outcome>,
        of: &str,
        patience: Duration,
        mut find: impl FnMut(&Envelope) -> bool,
    ) -> Result<(), Missing> {
        let end = tokio::time::sleep(patience);
        tokio::pin!(end, said);
        let mut settled = false;
        loop {
            tokio::select! {
                () = &mut end => return Err(Missing::Silence),
                outcome = &mut said, if !settled => {
                    settled = true;
                    if let Ok(Outcome::Refused(no)) = outcome {
                        return Err(Missing::Refused(no));
                    }
                }
                heard = self.0.recv() => {
                    let Some(heard) = heard else { return Err(Missing::Silence) };
                    if let Event::Receipt(receipt) = &heard.event
                        && let ReceiptKind::Failed(no) = &receipt.kind
                        && receipt.of == of
                    {
                        return Err(Missing::Refused(no.clone()));
                    }
                    if find(&heard) {
                        return Ok(());
                    }
                }
            }
        }
    }
}

/// Ends a test's hearing, however it ends.
struct Hearing<'a>(&'a Conformance, Address);

impl Drop for Hearing<'_> {
    fn drop(&mut self) {
        self.0.tests.lock().remove(&self.1);
    }
}

impl Conformance {
    /// Tries everything with a partner's responder.
    ///
    /// # Errors
    /// In words, where nothing can be tried now.
    pub async fn table(&self, local: &Address, remote: &Address) -> Result<Vec<Check>, String> {
        let mut table = Table { checks: Vec::new(), since: Instant::now() };
        let them = Address::new(RESPONDER, remote.domain()).map_err(|e| e.to_string())?;
        let (tell, ears) = mpsc::unbounded_channel();
        match self.tests.lock().entry(remote.clone()) {
            Entry::Occupied(_) => return Err(format!("another test of {remote} is under way; wait for it")),
            Entry::Vacant(free) => {
                free.insert(tell);
            }
        }
        let hearing = Hearing(self, remote.clone());
        let mut ears = Ears(ears);
        let mut random = [0u8; 8];
        let _ = getrandom::fill(&mut random);
        let word: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        if self.talk(&mut table, &mut ears, (local, &them), &word).await {
            self.see(&mut table, &mut ears, (local, &them), &word).await;
            self.be_refused(&mut table, &mut ears, (local, &them), &word).await;
            drop(self.write(local, &them, &format!("done-{word}"), &format!("done {word}")));
        }
        drop(hearing);
        Ok(table.checks)
    }

    /// Messages there and back, with typing and a receipt. `false` where there is nobody to talk with.
    async fn talk(&self, table: &mut Table, ears: &mut Ears, pair: (&Address, &Address), word: &str) -> bool {
        let (local, them) = pair;
        let id = format!("ping-{word}");
        let begun = Instant::now();
        let said = self.say(local, them, message(&id, format!("{WORDS}ping {word}"), true));
        let (typing, receipt) = (AtomicBool::new(false), AtomicBool::new(false));
        let note = |heard: &Envelope| match &heard.event {
            Event::Composing(composing) => typing.store(typing.load(Relaxed) || composing.active, Relaxed),
            Event::Receipt(r) if r.of == id && r.kind == ReceiptKind::Delivered => {
                receipt.store(true, Relaxed)
            }
            _ => {}
        };
        let pong = format!("{WORDS}pong {word}");
        let answered = ears
            .wait(said, &id, PATIENCE, |heard| {
                note(heard);
                matches!(&heard.event, Event::Message(m) if m.text().is_some_and(|text| text.trim_end() == pong))
            })
            .await;
        let latency = begun.elapsed();
        match answered {
            Ok(()) => table.good("messages", "there and back"),
            Err(Missing::Refused(no)) if matches!(no.reason, Reason::NotFound | Reason::Unavailable) => {
                let remedy = "nothing: the rest of the table is for partners that run Rialto";
                let found = "there is no conformance responder: theirs is another server, or does not federate with us yet";
                table.add(Verdict::Note, "messages", found, Some(remedy));
                return false;
            }
            Err(why) => {
                table.failed(
                    "messages",
                    why,
                    "look at what their side says of us: `rialto partner test` there",
                );
                return false;
            }
        }
        // What is not recorded may come a moment later than what is.
        if !typing.load(Relaxed) || !receipt.load(Relaxed) {
            let (_never, silent) = oneshot::channel();
            let both = |heard: &Envelope| {
                note(heard);
                typing.load(Relaxed) && receipt.load(Relaxed)
            };
            drop(ears.wait(silent, "", STRAGGLERS, both).await);
        }
        for (step, came) in [("typing", typing.load(Relaxed)), ("receipt", receipt.load(Relaxed))] {
            match came {
                true => table.good(step, "it came"),
                false => table.add(
                    Verdict::Note,
                    step,
                    "it did not come",
                    Some("nothing, if it was not agreed on, or the protocol between the servers does not carry it"),
                ),
            }
        }
        table.good("latency", format!("{} ms there and back", latency.as_millis()));
        true
    }

    /// Presence, both ways.
    async fn see(&self, table: &mut Table, ears: &mut Ears, pair: (&Address, &Address), word: &str) {
        let (local, them) = pair;
        let said = self.watch(local, them);
        let seen = ears
            .wait(said, "", PATIENCE, |heard| match &heard.event {
                Event::Notify(notify) => &notify.doc.presentity == them && notify.doc.is_open(),
                _ => false,
            })
            .await;
        match seen {
            Ok(()) => table.good("presence", "we see them"),
            // Whoever has not agreed to it is not seen either.
            Err(why @ Missing::Refused(_)) => {
                return table.failed("presence", why, "their side must allow presence");
            }
            Err(why) => table.failed("presence", why, "their side must allow presence"),
        }
        let id = format!("watch-{word}");
        let said = self.write(local, them, &id, &format!("watch {word}"));
        let saw = format!("{WORDS}saw {word}");
        let told = ears
            .wait(said, &id, PATIENCE, |heard| {
                matches!(&heard.event, Event::Message(m) if m.text().is_some_and(|text| text.trim_end() == saw))
            })
            .await;
        match told {
            Ok(()) => table.good("presence", "they see us"),
            Err(why) => table.failed("presence", why, "our side must allow presence"),
        }
        // A test of theirs may still want us to see them.
        if !self.watching.lock().contains_key(&them.to_domain()) {
            self.look_away(local, them);
        }
    }

    /// What must come back refused, with a reason.
    async fn be_refused(&self, table: &mut Table, ears: &mut Ears, pair: (&Address, &Address), word: &str) {
        let (local, them) = pair;
        let Ok(nobody) = Address::new(&format!("nobody-{word}"), them.domain()) else { return };
        let oversized = "x".repeat(OVERSIZED);
        for (step, to, body, wanted) in [
            ("unknown user", &nobody, "is there anybody?", &[Reason::NotFound, Reason::Unavailable][..]),
            ("oversized", them, oversized.as_str(), &[Reason::TooLarge, Reason::Policy, Reason::Overloaded]),
        ] {
            let id = format!("{}-{word}", step.split(' ').next().unwrap_or(step));
            let said = self.say(local, to, message(&id, format!("{WORDS}{body}"), false));
            match ears.wait(said, &id, PATIENCE, |_| false).await {
                Err(Missing::Refused(no)) if wanted.contains(&no.reason) => table.good(step, in_words(&no)),
                Err(Missing::Refused(no)) => {
                    let found = format!("refused, but as {}: {}", no.reason.name(), in_words(&no));
                    table.add(Verdict::Note, step, found, Some("nothing; the sender hears that it failed"));
                }
                _ => {
                    let remedy =
                        "their server takes it in silence, and nobody hears that it was lost: tell them";
                    table.add(Verdict::Bad, step, "it was not refused", Some(remedy));
                }
            }
        }
    }
}
