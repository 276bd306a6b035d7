//! How often operations happen, fail and how long they take, minute by minute.
//!
//! Not here: which spans there are. The surprise: durations are counted in buckets that grow by
//! an eighth of a power of two, so a percentile is within 5 % of the true one, and histograms of
//! any spans can be added up.

use std::collections::BTreeMap;

use super::{RateBucket, RateQuery, Rates};
use crate::model::{Kind, Span, UnixNanos};

/// The finest that is kept, in nanoseconds.
pub(super) const MINUTE: u64 = 60_000_000_000;
/// Into how many parts a power of two is divided.
const PARTS: u32 = 8;

/// Counts of durations, in buckets of growing width.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Histogram {
    /// By number of the bucket; see [`Histogram::bucket`].
    counts: BTreeMap<u16, u64>,
}

impl Histogram {
    /// Counts one duration, in nanoseconds.
    pub fn add(&mut self, nanos: u64) {
        self.add_to(Self::bucket(nanos), 1);
    }

    /// Counts several in one bucket.
    pub(super) fn add_to(&mut self, bucket: u16, count: u64) {
        *self.counts.entry(bucket).or_default() += count;
    }

    /// Adds what another one counted.
    pub fn merge(&mut self, other: &Self) {
        for (&bucket, &count) in &other.counts {
            self.add_to(bucket, count);
        }
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.counts.values().sum()
    }

    /// The duration that the share (0 to 1) of all does not exceed, in nanoseconds: the middle of
    /// the bucket it lies in. None if nothing was counted.
    pub fn quantile(&self, share: f64) -> Option<u64> {
        let total = self.count();
        #[allow(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rank among counts"
        )]
        let rank = ((share.clamp(0.0, 1.0) * total as f64).ceil() as u64).max(1);
        let mut seen = 0;
        for (&bucket, &count) in &self.counts {
            seen += count;
            if seen >= rank {
                let (from, to) = Self::bounds(bucket);
                return Some(from + (to - from) / 2);
            }
        }
        None
    }

    /// The buckets that are not empty: from (included), to (not included), both in nanoseconds,
    /// and the count.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64, u64)> + '_ {
        self.counts.iter().map(|(&bucket, &count)| {
            let (from, to) = Self::bounds(bucket);
            (from, to, count)
        })
    }

    /// Takes back what was counted once in a bucket.
    fn take_from(&mut self, bucket: u16) {
        if let Some(count) = self.counts.get_mut(&bucket) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.counts.remove(&bucket);
            }
        }
    }

    /// The raw counts, by number of the bucket.
    pub(super) fn raw(&self) -> impl Iterator<Item = (u16, u64)> + '_ {
        self.counts.iter().map(|(&bucket, &count)| (bucket, count))
    }

    /// Up to [`PARTS`], each value has a bucket of its own; from then on, each power of two has
    /// that many.
    pub(super) fn bucket(nanos: u64) -> u16 {
        if nanos < u64::from(PARTS) {
            // Less than eight.
            return nanos as u16;
        }
        let power = nanos.ilog2();
        let part = (nanos >> (power - PARTS.ilog2())) as u32 - PARTS;
        // At most (63 - 3 + 1) * 8 + 7.
        ((power - PARTS.ilog2() + 1) * PARTS + part) as u16
    }

    fn bounds(bucket: u16) -> (u64, u64) {
        let bucket = u32::from(bucket);
        if bucket < PARTS {
            return (u64::from(bucket), u64::from(bucket) + 1);
        }
        let shift = bucket / PARTS - 1;
        let edge = |part: u32| u64::from(PARTS + part).checked_shl(shift).unwrap_or(u64::MAX);
        let part = bucket % PARTS;
        (edge(part), if shift == 60 && part == PARTS - 1 { u64::MAX } else { edge(part + 1) })
    }
}

/// Rates of all operations by minute, as they are gathered.
#[derive(Debug, Clone, Default)]
pub(super) struct Rollup {
    /// By service, then by name.
    operations: BTreeMap<String, BTreeMap<String, Operation>>,
}

/// The kind of an operation's spans, and what happened minute by minute.
type Operation = (Kind, BTreeMap<UnixNanos, RateBucket>);

fn number(from: &mut &[u8]) -> Option<u64> {
    prost::encoding::decode_varint(from).ok()
}

fn text<'a>(from: &mut &'a [u8]) -> Option<&'a str> {
    let len = usize::try_from(number(from)?).ok()?;
    let (text, rest) = from.split_at_checked(len)?;
    *from = rest;
    std::str::from_utf8(text).ok()
}

impl Rollup {
    /// Counts a span; one that is open is not counted yet.
    pub(super) fn add(&mut self, span: &Span) {
        self.count(span.service(), &span.name, span.kind, span.start, span.end, span.failed());
    }

    /// The same, of a span that nobody owns.
    pub(super) fn count(
        &mut self,
        service: &str,
        name: &str,
        kind: Kind,
        start: UnixNanos,
        end: Option<UnixNanos>,
        failed: bool,
    ) {
        let Some(end) = end else { return };
        self.change(service, name, kind, start - start % MINUTE, |bucket| {
            bucket.spans += 1;
            bucket.errors += u64::from(failed);
            bucket.durations.add(end.saturating_sub(start));
        });
    }

    /// Takes back what was counted of a span.
    pub(super) fn remove(&mut self, span: &Span) {
        let Some(end) = span.end else { return };
        let Some(names) = self.operations.get_mut(span.service()) else { return };
        let Some((_, minutes)) = names.get_mut(&span.name) else { return };
        let time = span.start - span.start % MINUTE;
        let Some(bucket) = minutes.get_mut(&time) else { return };
        bucket.spans = bucket.spans.saturating_sub(1);
        bucket.errors = bucket.errors.saturating_sub(u64::from(span.failed()));
        bucket.durations.take_from(Histogram::bucket(end.saturating_sub(span.start)));
        if bucket.spans > 0 {
            return;
        }
        minutes.remove(&time);
        if minutes.is_empty() {
            names.remove(&span.name);
        }
        if names.is_empty() {
            self.operations.remove(span.service());
        }
    }

    /// Changes a bucket. Texts are copied for a new operation only.
    fn change(
        &mut self,
        service: &str,
        name: &str,
        kind: Kind,
        time: UnixNanos,
        change: impl FnOnce(&mut RateBucket),
    ) {
        let names = match self.operations.get_mut(service) {
            Some(names) => names,
            None => self.operations.entry(service.to_owned()).or_default(),
        };
        let (_, minutes) = match names.get_mut(name) {
            Some(operation) => operation,
            None => names.entry(name.to_owned()).or_insert((kind, BTreeMap::new())),
        };
        change(minutes.entry(time).or_insert_with(|| RateBucket { time, ..RateBucket::default() }));
    }

    /// As a segment keeps it: for each operation its service, name and kind, then for each minute
    /// the counts; numbers as varints, texts after their length.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let out = &mut bytes;
        for (service, names) in &self.operations {
            for (name, (kind, minutes)) in names {
                prost::encoding::encode_varint(service.len() as u64, out);
                out.extend_from_slice(service.as_bytes());
                prost::encoding::encode_varint(name.len() as u64, out);
                out.extend_from_slice(name.as_bytes());
                out.push(*kind as u8);
                prost::encoding::encode_varint(minutes.len() as u64, out);
                for bucket in minutes.values() {
                    let counts: Vec<_> = bucket.durations.raw().collect();
                    let numbers = [bucket.time / MINUTE, bucket.errors, counts.len() as u64];
                    let counts =
                        counts.iter().flat_map(|(bucket, count)| [(*bucket).into(), *count]);
                    for number in numbers.into_iter().chain(counts) {
                        prost::encoding::encode_varint(number, out);
                    }
                }
            }
        }
        bytes
    }

    /// Adds what [`Rollup::to_bytes`] made, as far as it is asked for; none if it is damaged.
    pub(super) fn add_bytes(&mut self, mut bytes: &[u8], query: &RateQuery) -> Option<()> {
        let from = &mut bytes;
        while !from.is_empty() {
            let (service, name) = (text(from)?, text(from)?);
            let (kind, rest) = from.split_first()?;
            *from = rest;
            let kind = [Kind::Internal, Kind::Server, Kind::Client, Kind::Producer, Kind::Consumer]
                .into_iter()
                .find(|known| *known as u8 == *kind)?;
            let wanted = query.service.as_ref().is_none_or(|only| only == service)
                && query.name.as_ref().is_none_or(|only| only == name);
            for _ in 0..number(from)? {
                let (time, errors) = (number(from)?.checked_mul(MINUTE)?, number(from)?);
                let inside = query.since.is_none_or(|since| time >= since - since % MINUTE)
                    && query.until.is_none_or(|until| time < until);
                let mut add = RateBucket::default();
                for _ in 0..number(from)? {
                    let (bucket, count) = (u16::try_from(number(from)?).ok()?, number(from)?);
                    // Most of a segment is of other operations and other hours.
                    if wanted && inside {
                        add.durations.add_to(bucket, count);
                        add.spans = add.spans.checked_add(count)?;
                    }
                }
                if wanted && inside {
                    self.change(service, name, kind, time, |into| {
                        into.spans += add.spans;
                        into.errors += errors;
                        into.durations.merge(&add.durations);
                    });
                }
            }
        }
        Some(())
    }

    /// What is asked for, in buckets of the width asked for.
    pub(super) fn rates(&self, query: &RateQuery) -> Vec<Rates> {
        let wanted = |only: &Option<String>, it: &str| only.as_ref().is_none_or(|only| only == it);
        let step = query.step.div_ceil(MINUTE) * MINUTE;
        let mut found = Vec::new();
        let all = self.operations.iter().flat_map(|(service, names)| {
            names.iter().map(move |(name, (kind, minutes))| (service, name, kind, minutes))
        });
        for (service, name, kind, minutes) in all {
            if !wanted(&query.service, service) || !wanted(&query.name, name) {
                continue;
            }
            let mut buckets: BTreeMap<UnixNanos, RateBucket> = BTreeMap::new();
            let since = query.since.map_or(0, |since| since - since % MINUTE);
            for bucket in minutes.range(since..query.until.unwrap_or(UnixNanos::MAX)).map(|it| it.1)
            {
                let time = if step == 0 { since } else { bucket.time - bucket.time % step };
                let into = buckets
                    .entry(time)
                    .or_insert_with(|| RateBucket { time, ..RateBucket::default() });
                into.spans += bucket.spans;
                into.errors += bucket.errors;
                into.durations.merge(&bucket.durations);
            }
            if !buckets.is_empty() {
                found.push(Rates {
                    service: service.clone(),
                    name: name.clone(),
                    kind: *kind,
                    buckets: buckets.into_values().collect(),
                });
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duration_lies_in_its_bucket_and_buckets_are_narrow() {
        let mut nanos: Vec<u64> =
            (0..64).flat_map(|power| [1 << power, (1 << power) - 1]).collect();
        nanos.extend((0..1000).map(|_| fastrand::u64(..)));
        nanos.extend([0, 7, 8, 9, u64::MAX]);
        for nanos in nanos {
            let (from, to) = Histogram::bounds(Histogram::bucket(nanos));
            assert!(from <= nanos && (nanos < to || to == u64::MAX), "{nanos}: {from}..{to}");
            assert!(nanos < 8 || (to - from) as f64 <= from as f64 / 8.0, "{nanos}: {from}..{to}");
        }
    }

    #[test]
    fn a_percentile_is_within_a_sixteenth() {
        let mut histogram = Histogram::default();
        (1..=1000).for_each(|n| histogram.add(n * 1_000_000));
        for (share, expected) in [(0.5, 500e6), (0.99, 990e6), (1.0, 1000e6), (0.0, 1e6)] {
            let found = histogram.quantile(share).unwrap() as f64;
            assert!((found / expected - 1.0).abs() < 0.0625, "{share}: {found} for {expected}");
        }
        assert_eq!(Histogram::default().quantile(0.5), None);
    }
}
