//! Where a message is: every row that says something of it, in order.

use crate::Desk;
use crate::journal::{JournalRow, LossView, SettledView, settled, view};
use crate::problem::{Problem, ProblemBody, blocking};
use axum::Json;
use axum::extract::{Query, State};
use model::codec::{decode, decode_outcomes};
use model::{Address, Event, Proof, Security, Seq, Vouch};
use search::Ask;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use store::{Row, RowKind};
use utoipa::{IntoParams, ToSchema};

/// Messages of one answer.
const MESSAGES: usize = 20;
/// Rows about one message.
const ABOUT: usize = 100;
/// Rows with losses of one answer.
const LOSSY: usize = 1_000;

/// Which message.
#[derive(Debug, Deserialize, IntoParams)]
pub struct Clue {
    /// A name of the message: the server's (also its stanza-id), the one its sender gave it, or its row's number.
    id: Option<String>,
    /// Its sender.
    from: Option<String>,
    /// Its addressee.
    to: Option<String>,
    /// Not earlier, Unix milliseconds.
    since: Option<u64>,
    /// Earlier than this, Unix milliseconds.
    until: Option<u64>,
}

/// Something that happened to a message.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Step {
    /// The row that says so.
    pub row: u64,
    /// When it was written down, RFC 3339.
    pub at: String,
    /// Milliseconds since the message came.
    pub after_ms: u64,
    /// How it ended there; none where a person let it pass, as `row`.
    pub ended: Option<SettledView>,
}

/// A message and what became of it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Traced {
    /// How it came, and what the rules said.
    pub came: JournalRow,
    /// The name its sender gave it.
    pub own_id: Option<String>,
    /// By TLS?
    pub encrypted: bool,
    /// Who answers for its sender.
    pub vouched: String,
    /// Gateways it may still pass.
    pub hops: u8,
    /// What became of it, in order.
    pub steps: Vec<Step>,
    /// Where it is now, in words.
    pub now: String,
}

/// Messages that the clue fits, the newest first.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Traces {
    /// The messages.
    pub messages: Vec<Traced>,
    /// Are there more? Then give more clues.
    pub more: bool,
}

/// Tells where messages are and why.
#[utoipa::path(get, path = "/v1/trace", params(Clue), responses(
    (status = 200, body = Traces), (status = 400, body = ProblemBody), (status = 409, body = ProblemBody)))]
pub async fn trace(State(desk): State<Arc<Desk>>, Query(clue): Query<Clue>) -> Result<Json<Traces>, Problem> {
    blocking(move || {
        let index = desk.index()?;
        if clue.id.is_none() && clue.from.is_none() && clue.to.is_none() {
            return Err(Problem::bad("name the message, its sender or its addressee"));
        }
        let number: Option<u64> = clue.id.as_ref().and_then(|id| id.parse().ok());
        let (mut rows, mut more) = (Vec::new(), false);
        if let Some(row) = number.map(|seq| desk.row(Seq(seq))).transpose()?.flatten() {
            rows.extend(Some(row).filter(|row| row.kind == RowKind::Envelope));
        }
        if rows.is_empty() {
            let ask = Ask {
                id: clue.id.clone(),
                from: clue.from.clone(),
                to: clue.to.clone(),
                since: clue.since,
                until: clue.until,
                ..Ask::default()
            };
            let found = index.find(&ask, MESSAGES)?;
            more = found.more;
            for seq in found.rows {
                rows.extend(desk.row(seq)?);
            }
        }
        let messages = rows.iter().map(|row| traced(&desk, row)).collect::<Result<Vec<_>, _>>()?;
        Ok(Json(Traces { messages: messages.into_iter().flatten().collect(), more }))
    })
    .await
}

fn traced(desk: &Desk, row: &Row) -> Result<Option<Traced>, Problem> {
    let Ok(kept) = decode(&row.head, row.body.as_deref()) else { return Ok(None) };
    let ask = Ask { about: Some(row.seq.0), oldest: true, ..Ask::default() };
    let mut steps = Vec::new();
    for seq in desk.index()?.find(&ask, ABOUT)?.rows {
        let Some(about) = desk.row(seq)? else { continue };
        let after_ms = about.at.unix_ms().saturating_sub(row.at.unix_ms());
        let step = |ended| Step { row: about.seq.0, at: about.at.to_string(), after_ms, ended };
        match about.kind {
            RowKind::Outcomes => {
                let entries = decode_outcomes(&about.head).unwrap_or_default();
                steps.extend(entries.iter().filter(|e| e.seq == row.seq).map(|e| step(Some(settled(e)))));
            }
            _ => steps.push(step(None)),
        }
    }
    let envelope = &kept.envelope;
    let own_id = match &envelope.event {
        Event::Message(message) if !message.id.is_empty() => Some(message.id.to_string()),
        _ => None,
    };
    Ok(Some(Traced {
        own_id,
        encrypted: envelope.origin.security == Security::Tls,
        vouched: match &envelope.origin.vouch {
            Vouch::Nobody => "nobody".into(),
            Vouch::Account(account) => format!("{account}, logged in"),
            Vouch::Domain(domain, proof) => {
                let how = match proof {
                    Proof::Certificate => ", by its certificate",
                    Proof::Dialback => ", by a call back",
                    Proof::Unsaid => "",
                };
                format!("the server of {domain}{how}")
            }
            Vouch::Server => "this server".into(),
        },
        hops: envelope.hops,
        now: whereabouts(&kept.judged, &steps, &envelope.to.address),
        came: view(row),
        steps,
    }))
}

/// Where it is now.
fn whereabouts(judged: &model::Judgement, steps: &[Step], to: &Address) -> String {
    if let Some(system) = &judged.imported {
        return format!("imported from {system}, where it was said; it was never on its way here");
    }
    match (&judged.refused, judged.silent) {
        (Some(_), false) => return "its sender heard the refusal; it went no further".into(),
        (Some(_), true) => return "a rule dropped it; its sender heard nothing of it".into(),
        (None, _) => {}
    }
    let ends: Vec<&SettledView> = steps.iter().filter_map(|step| step.ended.as_ref()).collect();
    if judged.held.is_some() {
        let released = steps.iter().find(|step| step.ended.is_none());
        return match (released, ends.last()) {
            (Some(step), _) => format!("a person let it pass, as row {}", step.row),
            (None, Some(end)) if end.refused.is_some() => "a person decided that it does not pass".into(),
            (None, _) => "in quarantine, until a person decides".into(),
        };
    }
    match ends.last() {
        None => format!("on its way: it waits until {to} or their server takes it"),
        Some(end) => match (end.outcome.as_str(), &end.refused) {
            (_, Some(no)) => format!("not delivered: {}", no.text.as_deref().unwrap_or(&no.reason)),
            ("delivered", _) => "delivered".into(),
            ("accepted", _) => "the other side has it on record and goes on with it".into(),
            (other, _) => other.to_owned(),
        },
    }
}

/// Which losses.
#[derive(Debug, Deserialize, IntoParams)]
pub struct Stretch {
    /// Only with this partner, by name, or with this domain.
    partner: Option<String>,
    /// Not earlier, Unix milliseconds.
    since: Option<u64>,
    /// Earlier than this, Unix milliseconds.
    until: Option<u64>,
}

/// One kind of loss.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct LossLine {
    /// Who was at the other end: a partner's name, a domain, or `here`.
    pub partner: String,
    /// What was lost, and between which dialects.
    pub loss: LossView,
    /// How often.
    pub times: u64,
    /// The last row it happened to.
    pub last: u64,
}

/// The fidelity ledger: what translation has lost, the most frequent first.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Ledger {
    /// The losses.
    pub losses: Vec<LossLine>,
    /// Messages that lost something.
    pub messages: u64,
}

/// What translation has lost, by partner, route and kind.
#[utoipa::path(get, path = "/v1/losses", params(Stretch), responses(
    (status = 200, body = Ledger), (status = 409, body = ProblemBody)))]
pub async fn losses(
    State(desk): State<Arc<Desk>>,
    Query(stretch): Query<Stretch>,
) -> Result<Json<Ledger>, Problem> {
    blocking(move || {
        let index = desk.index()?;
        let mut ask =
            Ask { has: Some("loss".into()), since: stretch.since, until: stretch.until, ..Ask::default() };
        let mut lines: BTreeMap<(String, [String; 5]), (u64, u64)> = BTreeMap::new();
        let mut messages = 0;
        let wanted = stretch.partner.as_ref().map(|named| partner_of(&desk, named));
        loop {
            let page = index.find(&ask, LOSSY)?;
            for seq in &page.rows {
                let Some(row) = desk.row(*seq)? else { continue };
                for entry in decode_outcomes(&row.head).unwrap_or_default() {
                    if entry.losses.is_empty() {
                        continue;
                    }
                    let partner = other_end(&desk, entry.seq)?;
                    if wanted.as_ref().is_some_and(|name| *name != partner) {
                        continue;
                    }
                    messages += 1;
                    for loss in settled(&entry).losses {
                        let key = [loss.kind, loss.what, loss.became, loss.from, loss.to];
                        let (times, last) = lines.entry((partner.clone(), key)).or_default();
                        *times += 1;
                        *last = entry.seq.0.max(*last);
                    }
                }
            }
            match page.rows.last().filter(|_| page.more) {
                Some(last) => ask.before = Some(last.0),
                None => break,
            }
        }
        let mut losses: Vec<LossLine> = lines
            .into_iter()
            .map(|((partner, [kind, what, became, from, to]), (times, last))| LossLine {
                partner,
                loss: LossView { kind, what, became, from, to },
                times,
                last,
            })
            .collect();
        losses.sort_by_key(|line| std::cmp::Reverse(line.times));
        Ok(Json(Ledger { losses, messages }))
    })
    .await
}

/// Who was at the other end of a row: a partner, a domain, or nobody from elsewhere.
fn other_end(desk: &Desk, seq: Seq) -> Result<String, Problem> {
    let Some(row) = desk.row(seq)? else { return Ok("here".into()) };
    let Ok(kept) = decode(&row.head, None) else { return Ok("here".into()) };
    let ends = [&kept.envelope.from.address, &kept.envelope.to.address];
    let Some(away) = ends.into_iter().find(|end| !desk.hub.hosts(end.domain())) else {
        return Ok("here".into());
    };
    Ok(partner_of(desk, away.domain()))
}

/// The name of the partner of a domain; else what it was.
fn partner_of(desk: &Desk, domain: &str) -> String {
    desk.partners.partner(domain).map_or_else(|_| domain.to_owned(), |partner| partner.name)
}
