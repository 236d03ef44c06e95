//! A journal on disk with made-up messages, closed with checkpoints as a server does.

use super::search::{BEGINNING, message, scrambled};
use crate::{Result, clock};
use model::codec::{encode_body, encode_head};
use model::{Address, Judgement, Outcome, Seq, Timestamp};
use record::{Act, Chain, ChainId, Signer, close};
use std::path::Path;
use std::sync::mpsc::channel;
use store::{CHAIN_SETTING, Draft, Journal as _, Options, RowKind, Settings as _, SettledRow, SqliteStore};

/// Messages between two checkpoints.
const SEGMENT: u64 = 100_000;
/// Rows that wait for the disk at a time.
const AT_ONCE: u64 = 20_000;

/// A journal that was written.
pub(super) struct Written {
    pub store: SqliteStore,
    pub chain: ChainId,
    pub signer: Signer,
    /// Nanoseconds that writing took, and closing.
    pub took: (u64, u64),
}

/// Which messages there are to be.
pub(super) struct Wanted {
    pub messages: u64,
    /// Milliseconds between two.
    pub apart: u64,
    /// Pairs of people who write to each other.
    pub pairs: u64,
    /// Does the journal say how each ended?
    pub settled: bool,
}

/// Writes it into a directory that is there.
pub(super) fn written(dir: &Path, wanted: &Wanted) -> Result<Written> {
    let chain = Chain::new().map_err(|e| e.to_string())?;
    let open = SqliteStore::open(&dir.join("rialto.db"), Box::new(chain), Options::default());
    let store = open.map_err(|e| e.to_string())?;
    let id = store.value(CHAIN_SETTING).map_err(|e| e.to_string())?;
    let chain = id.and_then(|bytes| ChainId::from_bytes(&bytes)).ok_or("the store has no chain")?;
    let signer = Signer::open(&dir.join("checkpoint.key"))?;
    let (mut writing, mut closing, mut done) = (0, 0, 0);
    while done < wanted.messages {
        let until = wanted.messages.min(done + SEGMENT);
        let begun = clock::now();
        while done < until {
            let some = (until - done).min(AT_ONCE);
            write(&store, done, some, wanted)?;
            done += some;
        }
        writing += clock::now() - begun;
        let begun = clock::now();
        let at = time(done, wanted);
        close(&store, &signer, chain.node, &Act::done("checkpoint", "server"), at)
            .map_err(|e| e.to_string())?;
        closing += clock::now() - begun;
    }
    Ok(Written { store, chain, signer, took: (writing, closing) })
}

/// Writes so many messages after this one, and waits for them.
fn write(store: &SqliteStore, after: u64, messages: u64, wanted: &Wanted) -> Result<()> {
    let (tell, hear) = channel();
    for n in after + 1..=after + messages {
        let pair = scrambled(n) % wanted.pairs;
        let (one, other) = (person(pair % 300)?, person(300 + pair / 300)?);
        let (from, to) = if scrambled(n + 1).is_multiple_of(2) { (&one, &other) } else { (&other, &one) };
        let at = time(n, wanted);
        let envelope = message(n, at, from.clone(), to.clone());
        let draft = Draft {
            kind: RowKind::Envelope,
            at,
            mailbox: None,
            head: encode_head(&envelope, &Judgement::default()),
            body: encode_body(&envelope),
            parties: (one, other),
        };
        let tell = tell.clone();
        store.append(draft, Box::new(move |end| drop(tell.send(end))));
    }
    drop(tell);
    let mut seqs: Vec<Seq> = Vec::new();
    for end in hear {
        seqs.push(end.map_err(|e| e.to_string())?);
    }
    if wanted.settled {
        let settled = |seq| SettledRow { seq, outcome: Outcome::Delivered, losses: Vec::new() };
        seqs.into_iter().for_each(|seq| store.settle(settled(seq)));
    }
    Ok(())
}

fn time(n: u64, wanted: &Wanted) -> Timestamp {
    Timestamp(BEGINNING + n * wanted.apart)
}

fn person(n: u64) -> Result<Address> {
    Ok(Address::new(&format!("user{n}"), "corp.example").map_err(|e| e.to_string())?)
}
