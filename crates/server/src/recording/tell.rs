//! From notes to a transcript.

use super::cast::Cast;
use super::log::Taken;
use super::shadow::Shadow;
use super::{BYTES, Log, sip, xmpp};
use model::{Answer, Dialect, Notice, Outcome, RosterItem, Settlement};

/// The transcript; `None` when there is no machine to play it.
pub(super) fn transcript(log: &Log) -> Option<String> {
    // Once to learn every name that comes up, once to tell none of them.
    let (_, cast) = told(log, Vec::new())?;
    told(log, cast.names()).map(|(text, _)| text)
}

fn told(log: &Log, coming: Vec<String>) -> Option<(String, Cast)> {
    let is_sip = log.kind.dialect == Dialect::Sip;
    let ours = if is_sip { ["example.net", "example.com"] } else { ["example.com", "example.org"] };
    let mut cast = Cast::new(&log.domains, ours).knowing(coming);
    if is_sip {
        let peer = log.kind.peer();
        if log.kind.transport == connector::Transport::Tcp {
            cast.meet(log.peer.remote, peer.remote);
        }
        cast.meet(log.peer.local, peer.local);
    }
    let mut shadow = Shadow::new(&log.kind)?;
    let (mut client, mut agents) = (xmpp::Client::default(), sip::Agents::default());
    let mut end = log.cut;
    for (at, entry) in log.entries.iter().enumerate() {
        let tick = matches!(entry.input, Taken::Tick);
        if tick && entry.said.is_empty() {
            continue;
        }
        shadow.wait(entry.at);
        if tick {
            shadow.settle(entry, &mut cast, false);
            continue;
        }
        let proven = log.entries[at..].iter().flat_map(|e| &e.said).find_map(|said| said.proven);
        let told = match is_sip {
            true => agents.tell(entry, proven, &mut shadow, &mut cast),
            false => client.tell(entry, proven, &mut shadow, &mut cast),
        };
        let told = match told {
            Ok(false) => neutral(&entry.input, &mut shadow, &mut cast).map(|()| false),
            told => told,
        };
        match told {
            Ok(otherwise) => shadow.settle(entry, &mut cast, otherwise && !is_sip),
            Err(why) => {
                end = Some(why);
                break;
            }
        }
        if shadow.text.len() > BYTES {
            end = Some("more came than one file may hold");
            break;
        }
    }
    if let Some(why) = end {
        shadow.remark(&format!("The recording ends here: {why}."));
    }
    let mut head = format!(
        "# Recorded by rialto {}: {} inputs. Names, addresses, texts and passwords are others; ids are as they were.\n",
        env!("CARGO_PKG_VERSION"),
        log.entries.len()
    );
    if let Some(line) = shadow.parted {
        let line = line + 2;
        head.push_str(&format!(
            "# Before line {line} the live machine answered otherwise than this one does.\n"
        ));
    }
    Some((head + &shadow.text, cast))
}

/// What every door hears.
fn neutral(input: &Taken, shadow: &mut Shadow, cast: &mut Cast) -> Result<(), &'static str> {
    let words = match input {
        Taken::Opened => "opened".to_owned(),
        Taken::Closed => "closed".to_owned(),
        Taken::Drain => "drain".to_owned(),
        Taken::Kept(ticket) => match shadow.ticket(*ticket) {
            Some(ticket) => format!("kept #{}", ticket.0),
            None => return Ok(()),
        },
        Taken::Settled(ticket, settlement) => match shadow.ticket(*ticket) {
            Some(ticket) => format!("settled #{} {}", ticket.0, outcome(settlement)),
            None => return Ok(()),
        },
        Taken::Answer(ticket, answer) => {
            let Some(ticket) = shadow.ticket(*ticket) else { return Ok(()) };
            match answer {
                Answer::Bound(device) => format!("bound #{} {}", ticket.0, cast.endpoint(device)),
                Answer::Done => format!("done #{}", ticket.0),
                Answer::Refused(no) => format!("refused #{} {}", ticket.0, no.reason.name()),
                Answer::Roster(items) => {
                    let items: String =
                        items.iter().map(|item| format!(" {}", contact(item, cast))).collect();
                    format!("roster #{}{items}", ticket.0)
                }
                Answer::Blocked(who) => {
                    let who: String = who.iter().map(|who| format!(" {}", cast.jid(who.as_str()))).collect();
                    format!("blocklist #{}{who}", ticket.0)
                }
                // What a door left for itself is full of names.
                Answer::Claimed(_) => format!("unclaimed #{}", ticket.0),
                // Whoever knows such a link has the file.
                Answer::Slot(Ok(_)) => {
                    format!("slot #{} https://files.example/put/a https://files.example/f/b", ticket.0)
                }
                Answer::Slot(Err(no)) => format!("no-slot #{} {}", ticket.0, no.refusal.reason.name()),
                Answer::Credential(_) | Answer::Verified(_) | Answer::Admitted(_) | Answer::Left(_) => {
                    return Ok(());
                }
            }
        }
        Taken::Notice(device, notice) => {
            let device = cast.endpoint(device);
            match notice {
                Notice::Roster(item) => format!("push {device} {}", contact(item, cast)),
                Notice::RosterRemoved(who) => format!("removed {device} {}", cast.jid(who.as_str())),
                Notice::Blocked(who) | Notice::Unblocked(who) => {
                    let word = if matches!(notice, Notice::Blocked(_)) { "blocked" } else { "unblocked" };
                    let who: String = who.iter().map(|who| format!(" {}", cast.jid(who.as_str()))).collect();
                    format!("{word} {device}{who}")
                }
                Notice::Replaced => format!("replaced {device}"),
                Notice::Taken => format!("taken {device}"),
                Notice::Revoked => format!("revoked {device}"),
            }
        }
        Taken::Resumed => return Err("the connection went on with an older session"),
        Taken::Line => return Err("a call came or went, and what is said about it is told nowhere"),
        Taken::Inherited => {
            shadow.remark("here the machine inherited a lease of an older one");
            return Ok(());
        }
        _ => return Ok(()),
    };
    shadow.hear(&words);
    Ok(())
}

fn outcome(settlement: &Settlement) -> &'static str {
    match &settlement.outcome {
        Outcome::Delivered => "delivered",
        Outcome::Accepted => "accepted",
        Outcome::Refused(no) => no.reason.name(),
        _ => "pending",
    }
}

fn contact(item: &RosterItem, cast: &mut Cast) -> String {
    let subscription = &item.subscription;
    let state = match (subscription.to, subscription.from) {
        (true, true) => "both",
        (true, false) => "to",
        (false, true) => "from",
        (false, false) if subscription.asked => "asked",
        (false, false) => "none",
    };
    format!("{}={state}", cast.jid(item.contact.as_str()))
}
