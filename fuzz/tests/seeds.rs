//! Every target over its seeds, and over mutants of them made from a fixed beginning: what libFuzzer does for hours, for
//! a moment in each test run.

use std::collections::BTreeSet;
use std::panic::catch_unwind;

/// Mutants of each seed.
const MUTANTS: usize = 300;

/// A small generator: the same mutants in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or(0) % n.max(1)
    }
}

/// A seed with some of it cut, doubled, replaced, or spliced from another.
fn mutant(chance: &mut Chance, seeds: &[Vec<u8>], seed: &[u8]) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=chance.below(6) {
        let at = chance.below(bytes.len() + 1);
        let end = (at + chance.below(40)).min(bytes.len());
        match chance.below(6) {
            0 => drop(bytes.drain(at..end)),
            1 => {
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            2 => {
                let other = &seeds[chance.below(seeds.len())];
                let from = chance.below(other.len() + 1);
                let to = (from + chance.below(200)).min(other.len());
                bytes.splice(at..end, other[from..to].iter().copied());
            }
            3 => {
                let odd: &[&[u8]] = &[
                    b"\0",
                    b"\xff",
                    b"\r\n\r\n",
                    b"'",
                    b"\"",
                    b"<",
                    b"]]>",
                    b"&#0;",
                    b"4294967296",
                    b"\n!c\n",
                    b"\n!tz\n",
                    b"%00",
                ];
                bytes.splice(at..at, odd[chance.below(odd.len())].iter().copied());
            }
            _ if !bytes.is_empty() => {
                let at = at.min(bytes.len() - 1);
                bytes[at] = u8::try_from(chance.below(256)).unwrap_or(0);
            }
            _ => {}
        }
    }
    bytes
}

fn try_all(name: &str) {
    let seeds = fuzz::seeds(name);
    assert!(!seeds.is_empty(), "{name} has no seeds");
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    for seed in &seeds {
        fuzz::run(name, seed);
        for _ in 0..MUTANTS {
            let input = mutant(&mut chance, &seeds, seed);
            if let Err(panic) = catch_unwind(|| fuzz::run(name, &input)) {
                println!("{name} fell over {:?}", String::from_utf8_lossy(&input));
                std::panic::resume_unwind(panic);
            }
        }
    }
    println!("{name}: {} seeds, {} mutants", seeds.len(), seeds.len() * MUTANTS);
}

macro_rules! targets {
    ($($name:ident)*) => {
        $(#[test] fn $name() { try_all(stringify!($name)); })*
        const HERE: &[&str] = &[$(stringify!($name)),*];
    };
}

targets! {
    cpim digest evidence hygiene imports journal_row multipart pidf policy_text pubsub reports retention s2s_machine scram sip_machine
    sip_message sip_stream sip_trunk texts xmpp_machine xmpp_stream
}

/// Here, in the library and for libFuzzer: the same names.
#[test]
fn every_target_is_run_everywhere() {
    let here: BTreeSet<String> = HERE.iter().map(|name| (*name).to_owned()).collect();
    let listed: BTreeSet<String> = fuzz::TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/libfuzzer/targets");
    let files = std::fs::read_dir(folder).expect("the folder is there").flatten();
    let files =
        files.filter_map(|f| f.path().file_stem().map(|s| s.to_string_lossy().into_owned())).collect();
    assert_eq!(here, listed);
    assert_eq!(listed, files);
}
