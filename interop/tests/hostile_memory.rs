//! What hostile peers send is not kept: the memory of the server is the same after many batteries as after one.
//!
//! `RIALTO_HOSTILE_ROUNDS` says how many.

use interop::known::judge;
use interop::{Rialto, hostile};

/// How often everything is fired, unless the environment says otherwise.
const ROUNDS: u64 = 20;
/// How much more memory the server may use in the last quarter of the rounds than in the first. Below it lie the allocator's reserves
/// and what is kept on purpose for a while: transactions for 32 seconds, used nonces for five minutes.
const BOUND_KIB: u64 = 20 * 1024;
/// What the index gathers before it writes, and has in hand while it merges what it wrote.
const INDEX_KIB: u64 = 2 * 16 * 1024;
/// Refused messages are on record, so what the database grew by passed through its page cache, which keeps up to this
/// much.
const PAGE_CACHE_KIB: u64 = 64 * 1024;

#[test]
fn batteries_leave_nothing_behind() {
    judge("hostile_memory::batteries_leave_nothing_behind", || {
        // Every round gets as far as the first: nobody has to wait for having guessed.
        let users = ["romeo", hostile::sip::USER, hostile::sip::OTHER];
        let rialto = Rialto::start_with(&users, "[limits]\nlogin_failures = 0\n", "info");
        let rounds = std::env::var("RIALTO_HOSTILE_ROUNDS")
            .map_or(ROUNDS, |text| text.parse().expect("RIALTO_HOSTILE_ROUNDS is a number"));
        assert!(rounds > 1, "one round is compared with the last");
        let stored = rialto.stored_kib();
        let idle = rialto.resident_kib();
        let mut memory = Vec::new();
        for round in 0..rounds {
            hostile::xmpp::fire(&rialto);
            hostile::sip::fire(&rialto);
            hostile::sip::noise(&rialto, 1_000, round);
            memory.push(rialto.resident_kib());
        }
        // The allocator breathes: what it once gave back counts, not what it holds at one moment.
        let part = memory.len().div_ceil(4);
        let before = memory[..part].iter().max().copied().unwrap_or_default();
        let after = memory[memory.len() - part..].iter().min().copied().unwrap_or_default();
        println!("idle {idle} KiB, after each round {memory:?} KiB");
        let bound = BOUND_KIB + INDEX_KIB + (rialto.stored_kib() - stored).min(PAGE_CACHE_KIB);
        assert!(after <= before + bound, "grew from {before} to {after} KiB: {memory:?}");
        rialto.finish();
    });
}
