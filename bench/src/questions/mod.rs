//! Questions that an SRE asks of a trace store, each asked many times and timed.
//!
//! Not here: who answers (`answerers.rs`). The surprise: questions are made from traces that the
//! store holds, so that they have answers; the traces whose ids are asked for are others, since
//! those would be in some cache by then.

mod answerers;

use std::{
    collections::BTreeMap,
    fmt,
    io::{self, Write},
    path::Path,
};

use fixpoint_trace::model::{Span, SpanId, Trace, TraceId, UnixNanos};
use tokio::time::Instant;

pub use self::answerers::{Answer, Answerer, BoxError, InProcess, OverHttp};
use crate::{
    errors::chain,
    measure::{Summary, Times},
    process::drop_cache,
};

/// How many summaries a page of a search has.
pub const PAGE: usize = 100;
/// An hour, in nanoseconds.
const HOUR: u64 = 3_600_000_000_000;
/// Attributes whose value occurs once, and those whose value many traces share.
const UNIQUE: [&str; 2] = ["aws.request_id", "request.id"];
const SHARED: [&str; 2] = ["fixpoint.resource", "tenant.id"];

/// A question.
#[derive(Debug, Clone, PartialEq)]
pub enum Question {
    /// All of a trace.
    Trace(TraceId),
    /// The newest traces that match.
    Search {
        /// In the query language.
        query: String,
        /// Not before, and before when; none: whenever.
        within: Option<(UnixNanos, UnixNanos)>,
    },
    /// Rate, errors and durations of a service's operations.
    Rates {
        /// The service.
        service: String,
        /// Not before, and before when.
        within: (UnixNanos, UnixNanos),
    },
}

/// Questions of one kind.
#[derive(Debug, Clone)]
pub struct Asked {
    /// What they ask, in words.
    pub what: &'static str,
    /// Each is asked once.
    pub questions: Vec<Question>,
}

/// How long the answers took.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Row {
    /// What was asked.
    pub question: &'static str,
    /// Whether the files were out of the kernel's cache.
    pub cold: bool,
    /// How many spans, traces or operations an answer held on average.
    pub found: f64,
    /// How long the answers took.
    pub ms: Summary,
    /// Why there was none, if there was one to which there was none.
    pub error: Option<String>,
}

/// Makes questions: of the traces in `known` by id, of the others by what is read from them.
///
/// # Errors
/// If a trace cannot be read.
pub async fn make(
    answerer: &dyn Answerer,
    known: &[TraceId],
    samples: &[TraceId],
) -> Result<Vec<Asked>, BoxError> {
    let mut asked = [
        "trace by id",
        "trace by an id that does not exist",
        "service, operation, duration, an hour: newest 100",
        "an attribute's value that one trace has",
        "an attribute's value that many traces have: newest 100",
        "call without the call that should follow, an hour: newest 100",
        "rate, errors, durations of a service's operations, an hour",
    ]
    .map(|what| Asked { what, questions: Vec::new() });
    asked[0].questions = known.iter().copied().map(Question::Trace).collect();
    asked[1].questions = known.iter().map(|_| Question::Trace(TraceId::random())).collect();
    for id in samples {
        let trace = answerer.ask(&Question::Trace(*id)).await?.trace()?;
        let Some((span, start)) = last(&trace).zip(trace.spans.iter().map(|span| span.start).min())
        else {
            return Err(format!("trace {id} is not there, or has no span with a parent").into());
        };
        let hour = (start.saturating_sub(HOUR / 2), start + HOUR / 2);
        let search = |query, within| Question::Search { query, within };
        let (service, name) = (quoted(span.service()), quoted(&span.name));
        let half = span.duration().unwrap_or_default() / 2;
        asked[2].questions.push(search(
            format!("service = {service} and name = {name} and duration > {half}ns"),
            Some(hour),
        ));
        for (place, names) in [(3, UNIQUE), (4, SHARED)] {
            asked[place].questions.extend(value(span, &names).map(|it| search(it, None)));
        }
        let (rare, common) = names(&trace);
        let missing = format!("missing({}) after {}", quoted(rare), quoted(common));
        asked[5].questions.push(search(missing, Some(hour)));
        let service = span.service().to_owned();
        asked[6].questions.push(Question::Rates { service, within: hour });
    }
    Ok(asked.into())
}

/// The last span with a parent and attributes: a call.
fn last(trace: &Trace) -> Option<&Span> {
    let parent = |span: &&Span| span.parent.is_some_and(|id: SpanId| id != span.span_id);
    trace.spans.iter().filter(parent).rfind(|span| !span.attributes.is_empty())
}

/// The rarest and the most common name in a trace.
fn names(trace: &Trace) -> (&str, &str) {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    trace.spans.iter().for_each(|span| *counts.entry(&*span.name).or_default() += 1);
    let rare = counts.iter().min_by_key(|(_, count)| **count).map_or("", |it| it.0);
    (rare, counts.iter().max_by_key(|(_, count)| **count).map_or("", |it| it.0))
}

fn value(span: &Span, names: &[&str]) -> Option<String> {
    let found = names.iter().find_map(|name| Some((name, span.attributes.get(*name)?)));
    found.map(|(name, value)| format!("{name} = {}", quoted(&value.to_text())))
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Asks them all, one after another. If there is a folder, its files are put out of the kernel's
/// cache before each question.
///
/// # Errors
/// If the folder cannot be read. A question that is not answered is told in its row.
pub async fn ask(
    answerer: &dyn Answerer,
    asked: &[Asked],
    cold: Option<&Path>,
) -> io::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for kind in asked {
        let mut times = Times::default();
        let (mut found, mut error) = (0, None);
        for question in &kind.questions {
            if let Some(folder) = cold {
                drop_cache(folder)?;
            }
            let start = Instant::now();
            match answerer.ask(question).await {
                Ok(answer) => {
                    times.add(start.elapsed());
                    found += answer.found();
                }
                Err(why) => {
                    error.get_or_insert_with(|| chain(&*why));
                }
            }
        }
        let ms = times.summary();
        #[allow(clippy::cast_precision_loss, reason = "an average")]
        let found = found as f64 / ms.count.max(1) as f64;
        rows.push(Row { question: kind.what, cold: cold.is_some(), found, ms, error });
    }
    Ok(rows)
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { question, cold, found, ms, error } = self;
        let cold = if *cold { "cold" } else { "warm" };
        if let Some(error) = error {
            return write!(f, "{question:<62} {cold}  no answer: {error}");
        }
        write!(
            f,
            "{question:<62} {cold} {:>9.2} {:>9.2} {:>9.2} {found:>9.1}",
            ms.p50, ms.p99, ms.max
        )
    }
}

/// Prints rows as a table.
///
/// # Errors
/// If they cannot be written.
pub fn table(rows: &[Row], mut out: impl Write) -> io::Result<()> {
    let heading = ["p50 ms", "p99 ms", "max ms", "found"].map(|it| format!("{it:>9}")).join(" ");
    writeln!(out, "{:<62} {:4} {heading}", "question", "")?;
    rows.iter().try_for_each(|row| writeln!(out, "{row}"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use fixpoint_trace::store::{Signal, TraceStore, memory::MemoryStore};

    use super::*;
    use crate::{
        data::DataSet,
        encode::Encoding,
        source::{Clock, Options, Source},
    };

    async fn store(data: DataSet) -> (Arc<dyn TraceStore>, Vec<TraceId>) {
        let clock = Clock::Steady { start: 1_790_000_000_000_000_000, per_second: 1000 };
        let encoding = Encoding::Otlp;
        let options = Options { data, encoding, batch: 50, round: 500, seed: 9 };
        let source = Source::new(options, clock);
        let store: Arc<dyn TraceStore> = Arc::new(MemoryStore::default());
        let mut ids = Vec::new();
        for number in 0..source.requests_in_round() {
            store.append_otlp(Signal::Traces, source.request(number)).await.unwrap();
            ids.extend(source.traces(number).filter_map(|(id, _)| TraceId::from_bytes(id)));
        }
        (store, ids)
    }

    #[tokio::test]
    async fn every_question_has_an_answer_in_every_data_set() {
        for data in [DataSet::Wide, DataSet::Provisioning] {
            let (store, ids) = store(data).await;
            let answerer = InProcess::new(store);
            let asked = make(&answerer, &ids[..2], &ids[2..4]).await.unwrap();
            let rows = ask(&answerer, &asked, None).await.unwrap();
            assert_eq!(rows.len(), 7);
            for row in rows {
                assert_eq!((row.error, row.ms.count), (None, 2), "{}", row.question);
                let none = row.question.contains("does not exist");
                // A call may be missing in none of so few traces.
                assert!(
                    row.question.contains("without") || (row.found == 0.0) == none,
                    "{data:?} {}: {}",
                    row.question,
                    row.found
                );
            }
        }
    }

    #[tokio::test]
    async fn a_search_finds_the_trace_that_it_was_made_from() {
        let (store, ids) = store(DataSet::Provisioning).await;
        let answerer = InProcess::new(store);
        let asked = make(&answerer, &[], &ids[..1]).await.unwrap();
        for place in [2, 3, 4] {
            let answer = answerer.ask(&asked[place].questions[0]).await.unwrap();
            let Answer::Page(page) = answer else { panic!("no page: {answer:?}") };
            assert!(page.items.iter().any(|item| item.trace_id == ids[0]), "{}", asked[place].what);
        }
    }

    #[tokio::test]
    async fn a_trace_that_is_not_there_makes_no_questions() {
        let answerer = InProcess::new(Arc::new(MemoryStore::default()));
        let error = make(&answerer, &[], &[TraceId::random()]).await.unwrap_err();
        assert!(error.to_string().contains("is not there"), "{error}");
    }
}
