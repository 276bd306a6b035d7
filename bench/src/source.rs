//! The endless row of requests that is sent: a round of them, encoded once, again and again.
//!
//! Request `n` is the same for the same seed, whoever asks. The surprise: spans are put into
//! requests by service, as exporters do, so a trace of many services is scattered over as many
//! requests, and a trace is whole only when its round is.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;

use crate::{
    data::{DataSet, Trace},
    encode::{Encoding, Placed},
    template::{Round, Template},
};

/// At which times spans say they happened.
#[derive(Debug)]
pub enum Clock {
    /// Just before they are sent: when each round began.
    Now(Mutex<Vec<u64>>),
    /// As if so many spans a second came in since this time (nanoseconds since 1970).
    Steady {
        /// When the first round starts.
        start: u64,
        /// How many spans a second there are.
        per_second: u64,
    },
}

impl Clock {
    /// Just before they are sent.
    pub fn now() -> Self {
        Self::Now(Mutex::default())
    }
}

/// What to make requests of.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Which spans.
    pub data: DataSet,
    /// In which format.
    pub encoding: Encoding,
    /// At most this many spans in a request.
    pub batch: usize,
    /// At least this many spans in a round.
    pub round: usize,
    /// Where ids come from.
    pub seed: u64,
}

/// Requests without end.
#[derive(Debug)]
pub struct Source {
    batches: Vec<Batch>,
    traces: Vec<[u64; 2]>,
    spans: u64,
    longest: u64,
    seed: u64,
    clock: Clock,
}

#[derive(Debug)]
struct Batch {
    template: Template,
    /// How many spans of the round stand before it.
    before: u64,
    /// The traces it has spans of, and how many.
    traces: Vec<([u64; 2], u32)>,
}

impl Source {
    /// Encodes a round.
    pub fn new(options: Options, clock: Clock) -> Self {
        let traces = options.data.traces(options.round, options.seed);
        let mut source = Self {
            batches: Vec::new(),
            traces: traces.iter().map(|trace| trace.id).collect(),
            spans: 0,
            longest: traces.iter().map(length).max().unwrap_or_default(),
            seed: options.seed,
            clock,
        };
        let mut waiting: BTreeMap<&str, Vec<Placed<'_>>> = BTreeMap::new();
        for (at, trace) in traces.iter().enumerate() {
            // Below 2^32, since `at` is less than the number of traces.
            let place = ((at as u64) << 32) / traces.len() as u64;
            for span in &trace.spans {
                let batch = waiting.entry(span.service).or_default();
                batch.push(Placed { trace, place: place as u32, span });
                if batch.len() >= options.batch.max(1) {
                    source.add(options.encoding, span.service, batch);
                    batch.clear();
                }
            }
        }
        for (service, batch) in waiting.iter().filter(|(_, batch)| !batch.is_empty()) {
            source.add(options.encoding, service, batch);
        }
        source
    }

    fn add(&mut self, encoding: Encoding, service: &str, spans: &[Placed<'_>]) {
        let mut traces: Vec<([u64; 2], u32)> = Vec::new();
        for placed in spans {
            match traces.last_mut() {
                Some((id, count)) if *id == placed.trace.id => *count += 1,
                _ => traces.push((placed.trace.id, 1)),
            }
        }
        let template = encoding.request(service, spans);
        self.batches.push(Batch { template, before: self.spans, traces });
        self.spans += spans.len() as u64;
    }

    fn place(&self, number: u64) -> (u64, &Batch) {
        let round = self.batches.len() as u64;
        // Less than the number of batches.
        (number / round, &self.batches[(number % round) as usize])
    }

    fn round(&self, number: u64) -> Round {
        let key = Round::key(self.seed, number);
        match &self.clock {
            Clock::Steady { start, per_second } => {
                let since = |spans: u64| {
                    let nanos = u128::from(spans) * 1_000_000_000 / u128::from(*per_second);
                    u64::try_from(nanos).unwrap_or(u64::MAX)
                };
                let begins = since(number * self.spans);
                let length = since((number + 1) * self.spans) - begins;
                Round { key, start: start + begins, length }
            }
            Clock::Now(starts) => {
                const LENGTH: u64 = 1_000_000_000;
                let mut starts = starts.lock().unwrap_or_else(PoisonError::into_inner);
                while starts.len() as u64 <= number {
                    starts.push(now().saturating_sub(self.longest + LENGTH));
                }
                Round { key, start: starts[number as usize], length: LENGTH }
            }
        }
    }

    /// The bytes of a request.
    pub fn request(&self, number: u64) -> Bytes {
        let (round, batch) = self.place(number);
        batch.template.render(&self.round(round)).into()
    }

    /// The traces of a request, and how many of its spans are theirs.
    pub fn traces(&self, number: u64) -> impl Iterator<Item = ([u8; 16], u32)> {
        let (round, batch) = self.place(number);
        let round = self.round(round);
        batch.traces.iter().map(move |(id, count)| (round.trace_id(*id), *count))
    }

    /// How many spans all requests before this one have.
    pub fn spans_before(&self, number: u64) -> u64 {
        let (round, batch) = self.place(number);
        round * self.spans + batch.before
    }

    /// How many requests there are in a round.
    pub fn requests_in_round(&self) -> u64 {
        self.batches.len() as u64
    }

    /// How many spans there are in a round.
    pub fn spans_in_round(&self) -> u64 {
        self.spans
    }

    /// Any trace of one of the first rounds.
    pub fn any_trace(&self, rounds: u64, rng: &mut fastrand::Rng) -> [u8; 16] {
        let round = self.round(rng.u64(..rounds.max(1)));
        round.trace_id(self.traces[rng.usize(..self.traces.len())])
    }
}

fn length(trace: &Trace) -> u64 {
    trace.spans.iter().map(|span| span.end).max().unwrap_or_default()
}

/// Nanoseconds since 1970.
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use fixpoint_trace::{otlp, store::Signal};

    use super::*;

    fn source(data: DataSet, clock: Clock) -> Source {
        let encoding = Encoding::Otlp;
        Source::new(Options { data, encoding, batch: 100, round: 5_000, seed: 9 }, clock)
    }

    fn steady() -> Clock {
        Clock::Steady { start: 1_790_000_000_000_000_000, per_second: 1000 }
    }

    #[test]
    fn traces_are_whole_after_each_round_and_counted_right_in_each_request() {
        let source = source(DataSet::Wide, steady());
        let mut told: BTreeMap<[u8; 16], u32> = BTreeMap::new();
        let mut sent: BTreeMap<[u8; 16], BTreeSet<_>> = BTreeMap::new();
        let mut parents = BTreeSet::new();
        for number in 0..3 * source.requests_in_round() {
            assert_eq!(
                source.spans_before(number),
                sent.values().map(|spans| spans.len() as u64).sum::<u64>()
            );
            source.traces(number).for_each(|(id, count)| *told.entry(id).or_default() += count);
            let decoded = otlp::decode(Signal::Traces, &source.request(number)).unwrap();
            assert_eq!(decoded.accepted.rejected, 0);
            for record in decoded.records {
                let fixpoint_trace::model::Record::Span(span) = record else { panic!("a log") };
                parents.extend(span.parent.map(|id| (span.trace_id.to_bytes(), id)));
                assert!(sent.entry(span.trace_id.to_bytes()).or_default().insert(span.span_id));
            }
        }
        assert_eq!(sent.len(), 3 * source.traces.len());
        assert!(sent.iter().all(|(id, spans)| told[id] as usize == spans.len()));
        assert!(sent.values().all(|spans| (20..=100).contains(&spans.len())));
        assert!(parents.iter().all(|(trace, parent)| sent[trace].contains(parent)));
    }

    #[test]
    fn a_trace_of_many_services_comes_in_many_requests() {
        let source = source(DataSet::Wide, steady());
        let mut requests: BTreeMap<[u8; 16], u32> = BTreeMap::new();
        for number in 0..source.requests_in_round() {
            source.traces(number).for_each(|(id, _)| *requests.entry(id).or_default() += 1);
        }
        let mean = requests.values().sum::<u32>() as usize / requests.len();
        assert!(mean > 10, "{mean}");
    }

    #[test]
    fn steady_times_go_on_from_round_to_round() {
        let source = source(DataSet::Provisioning, steady());
        let (first, second) = (source.round(0), source.round(1));
        assert_eq!(first.start + first.length, second.start);
        assert_eq!(first.length, source.spans_in_round() * 1_000_000);
    }

    #[test]
    fn any_trace_is_one_that_was_sent() {
        let source = source(DataSet::Provisioning, steady());
        let requests = 0..2 * source.requests_in_round();
        let sent: BTreeSet<_> =
            requests.flat_map(|number| source.traces(number)).map(|(id, _)| id).collect();
        let mut rng = fastrand::Rng::with_seed(1);
        assert!((0..100).all(|_| sent.contains(&source.any_trace(2, &mut rng))));
    }
}
