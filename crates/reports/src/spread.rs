use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Steps of a doubling: a quantile is told to within a fifth.
const STEPS: f64 = 4.0;

/// How long things took: how many fell into each step of an exponential scale.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spread(BTreeMap<u16, u64>);

impl Spread {
    /// One more that took so many milliseconds.
    pub fn add(&mut self, ms: u64) {
        let step = if ms == 0 { 0 } else { 1 + ((ms as f64).log2() * STEPS) as u16 };
        *self.0.entry(step).or_default() += 1;
    }

    /// Those of another one too.
    pub fn merge(&mut self, other: &Self) {
        for (step, n) in &other.0 {
            *self.0.entry(*step).or_default() += n;
        }
    }

    /// How many.
    pub fn count(&self) -> u64 {
        self.0.values().sum()
    }

    /// In how many milliseconds this part (0 to 1) of them was done, rounded up; `None` if there were none.
    pub fn quantile(&self, part: f64) -> Option<u64> {
        let wanted = ((self.count() as f64 * part).ceil() as u64).max(1);
        let mut seen = 0;
        self.0.iter().find_map(|(step, n)| {
            seen += n;
            (seen >= wanted)
                .then(|| if *step == 0 { 0 } else { (f64::from(*step) / STEPS).exp2().ceil() as u64 })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Spread;

    #[test]
    fn quantiles_are_near() {
        let mut spread = Spread::default();
        assert_eq!(spread.quantile(0.5), None);
        (1..=1000).for_each(|ms| spread.add(ms));
        for (part, exact) in [(0.5, 500.0), (0.9, 900.0), (0.99, 990.0)] {
            let told = spread.quantile(part).unwrap() as f64;
            assert!((exact..exact * 1.2).contains(&told), "{part}: {told}");
        }
        let mut both = spread.clone();
        both.merge(&spread);
        assert_eq!((both.count(), both.quantile(0.5)), (2000, spread.quantile(0.5)));
        let mut none = Spread::default();
        none.add(0);
        assert_eq!(none.quantile(1.0), Some(0));
        none.add(u64::MAX);
        assert!(none.quantile(1.0).unwrap() > 1 << 60);
    }
}
