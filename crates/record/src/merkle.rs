//! The tree hash over the links of a segment of the chain (RFC 9162 section 2.1): one digest that stands for all of them,
//! and proves each by itself with a short path, whatever the others hold.

use sha2::{Digest, Sha256};
use std::collections::HashMap;

/// The digest of a leaf, here a row's link.
pub fn leaf(entry: &[u8]) -> [u8; 32] {
    Sha256::new_with_prefix([0]).chain_update(entry).finalize().into()
}

/// The digest of two subtrees.
fn node(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    let mut input = [1; 65];
    input[1..33].copy_from_slice(left);
    input[33..].copy_from_slice(right);
    Sha256::digest(input).into()
}

/// The root of a tree that grows at its right end; it remembers one digest for each level.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    leaves: u64,
    /// Roots of the complete subtrees, the largest first; their sizes are the bits of `leaves`.
    peaks: Vec<[u8; 32]>,
}

impl Frontier {
    /// Adds an entry at the right end.
    pub fn push(&mut self, entry: &[u8]) {
        self.push_hearing(entry, |_, _, _| {});
    }

    /// The same; `hear` is told every complete subtree that came into being: its level, its place on it, its root.
    fn push_hearing(&mut self, entry: &[u8], mut hear: impl FnMut(u32, u64, &[u8; 32])) {
        let (mut digest, mut place) = (leaf(entry), self.leaves);
        hear(0, place, &digest);
        // Each low bit that is set is a neighbour of the same size.
        for level in 0..self.leaves.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                digest = node(&left, &digest);
                place >>= 1;
                hear(level + 1, place, &digest);
            }
        }
        self.peaks.push(digest);
        self.leaves += 1;
    }

    /// How many entries it has.
    pub fn len(&self) -> u64 {
        self.leaves
    }

    /// Has it none?
    pub fn is_empty(&self) -> bool {
        self.leaves == 0
    }

    /// The tree hash of all entries so far.
    pub fn root(&self) -> [u8; 32] {
        let mut peaks = self.peaks.iter().rev();
        match peaks.next() {
            None => Sha256::digest([]).into(),
            Some(last) => peaks.fold(*last, |right, left| node(left, &right)),
        }
    }
}

/// Audit paths (RFC 9162 section 2.1.3.1) of some entries of a tree, from one pass over all of them. What it remembers grows
/// with the number of entries that are wanted, not with the tree.
#[derive(Debug)]
pub struct Paths {
    wanted: Vec<u64>,
    frontier: Frontier,
    /// Roots of complete subtrees by level and place, those that stand beside something wanted.
    kept: HashMap<(u32, u64), [u8; 32]>,
}

impl Paths {
    /// For these entries, counted from 0.
    pub fn new(mut wanted: Vec<u64>) -> Self {
        wanted.sort_unstable();
        Self { wanted, frontier: Frontier::default(), kept: HashMap::new() }
    }

    /// Adds the tree's next entry.
    pub fn push(&mut self, entry: &[u8]) {
        let Self { wanted, frontier, kept } = self;
        frontier.push_hearing(entry, |level, place, digest| {
            let beside = place ^ 1;
            let first = wanted.partition_point(|w| w >> level < beside);
            if wanted.get(first).is_some_and(|w| w >> level == beside) {
                kept.insert((level, place), *digest);
            }
        });
    }

    /// The tree hash of all entries so far.
    pub fn root(&self) -> [u8; 32] {
        self.frontier.root()
    }

    /// The path of a wanted entry in the tree of all entries so far; `None` if it was not wanted, or is not there.
    pub fn path(&self, index: u64) -> Option<Vec<[u8; 32]>> {
        let size = self.frontier.len();
        if index >= size || self.wanted.binary_search(&index).is_err() {
            return None;
        }
        let (mut from, mut to, mut path) = (0, size, Vec::new());
        while to - from > 1 {
            let middle = from + split(to - from);
            let (beside, own) =
                if index < middle { ((middle, to), (from, middle)) } else { ((from, middle), (middle, to)) };
            path.push(self.digest(beside.0, beside.1)?);
            (from, to) = own;
        }
        path.reverse();
        Some(path)
    }

    /// The tree hash of a part.
    fn digest(&self, from: u64, to: u64) -> Option<[u8; 32]> {
        let size = to - from;
        if size.is_power_of_two() {
            let (level, place) = (size.trailing_zeros(), from >> size.trailing_zeros());
            return self.kept.get(&(level, place)).copied().or_else(|| self.peak(from, size));
        }
        let middle = from + split(size);
        Some(node(&self.digest(from, middle)?, &self.digest(middle, to)?))
    }

    /// A complete subtree at the right edge.
    fn peak(&self, from: u64, size: u64) -> Option<[u8; 32]> {
        let leaves = self.frontier.len();
        let before = leaves & !(2 * size - 1);
        let larger = before.count_ones() as usize;
        (leaves & size != 0 && from == before).then(|| self.frontier.peaks.get(larger).copied()).flatten()
    }
}

/// The largest power of two that is smaller; for sizes above 1.
fn split(size: u64) -> u64 {
    1 << (63 - (size - 1).leading_zeros())
}

/// The path of one entry among all; for few of them.
pub fn audit_path(entries: &[[u8; 32]], index: u64) -> Option<Vec<[u8; 32]>> {
    let mut paths = Paths::new(vec![index]);
    entries.iter().for_each(|entry| paths.push(entry));
    paths.path(index)
}

/// The root that a path leads to from this entry, in a tree of this size (RFC 9162 section 2.1.3.2); `None` if the path
/// has another length than it must have.
pub fn root_of(entry: &[u8], index: u64, size: u64, path: &[[u8; 32]]) -> Option<[u8; 32]> {
    if index >= size {
        return None;
    }
    let (mut place, mut last, mut digest) = (index, size - 1, leaf(entry));
    for beside in path {
        if last == 0 {
            return None;
        }
        if place & 1 == 1 || place == last {
            digest = node(beside, &digest);
            while place & 1 == 0 && place != 0 {
                place >>= 1;
                last >>= 1;
            }
        } else {
            digest = node(&digest, beside);
        }
        place >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hex::{hex, unhex};

    /// The entries that implementations of Certificate Transparency test themselves with.
    const ENTRIES: [&[u8]; 8] = [
        b"",
        b"\x00",
        b"\x10",
        b"\x20\x21",
        b"\x30\x31",
        b"\x40\x41\x42\x43",
        b"\x50\x51\x52\x53\x54\x55\x56\x57",
        b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
    ];
    /// Their roots, by number of entries.
    const ROOTS: [&str; 8] = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];

    #[test]
    fn roots_of_known_trees() {
        let mut tree = Frontier::default();
        assert_eq!(hex(&tree.root()), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        for (entry, root) in ENTRIES.iter().zip(ROOTS) {
            tree.push(entry);
            assert_eq!(hex(&tree.root()), root, "{} entries", tree.len());
        }
    }

    #[test]
    fn a_known_path() {
        let mut paths = Paths::new(vec![5]);
        ENTRIES.iter().for_each(|e| paths.push(e));
        let known = [
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ];
        let path = paths.path(5).unwrap();
        assert_eq!(path, known.map(|one| unhex(one).unwrap()));
        assert_eq!(root_of(ENTRIES[5], 5, 8, &path), unhex(ROOTS[7]));
    }

    /// The definition of section 2.1.1, word for word.
    fn by_the_book(entries: &[[u8; 32]]) -> [u8; 32] {
        match entries {
            [] => Sha256::digest([]).into(),
            [one] => leaf(one),
            all => {
                let (left, right) = all.split_at(split(all.len() as u64) as usize);
                node(&by_the_book(left), &by_the_book(right))
            }
        }
    }

    #[test]
    fn every_entry_of_every_small_tree_is_proved_and_nothing_else() {
        let entries: Vec<[u8; 32]> = (0..70).map(|n| [n; 32]).collect();
        for size in 1..=entries.len() {
            let all = &entries[..size];
            let mut every = Paths::new((0..size as u64).collect());
            all.iter().for_each(|e| every.push(e));
            let root = by_the_book(all);
            assert_eq!(every.root(), root);
            for index in 0..size as u64 {
                let path = every.path(index).unwrap();
                assert_eq!(audit_path(all, index).as_ref(), Some(&path));
                let entry = &entries[index as usize];
                assert_eq!(root_of(entry, index, size as u64, &path), Some(root));
                assert_ne!(root_of(&[99; 32], index, size as u64, &path), Some(root));
                if size > 1 {
                    assert_ne!(root_of(entry, index ^ 1, size as u64, &path), Some(root));
                    assert_eq!(root_of(entry, index, size as u64, &path[1..]), None);
                }
                let longer = [&path[..], &[[0; 32]]].concat();
                assert_eq!(root_of(entry, index, size as u64, &longer), None);
            }
            assert_eq!((every.path(size as u64), root_of(&[0; 32], 9, 9, &[])), (None, None));
        }
    }

    #[test]
    fn what_is_remembered_does_not_grow_with_the_tree() {
        let mut few = Paths::new(vec![7, 50_000]);
        (0..100_000u32).for_each(|n| few.push(&n.to_be_bytes()));
        assert!(few.kept.len() < 2 * 17, "{}", few.kept.len());
        let path = few.path(50_000).unwrap();
        assert_eq!(root_of(&50_000u32.to_be_bytes(), 50_000, 100_000, &path), Some(few.root()));
        assert_eq!(few.path(8), None);
    }
}
