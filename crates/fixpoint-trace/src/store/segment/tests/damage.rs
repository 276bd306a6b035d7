//! Files that are not what was written: each call ends, with an error or with an answer.

use super::*;
use crate::{model::Level, query::Query};

/// Everything that a segment can be asked, as text, or that it could not be opened.
fn answers(folder: &Path, meta: &Meta, traces: &[Trace]) -> Result<Vec<String>, SegmentError> {
    let segment = Segment::open(folder, 7, meta.clone())?;
    let all: Vec<u32> = (0..meta.traces).collect();
    let mut answers = Vec::new();
    let mut add = |answer: Result<String, SegmentError>| answers.push(answer.unwrap_or_default());
    add(segment.read(&all, Columns::All).map(|it| format!("{it:?}")));
    add(segment.read(&all, Columns::Light).map(|it| format!("{it:?}")));
    add(segment.logs(|_| true, 9).map(|it| format!("{it:?}")));
    add(loose_lines(&segment).map(|it| format!("{it:?}")));
    for (ordinal, trace) in (0..).zip(traces) {
        add(segment.ordinal(id(trace)).map(|it| format!("{it:?}")));
        add(segment.summary(ordinal).map(|it| format!("{it:?}")));
        add(segment.find(&id(trace).to_string()).map(|it| format!("{it:?}")));
    }
    add(segment.find("customer-3").map(|it| format!("{it:?}")));
    add(segment.attributes(None).map(|it| format!("{it:?}")));
    let mut rollup = Rollup::default();
    let everything = RateQuery::default();
    let rates = segment.rates(&everything, &mut rollup);
    add(rates.map(|()| format!("{:?}", rollup.rates(&everything))));
    let queries = ["name = call", "customer = customer-3", "log ~ line", "error"];
    for query in queries.map(|query| query.parse::<Query>().unwrap()) {
        add(segment.candidates(&query).map(|it| format!("{it:?}")));
    }
    Ok(answers)
}

fn written() -> Written {
    let traces = (0..70u64).map(|n| {
        let mut trace = plain(4, n);
        let id = id(&trace);
        let attributes = [("customer".to_owned(), format!("customer-{n}").into())];
        trace.spans[0].attributes = attributes.into();
        trace.spans[0].end = Some(n + 9);
        trace.logs = vec![LogRecord {
            trace_id: Some(id),
            ..LogRecord::new(n, Level::Info, format!("line {n}"))
        }];
        trace
    });
    write(traces.collect(), vec![LogRecord::new(3, Level::Info, "alone")])
}

/// Damages a file in many ways and asks everything each time.
fn damage(end: &str, mut check: impl FnMut(Result<Vec<String>, SegmentError>, &[String])) {
    let Written { folder, segment, traces } = written();
    let meta = segment.meta().clone();
    let whole = answers(folder.path(), &meta, &traces).unwrap();
    assert!(whole.iter().all(|answer| !answer.is_empty()));
    let path = folder.path().join(format!("segment-00000007.{end}"));
    let good = fs::read(&path).unwrap();
    let mut random = fastrand::Rng::with_seed(7);
    for round in 0..120 {
        let mut bad = good.clone();
        match round % 3 {
            0 => bad.truncate(random.usize(..good.len())),
            1 => bad[random.usize(..good.len())] ^= 1 << random.u8(..8),
            // The end says where everything lies.
            _ => {
                let at = good.len() - 1 - random.usize(..good.len().min(2000));
                bad[at] = random.u8(..);
            }
        }
        fs::write(&path, &bad).unwrap();
        check(answers(folder.path(), &meta, &traces), &whole);
    }
}

#[test]
fn a_damaged_index_gives_errors_or_what_is_right() {
    let mut refused = 0;
    damage("index", |answers, whole| {
        let Ok(answers) = answers else {
            refused += 1;
            return;
        };
        for (answer, right) in answers.iter().zip(whole) {
            assert!(answer.is_empty() || answer == right, "{answer}");
        }
        refused += usize::from(answers.iter().any(String::is_empty));
    });
    assert!(refused > 60, "{refused}");
}

#[test]
fn damaged_rows_end_no_process_and_take_nothing_else_with_them() {
    for end in ["parquet", "logs.parquet"] {
        let mut refused = 0;
        damage(end, |answers, _| refused += usize::from(answers.is_err()));
        assert!(refused > 30, "{refused}");
    }
}

#[test]
fn a_segment_of_another_size_than_the_manifest_says_is_refused() {
    let Written { folder, segment, .. } = written();
    let mut meta = segment.meta().clone();
    meta.spans += 1;
    let refused = Segment::open(folder.path(), 7, meta).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "a file of the segment is damaged: it holds more or less than the manifest says"
    );
}
