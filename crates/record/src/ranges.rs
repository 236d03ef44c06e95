//! Many row numbers, written short: `1-5,9,12-40`.

use std::fmt;
use std::str::FromStr;

/// Numbers of rows, as runs in ascending order that do not touch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ranges(Vec<(u64, u64)>);

impl Ranges {
    /// Of runs in any order.
    pub fn of(runs: Vec<(u64, u64)>) -> Self {
        let mut all = Self::default();
        all.join(&Self(runs));
        all
    }

    /// Adds a number. Cheap where it is greater than all before it.
    pub fn add(&mut self, seq: u64) {
        match self.0.last_mut() {
            Some(last) if seq == last.1 + 1 => last.1 = seq,
            Some(last) if seq > last.1 => self.0.push((seq, seq)),
            None => self.0.push((seq, seq)),
            _ => self.join(&Self(vec![(seq, seq)])),
        }
    }

    /// Adds all of another.
    pub fn join(&mut self, other: &Self) {
        let mut all = std::mem::take(&mut self.0);
        all.extend(&other.0);
        all.sort_unstable();
        for (first, last) in all {
            match self.0.last_mut() {
                Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
                _ => self.0.push((first, last)),
            }
        }
    }

    /// Is it among them?
    pub fn has(&self, seq: u64) -> bool {
        let at = self.0.partition_point(|(first, _)| *first <= seq);
        at.checked_sub(1).and_then(|at| self.0.get(at)).is_some_and(|(_, last)| seq <= *last)
    }

    /// The first number that is not among others.
    pub fn first_beyond(&self, others: &Self) -> Option<u64> {
        for (first, last) in &self.0 {
            let mut next = *first;
            while next <= *last {
                let at = others.0.partition_point(|(first, _)| *first <= next);
                match at.checked_sub(1).and_then(|at| others.0.get(at)).filter(|(_, end)| *end >= next) {
                    Some((_, end)) => next = end.saturating_add(1),
                    None => return Some(next),
                }
            }
        }
        None
    }

    /// Only what is below a number.
    #[must_use]
    pub fn below(&self, end: u64) -> Self {
        let cut = self.0.iter().filter(|(first, _)| *first < end);
        Self(cut.map(|(first, last)| (*first, (*last).min(end - 1))).collect())
    }

    /// How many.
    pub fn count(&self) -> u64 {
        self.0.iter().map(|(first, last)| last - first + 1).sum()
    }

    /// The runs, first and last of each.
    pub fn runs(&self) -> &[(u64, u64)] {
        &self.0
    }

    /// Every number, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        self.0.iter().flat_map(|(first, last)| *first..=*last)
    }

    /// None at all?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<u64> for Ranges {
    fn from_iter<I: IntoIterator<Item = u64>>(numbers: I) -> Self {
        let mut all = Self::default();
        numbers.into_iter().for_each(|seq| all.add(seq));
        all
    }
}

impl fmt::Display for Ranges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (first, last)) in self.0.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            match first == last {
                true => write!(f, "{comma}{first}")?,
                false => write!(f, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

impl FromStr for Ranges {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "rows are written as 1-5,9,12-40";
        let mut all = Vec::new();
        for run in text.split(',').filter(|run| !run.is_empty()) {
            let (first, last) = run.split_once('-').unwrap_or((run, run));
            let number = |text: &str| text.parse::<u64>().map_err(|_| wrong);
            let (first, last) = (number(first)?, number(last)?);
            if first > last || all.last().is_some_and(|(_, before)| *before >= first) {
                return Err(wrong);
            }
            all.push((first, last));
        }
        Ok(Self::of(all))
    }
}

#[cfg(test)]
mod tests {
    use super::Ranges;

    fn ranges(text: &str) -> Ranges {
        text.parse().unwrap()
    }

    #[test]
    fn they_are_written_and_read() {
        let some: Ranges = [9, 1, 2, 3, 5, 4, 12, 13].into_iter().collect();
        assert_eq!((some.to_string().as_str(), some.count()), ("1-5,9,12-13", 8));
        assert_eq!(ranges("1-5,9,12-13"), some);
        assert_eq!(ranges(""), Ranges::default());
        assert!(some.has(1) && some.has(5) && some.has(9) && !some.has(6) && !some.has(14) && !some.has(0));
        assert_eq!(some.iter().sum::<u64>(), 15 + 9 + 25);
        assert_eq!(some.below(4).to_string(), "1-3");
        for wrong in ["a", "5-1", "1,1", "3,2", "1-", "-", "1-2-3"] {
            assert!(wrong.parse::<Ranges>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_one_has_beyond_another_is_found() {
        let beyond = |a: &str, b: &str| ranges(a).first_beyond(&ranges(b));
        assert_eq!(beyond("1-5,9", "1-9"), None);
        assert_eq!(beyond("1-5,9", "1-3,5,9"), Some(4));
        assert_eq!(beyond("1-5,9", "1-5"), Some(9));
        assert_eq!(beyond("", ""), None);
        assert_eq!(beyond("7", ""), Some(7));
    }
}
