//! Durations counted in buckets that are at most 1/64 wide, so that a quantile is off by 0.8 % at
//! most.
//!
//! For self times and gaps of many traces, in little memory. The surprise: only buckets that were
//! hit take room, in a sorted list, since most calls take about as long every time.

/// Durations in nanoseconds, counted by how long they are. Each octave has 64 buckets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Histogram {
    /// Buckets that were hit, by number.
    buckets: Vec<(u16, u32)>,
    count: u64,
}

/// Octaves are cut in as many buckets as fit in so many bits.
const BITS: u32 = 6;

impl Histogram {
    /// Counts a duration.
    pub fn add(&mut self, nanos: u64) {
        self.add_bucket(bucket(nanos), 1);
    }

    /// Counts a duration in the nearest bucket that was hit already, where there is one: less
    /// exact, and takes no more memory.
    pub fn add_near(&mut self, nanos: u64) {
        let wanted = bucket(nanos);
        let at = self.buckets.partition_point(|&(bucket, _)| bucket < wanted);
        let near = self.buckets[at.saturating_sub(1)..].iter().take(2);
        let nearest = near.min_by_key(|(bucket, _)| bucket.abs_diff(wanted));
        self.add_bucket(nearest.map_or(wanted, |&(bucket, _)| bucket), 1);
    }

    fn add_bucket(&mut self, bucket: u16, times: u32) {
        self.count += u64::from(times);
        match self.buckets.binary_search_by_key(&bucket, |&(bucket, _)| bucket) {
            Ok(at) => self.buckets[at].1 = self.buckets[at].1.saturating_add(times),
            Err(at) => self.buckets.insert(at, (bucket, times)),
        }
    }

    /// Counts all that another has counted.
    pub fn merge(&mut self, other: &Self) {
        for &(bucket, times) in &other.buckets {
            self.add_bucket(bucket, times);
        }
    }

    /// Takes out again all that another has counted.
    pub fn take_out(&mut self, other: &Self) {
        for &(bucket, times) in &other.buckets {
            if let Ok(at) = self.buckets.binary_search_by_key(&bucket, |&(bucket, _)| bucket) {
                let left = self.buckets[at].1.saturating_sub(times);
                self.count -= u64::from(self.buckets[at].1 - left);
                self.buckets[at].1 = left;
            }
        }
        self.buckets.retain(|&(_, times)| times > 0);
    }

    /// What it takes in memory beyond its own size, in bytes.
    pub fn weight(&self) -> usize {
        self.buckets.capacity() * size_of::<(u16, u32)>()
    }

    /// How many durations were counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// How many were in the bucket of `nanos` or above it.
    pub fn at_least(&self, nanos: u64) -> u64 {
        let from = bucket(nanos);
        let start = self.buckets.partition_point(|&(bucket, _)| bucket < from);
        self.buckets[start..].iter().map(|&(_, times)| u64::from(times)).sum()
    }

    /// The middle of the bucket that holds the duration of this rank, from 0 to 1.
    pub fn quantile(&self, share: f64) -> Option<u64> {
        let last = self.count.checked_sub(1)?;
        let rank = ((last as f64 * share).round() as u64).min(last);
        let mut before = 0;
        for &(bucket, times) in &self.buckets {
            before += u64::from(times);
            if before > rank {
                return Some(middle(bucket));
            }
        }
        None
    }

    /// The middle of the highest bucket that was hit.
    pub fn max(&self) -> Option<u64> {
        self.buckets.last().map(|&(bucket, _)| middle(bucket))
    }

    /// The sum of all that was counted, as exact as the buckets are.
    pub fn sum(&self) -> f64 {
        self.buckets.iter().map(|&(bucket, times)| middle(bucket) as f64 * f64::from(times)).sum()
    }
}

/// The bucket of a duration. Up to 127 ns each has its own.
fn bucket(nanos: u64) -> u16 {
    let octave = nanos.max(1).ilog2().saturating_sub(BITS);
    // 64 octaves of 64 buckets are far from the end of `u16`.
    ((u64::from(octave) << BITS) + (nanos >> octave)) as u16
}

/// A duration in the middle of a bucket.
fn middle(bucket: u16) -> u64 {
    let octave = (u32::from(bucket) >> BITS).saturating_sub(1);
    let low = (u64::from(bucket) - (u64::from(octave) << BITS)) << octave;
    low + ((1_u64 << octave) >> 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_off_by_one_percent_at_most() {
        for nanos in (0..20_000).chain((0..57).map(|shift| 0x5a_u64 << shift)) {
            let shown = middle(bucket(nanos));
            assert!(shown.abs_diff(nanos) * 100 <= nanos, "{nanos} is shown as {shown}");
        }
        assert!(bucket(u64::MAX) < u16::MAX);
    }

    #[test]
    fn buckets_stand_in_order_of_durations() {
        let buckets: Vec<u16> = (0..100_000).map(bucket).collect();
        assert!(buckets.is_sorted());
    }

    #[test]
    fn quantiles_and_tails_are_those_of_what_was_counted() {
        let mut half = Histogram::default();
        let mut histogram = Histogram::default();
        for ms in 1..=1000_u64 {
            if ms % 2 == 0 { &mut half } else { &mut histogram }.add(ms * 1_000_000);
        }
        histogram.merge(&half);
        assert_eq!(histogram.count(), 1000);
        let median = histogram.quantile(0.5).unwrap();
        assert!(median.abs_diff(500_000_000) < 6_000_000, "{median}");
        assert_eq!(histogram.at_least(0), 1000);
        assert!(histogram.at_least(900_000_000).abs_diff(101) < 10);
        assert_eq!(histogram.at_least(2_000_000_000), 0);
        assert_eq!(Histogram::default().quantile(0.5), None);
    }

    #[test]
    fn what_is_taken_out_is_as_if_it_had_not_been_counted() {
        let mut all = Histogram::default();
        let mut one = Histogram::default();
        [5, 70, 70, 9_000].into_iter().for_each(|nanos| all.add(nanos));
        let before = all.clone();
        for nanos in [70, 123_456] {
            one.add(nanos);
            all.add(nanos);
        }
        all.take_out(&one);
        assert_eq!(all, before);
    }

    #[test]
    fn the_nearest_bucket_that_was_hit_takes_what_finds_no_room() {
        let mut histogram = Histogram::default();
        [100, 1_000_000].into_iter().for_each(|nanos| histogram.add(nanos));
        [1, 130, 900_000, u64::MAX].into_iter().for_each(|nanos| histogram.add_near(nanos));
        assert_eq!(histogram.buckets.len(), 2);
        assert_eq!(histogram.at_least(500_000), 3);
        let mut empty = Histogram::default();
        empty.add_near(7);
        assert_eq!(empty.quantile(0.5), Some(7));
    }
}
