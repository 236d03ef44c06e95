//! A latency histogram with logarithmic buckets: at most 1.6 % of error from 1 ns to hours, 15 KiB.

const SUB_BITS: u32 = 6;
const SUB: u64 = 1 << SUB_BITS;
const GROUPS: usize = 44;

/// Counts of durations in nanoseconds, in 64 buckets for each power of two.
#[derive(Clone)]
pub struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: vec![0; GROUPS * SUB as usize], count: 0, max: 0 }
    }
}

impl Histogram {
    /// Adds one duration.
    pub fn record(&mut self, ns: u64) {
        let index = index_of(ns).min(self.buckets.len() - 1);
        self.buckets[index] += 1;
        self.count += 1;
        self.max = self.max.max(ns);
    }

    /// Adds all that `other` has counted.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += theirs;
        }
        self.count += other.count;
        self.max = self.max.max(other.max);
    }

    /// How many durations were recorded.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The longest duration, exactly.
    pub fn max(&self) -> u64 {
        self.max
    }

    /// The duration that a share `q` (0 to 1) of all records does not exceed, to within a bucket.
    pub fn quantile(&self, q: f64) -> u64 {
        let rank = ((q * self.count as f64).ceil() as u64).clamp(1, self.count.max(1));
        let mut seen = 0;
        for (index, n) in self.buckets.iter().enumerate() {
            seen += n;
            if seen >= rank {
                return top_of(index).min(self.max);
            }
        }
        self.max
    }
}

/// Values below 64 have a bucket each; above, the group is the power of two and the next six bits pick the bucket.
fn index_of(v: u64) -> usize {
    if v < SUB {
        return v as usize;
    }
    let shift = 63 - v.leading_zeros() - SUB_BITS;
    ((u64::from(shift) + 1) * SUB + ((v >> shift) - SUB)) as usize
}

/// The highest value that falls into bucket `index`.
fn top_of(index: usize) -> u64 {
    let (group, sub) = (index as u64 / SUB, index as u64 % SUB);
    if group == 0 {
        return sub;
    }
    let shift = group - 1;
    ((SUB + sub + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_tile_the_range() {
        let mut last = None;
        for v in (0..5000).chain((1..40).map(|b| 1u64 << b)).chain((1..40).map(|b| (1u64 << b) - 1)) {
            let i = index_of(v);
            assert!(top_of(i) >= v, "{v}");
            assert!(i == 0 || top_of(i - 1) < v, "{v}");
            if last.is_none_or(|l| i > l) && v < 5000 {
                assert!(last.is_none_or(|l| i == l + 1));
                last = Some(i);
            }
        }
    }

    #[test]
    fn quantiles_are_within_two_percent() {
        let mut h = Histogram::default();
        for v in 1..=1_000_000u64 {
            h.record(v);
        }
        for (q, want) in [(0.5, 500_000.0), (0.99, 990_000.0), (0.999, 999_000.0)] {
            let got = h.quantile(q) as f64;
            assert!((got - want).abs() / want < 0.02, "{q}: {got}");
        }
        assert_eq!((h.quantile(1.0), h.max(), h.count()), (1_000_000, 1_000_000, 1_000_000));
    }

    #[test]
    fn merging_adds_and_empty_is_zero() {
        let (mut a, mut b) = (Histogram::default(), Histogram::default());
        assert_eq!(a.quantile(0.5), 0);
        a.record(10);
        b.record(1 << 60);
        a.merge(&b);
        assert_eq!((a.count(), a.max(), a.quantile(0.5)), (2, 1 << 60, 10));
    }
}
