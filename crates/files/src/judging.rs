//! Who is asked about a file: the policy, and whoever looks into files.

use crate::verdict::Verdict;
use bytes::Bytes;
use model::{Address, Dialect, Envelope, EnvelopeId, Event, MAX_HOPS, Opaque, Origin, Original, Timestamp};
use model::{Endpoint, Reason, Refusal};
use policy::{Decision, FileFacts, Judge, Verdict as Word};
use ports::{Inspector, Looked};
use std::fs::File;
use store::FileState;

/// What somebody hears where a rule has no words of its own.
const BLOCKED: &str = "a rule of this server does not let this file pass";

/// The upload as rules see it: somebody gives the server something, whoever may fetch it later.
fn envelope(by: &Endpoint, origin: &Origin, now: Timestamp) -> Envelope {
    let bytes = Bytes::from_static(b"<iq><request xmlns='urn:xmpp:http:upload:0'/></iq>");
    let original = Original { dialect: Dialect::Xmpp, bytes };
    Envelope {
        id: EnvelopeId::default(),
        at: now,
        origin: origin.clone(),
        from: by.clone(),
        to: by.address.to_domain().into(),
        hops: MAX_HOPS,
        event: Event::Opaque(Opaque { original, wants_answer: true }),
    }
}

/// What the policy says; nothing where it has nothing against it. That a policy blocks unless a rule allows is about
/// people who talk with each other, and nobody is addressed yet.
fn stopped(decision: Option<Decision>) -> Option<(Word, String, String)> {
    let decision = decision?;
    let by = decision.by?;
    let text = by.text.unwrap_or_else(|| BLOCKED.to_owned());
    (decision.verdict != Word::Allow).then_some((decision.verdict, by.rule, text))
}

/// May this account upload such a file at all?
pub(crate) fn may(
    judge: &dyn Judge,
    by: &Endpoint,
    origin: &Origin,
    file: FileFacts<'_>,
    now: Timestamp,
) -> Result<(), Refusal> {
    match stopped(judge.decide_file(&envelope(by, origin, now), file)) {
        Some((Word::Block, rule, text)) => Err(Refusal::new(Reason::Policy).with_text(text).by_rule(rule)),
        _ => Ok(()),
    }
}

/// What the policy says of a file that has come.
pub(crate) fn by_policy(
    judge: &dyn Judge,
    owner: &Address,
    origin: &Origin,
    file: FileFacts<'_>,
    now: Timestamp,
) -> Option<Verdict> {
    let (word, rule, why) = stopped(judge.decide_file(&envelope(&owner.clone().into(), origin, now), file))?;
    let state = if word == Word::Hold { FileState::Held } else { FileState::Refused };
    Some(Verdict::new(state, &rule, why))
}

/// What whoever looks into files says.
pub(crate) fn by_look(inspector: &dyn Inspector, content: &mut File) -> Verdict {
    match inspector.inspect(content) {
        Looked::Clean => Verdict::clean(),
        Looked::Nobody => Verdict::new(FileState::Unseen, "", "nobody looks into files here"),
        Looked::Malware(name) => {
            Verdict::new(FileState::Malware, "hygiene:malware", format!("it is malware ({name})"))
        }
        Looked::Bomb(why) => Verdict::new(FileState::Refused, "hygiene:archive", why),
        Looked::Failed { why, passes: true } => Verdict::new(
            FileState::Unseen,
            "hygiene:unscanned",
            format!("it could not be looked into: {why}"),
        ),
        Looked::Failed { why, passes: false } => Verdict::new(
            FileState::Waiting,
            "hygiene:unscanned",
            format!("it could not be looked into: {why}"),
        ),
    }
}
