//! A list of hosts and links, with lines in any of the usual formats. What is kept of a line are eight bytes.

use crate::links::{Link, normal};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufRead, Read};

/// A longer line is none that we could use.
const LINE: u64 = 8 * 1024;

/// More entries than any list in use has: 400 MB.
const MOST: usize = 50_000_000;

/// How many of a link's paths are tried.
const PATHS: usize = 64;

/// Which hosts an entry means.
#[derive(Debug, Clone, Copy)]
enum Reach {
    /// That one.
    Exact = 0,
    /// That one and all below it.
    Below = 1,
}

/// Entries by their hash, which is keyed, so that nobody can choose a harmless name with the hash of a bad one.
#[derive(Default)]
pub(crate) struct List {
    seed: RandomState,
    entries: Vec<u64>,
    /// What Adblock lists take out again (`@@`).
    except: Vec<u64>,
    /// No host of an entry has more labels.
    labels: usize,
    /// Lines that say something no list of links can use, such as what is to be hidden on a page.
    pub skipped: usize,
}

impl List {
    /// Reads a list line by line.
    ///
    /// # Errors
    /// What reading says; [`io::ErrorKind::FileTooLarge`] for more entries than could be meant.
    pub fn read(mut from: impl BufRead) -> io::Result<Self> {
        let mut list = Self::default();
        let mut line = Vec::new();
        loop {
            line.clear();
            if from.by_ref().take(LINE).read_until(b'\n', &mut line)? == 0 {
                break;
            }
            if line.len() as u64 == LINE && line.last() != Some(&b'\n') {
                from.skip_until(b'\n')?;
                list.skipped += 1;
                continue;
            }
            list.line(&String::from_utf8_lossy(&line));
            if list.entries.len() > MOST {
                let why = format!("more than {MOST} entries: this is no list of links");
                return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
            }
        }
        for entries in [&mut list.entries, &mut list.except] {
            entries.sort_unstable();
            entries.dedup();
            entries.shrink_to_fit();
        }
        Ok(list)
    }

    /// How many entries it has.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Is this link on it?
    pub fn has(&self, link: &Link) -> bool {
        self.any(&self.entries, link) && !self.any(&self.except, link)
    }

    fn any(&self, entries: &[u64], link: &Link) -> bool {
        if entries.is_empty() {
            return false;
        }
        let is_in = |reach, host: &str, path: &str| {
            entries.binary_search(&self.seed.hash_one((reach as u8, host, path))).is_ok()
        };
        let ends = link.path.match_indices(['/', '?', '&']).map(|(at, _)| at).take(PATHS);
        let paths =
            || ends.clone().chain([link.path.len()]).map(|end| link.path[..end].trim_end_matches('/'));
        let above = link.host.rmatch_indices('.').map(|(at, _)| &link.host[at + 1..]);
        // Numbers have nothing below them.
        let is_address = link.host.starts_with('[') || link.host.parse::<std::net::Ipv4Addr>().is_ok();
        let above = above.take(if is_address { 0 } else { self.labels });
        std::iter::once(link.host.as_str())
            .chain(above)
            .any(|host| paths().any(|path| is_in(Reach::Below, host, path)))
            || paths().any(|path| is_in(Reach::Exact, &link.host, path))
    }

    fn line(&mut self, line: &str) {
        let line = line.trim_start_matches('\u{feff}').trim();
        // Comments, and the first line of Adblock lists.
        if line.is_empty() || line.starts_with(['#', '!', '[']) && !line.starts_with("[2") {
            return;
        }
        let line = line.split(" #").next().unwrap_or_default().split("\t#").next().unwrap_or_default().trim();
        if let Some(rest) = line.strip_prefix("@@||") {
            return match adblock(rest) {
                Some(link) => {
                    let hash = self.hash(Reach::Below, &link);
                    self.except.push(hash);
                }
                None => self.skipped += 1,
            };
        }
        if let Some(rest) = line.strip_prefix("||") {
            return self.keep(Reach::Below, adblock(rest));
        }
        let mut words = line.split_whitespace();
        let first = words.next().unwrap_or_default();
        if words.clone().next().is_some() {
            // A file of hosts: an address and its names.
            if first.parse::<std::net::IpAddr>().is_err() {
                self.skipped += 1;
                return;
            }
            for name in words.filter(|name| name.contains('.') && *name != "0.0.0.0") {
                self.keep(Reach::Exact, usable(name));
            }
            return;
        }
        match first.split_once("://") {
            Some((_, rest)) => self.keep(Reach::Exact, normal(rest)),
            None => {
                let name = first.strip_prefix("*.").or(first.strip_prefix('.')).unwrap_or(first);
                self.keep(Reach::Below, usable(name));
            }
        }
    }

    fn hash(&mut self, reach: Reach, link: &Link) -> u64 {
        self.labels = self.labels.max(link.host.split('.').count());
        self.seed.hash_one((reach as u8, link.host.as_str(), link.path.as_str()))
    }

    fn keep(&mut self, reach: Reach, link: Option<Link>) {
        match link {
            Some(link) => {
                let hash = self.hash(reach, &link);
                self.entries.push(hash);
            }
            None => self.skipped += 1,
        }
    }
}

/// `domain^`, `domain/path`, each with options after `$`. Options that narrow it to parts of a page are none of ours.
fn adblock(rest: &str) -> Option<Link> {
    let (name, options) = rest.split_once('$').unwrap_or((rest, ""));
    let whole = |option: &str| matches!(option, "" | "all" | "doc" | "document" | "popup" | "important");
    if !options.split(',').all(whole) {
        return None;
    }
    usable(name.trim_end_matches(['^', '|', '*']))
}

/// A host, or a host with a path, that can be one.
fn usable(name: &str) -> Option<Link> {
    let host = name.split(['/', '?']).next().unwrap_or_default();
    let is_host = host.starts_with('[')
        || host.contains(['.', ':']) && host.chars().all(|c| c.is_alphanumeric() || "-._:".contains(c));
    (is_host && !name.contains(['*', '^', '$', '|'])).then(|| normal(name)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::links::links;

    fn list(text: &str) -> List {
        List::read(text.as_bytes()).expect("it is in memory")
    }

    fn has(list: &List, text: &str) -> bool {
        links(text).iter().any(|link| list.has(link))
    }

    #[test]
    fn lines_of_every_format_mean_what_they_mean() {
        for (line, hit, miss) in [
            ("evil.example", "http://a.evil.example/x", "http://notevil.example"),
            ("*.evil.example", "http://a.evil.example", "http://devil.example"),
            ("EVIL.example  # why", "evil.example", "http://good.example"),
            ("bücher.example", "http://xn--bcher-kva.example", "http://bucher.example"),
            ("0.0.0.0 evil.example other.example", "http://other.example/", "http://a.evil.example"),
            ("127.0.0.1\tevil.example", "http://evil.example./", "http://127.0.0.1/"),
            ("||evil.example^", "http://a.evil.example:81/x", "http://evil.example.org"),
            ("||evil.example/bad$document", "http://evil.example/bad/x?y", "http://evil.example/badly"),
            ("http://evil.example/a/", "http://evil.example/a?x=1", "http://b.evil.example/a"),
            ("http://evil.example/a?id=7", "http://evil.example/a?id=7&y=1", "http://evil.example/a?id=77"),
            ("evil.example/a", "http://www.evil.example/a/b", "http://evil.example/"),
            ("192.0.2.235", "http://3221226219/", "http://192.0.2.23"),
            ("http://[2001:db8::1]/", "http://[2001:DB8::1]/a", "http://[2001:db8::2]/a"),
        ] {
            let list = list(line);
            assert!(list.skipped == 0 && list.len() > 0, "{line}");
            assert!(has(&list, hit), "{line}: {hit}");
            assert!(!has(&list, miss), "{line}: {miss}");
        }
    }

    #[test]
    fn what_is_for_pages_is_skipped_and_exceptions_are_heard() {
        let list = list(
            "[Adblock Plus 2.0]\n! Title\n\n# hosts\n||ads.example^$script\nexample.com##.banner\n/ads[0-9]+/\n\
             ||evil.example^\n@@||good.evil.example^\n127.0.0.1 localhost\n",
        );
        assert_eq!((list.len(), list.skipped), (1, 3));
        assert!(has(&list, "http://evil.example") && !has(&list, "http://good.evil.example/a"));
        assert!(!has(&list, "http://ads.example"));
    }

    #[test]
    fn a_line_without_end_does_no_harm() {
        let long = format!("{}\nevil.example\n", "a.".repeat(20_000));
        let list = list(&long);
        assert_eq!((list.len(), list.skipped), (1, 1));
    }
}
