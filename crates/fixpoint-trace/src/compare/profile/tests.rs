use super::*;
use crate::{
    compare::testing::span,
    model::{Kind, Level, SpanId, Status},
};

/// A trace in which `buy` calls `stock` so many times, and then `pay`.
fn trace(number: u8, stocks: u8) -> Trace {
    let mut spans = vec![span(number, 1, 0, 0..1000, "buy")];
    for n in 0..stocks {
        let start = 10 + 10 * u64::from(n);
        let mut stock = span(number, 10 + n, 1, start..start + 5, "stock");
        stock.kind = Kind::Client;
        stock.attributes.insert("item".into(), "tea".into());
        stock.attributes.insert("id".into(), format!("{number}x{n}").into());
        stock.attributes.insert("answer".into(), r#"{"left":[{"cups":3}]}"#.into());
        spans.push(stock);
    }
    spans.push(span(number, 99, 1, 900..990, "pay"));
    let mut line = LogRecord::new(5, Level::Info, "buying tea");
    line.span_id = Some(spans[0].span_id);
    let mut later = LogRecord::new(7, Level::Warn, "only 3 left");
    later.span_id = line.span_id;
    Trace { spans, logs: vec![line, later], partial: None }
}

fn profile(traces: impl IntoIterator<Item = Trace>) -> Profile {
    let mut profile = Profile::default();
    for trace in traces {
        profile.add(&trace);
    }
    profile
}

fn find<'a>(profile: &'a Profile, names: &[&str]) -> &'a Path {
    let mut at = ABOVE_ALL;
    for name in names {
        let called = |&&child: &&PathId| {
            let label = profile.path(child).label;
            label.is_some_and(|label| profile.names().text(label.name) == *name)
        };
        at = *profile.path(at).children.iter().find(called).unwrap();
    }
    profile.path(at)
}

/// All that is known, with texts for numbers, so that profiles can be compared.
fn told(profile: &Profile) -> Vec<String> {
    let name = |path: u32| match path {
        EDGE => "edge".to_owned(),
        path => profile
            .path(path)
            .label
            .map_or_else(String::new, |label| profile.names().text(label.name).to_owned()),
    };
    let line = |line: u32| match line {
        EDGE => "edge".to_owned(),
        line => profile.names().text_of(line).to_owned(),
    };
    let mut told: Vec<String> = Vec::new();
    for path in profile.paths().iter().filter(|path| path.spans > 0) {
        let label = path.label.map(|label| profile.names().text(label.name));
        let counts = (path.spans, path.traces, path.ended, path.failed, path.origins, path.open);
        told.push(format!("{label:?} {counts:?} {:?} {:?}", path.per_caller, path.own));
        let calls =
            path.calls.iter().map(|(&(a, b), n)| format!("{label:?} {} {} {n}", name(a), name(b)));
        told.extend(calls);
        let beside = path.beside.iter().map(|(&(a, b), n)| {
            let mut pair = [name(a), name(b)];
            pair.sort();
            format!("{label:?} {pair:?} {n}")
        });
        told.extend(beside);
        let lines =
            path.lines.iter().map(|(&(a, b), n)| format!("{label:?} {} {} {n}", line(a), line(b)));
        told.extend(lines);
        for (&key, values) in &path.values {
            told.push(format!("{label:?} {} {values:?}", profile.names().text(key)));
        }
    }
    told.sort();
    told
}

#[test]
fn calls_are_counted_per_caller_and_in_order() {
    let profile = profile([trace(1, 2), trace(2, 3), trace(3, 2)]);
    assert_eq!(profile.traces(), 3);
    let buy = find(&profile, &["buy"]);
    let stock = find(&profile, &["buy", "stock"]);
    assert_eq!((stock.spans, stock.traces), (7, 3));
    assert_eq!(stock.per_caller.iter().collect::<Vec<_>>(), [(&2, 2), (&3, 1)]);
    assert_eq!(stock.callers_with_at_least(3, buy.ended), 1);
    assert_eq!(buy.calls.iter().map(|(_, n)| n).sum::<u64>(), 3 + 4 + 3 + 3);
    assert_eq!(find(&profile, &["buy", "pay"]).own.quantile(0.5), Some(90));
}

#[test]
fn usual_values_are_kept_and_ids_given_up() {
    let profile = profile((1..=60).map(|n| trace(n, 1)));
    let stock = find(&profile, &["buy", "stock"]);
    let values = |key: &str| &stock.values[&profile.names().known(key).unwrap()];
    assert_eq!(values("item").usual(), Some((&"tea".to_owned(), 60)));
    assert!(values("id").given_up());
    assert_eq!(values("answer left").usual(), Some((&"1 item".to_owned(), 60)));
    assert_eq!(values("answer left[].cups").usual(), Some((&"3".to_owned(), 60)));
}

#[test]
fn log_lines_follow_each_other_in_their_span() {
    let profile = profile([trace(1, 1)]);
    let buy = find(&profile, &["buy"]);
    let text = |line: u32| profile.names().text_of(line);
    let pairs: Vec<_> = buy.lines.iter().map(|(&(a, b), _)| (text(a), text(b))).collect();
    for pair in
        [("", "INFO buying tea"), ("INFO buying tea", "WARN only * left"), ("WARN only * left", "")]
    {
        assert!(pairs.contains(&pair), "{pairs:?}");
    }
}

#[test]
fn two_profiles_put_together_are_that_of_all_their_traces() {
    let mut failed = trace(7, 1);
    failed.spans[1].status = Status::Error("no tea".into());
    failed.spans[2].end = None;
    let traces = [trace(1, 2), failed, trace(3, 0), trace(4, 12)];
    let whole = profile(traces.clone());
    for cut in 0..=traces.len() {
        let mut first = profile(traces[..cut].to_vec());
        first.merge(&profile(traces[cut..].to_vec()));
        assert_eq!(told(&first), told(&whole), "cut at {cut}");
        assert_eq!((first.traces(), first.spans()), (whole.traces(), whole.spans()));
    }
}

#[test]
fn what_is_taken_out_of_a_profile_is_as_if_it_had_never_been_there() {
    let mut odd = trace(7, 1);
    odd.spans[1].status = Status::Error("no tea".into());
    odd.spans[2].name = "pay later".into();
    odd.spans[2].end = None;
    let traces = [trace(1, 2), odd, trace(3, 0), trace(4, 12)];
    for (at, one) in traces.iter().enumerate() {
        let others = traces.iter().enumerate().filter(|&(other, _)| other != at);
        let others = profile(others.map(|(_, trace)| trace.clone()));
        let mut without = profile(traces.clone());
        without.take_out(&profile([one.clone()]));
        assert_eq!(told(&without), told(&others), "without {at}");
        assert_eq!((without.traces(), without.spans()), (others.traces(), others.spans()));
        assert_eq!(find(&without, &["buy"]).children.len(), find(&others, &["buy"]).children.len());
    }
}

#[test]
fn what_was_never_in_a_profile_can_be_taken_out_to_no_harm() {
    let mut without = profile([trace(1, 2)]);
    without.take_out(&profile([trace(2, 30), trace(3, 1)]));
    assert_eq!((without.traces(), without.spans()), (0, 0));
}

#[test]
fn what_is_still_open_cannot_have_missed_a_call() {
    let mut open = trace(1, 0);
    open.spans[0].end = None;
    open.spans.pop();
    let profile = profile([open]);
    let buy = find(&profile, &["buy"]);
    assert_eq!((buy.spans, buy.ended, buy.open), (1, 0, 1));
    assert_eq!(buy.calls.total(), 0);
}

#[test]
fn a_flood_of_names_is_bounded() {
    let mut profile = Profile::default();
    for round in 0..2 {
        let name = |n: u32| format!("{}{round}", char::from_u32(0x4e00 + n % 20_000).unwrap());
        let spans = (1..=40_000_u32)
            .map(|n| {
                let mut span = span(1, 1, 0, 0..1, &format!("{}{}", name(n), n > 20_000));
                span.span_id = SpanId::from_bytes(u64::from(n).to_be_bytes()).unwrap();
                span
            })
            .collect();
        profile.add(&Trace { spans, ..Trace::default() });
    }
    assert!(profile.paths().len() <= MOST_PATHS);
    assert!(profile.left_out() > 0);
    assert_eq!(profile.spans() + profile.left_out(), 80_000);
}

/// As many traces as there are numbers, with everything in them that could be different each time.
fn flood(numbers: std::ops::Range<u64>) -> Profile {
    let mut profile = Profile::default();
    let text = |number: u64| -> String {
        // Letters only: digits would be taken for ids.
        let letter = |at: u32| char::from(b'a' + ((number >> (4 * at)) % 16) as u8);
        (0..8).map(letter).collect()
    };
    for number in numbers {
        let mut root = span(1, 1, 0, 0..1_000_000_000, "root");
        let mut call = span(1, 2, 1, number..number * 7_919, &text(number));
        for (at, span) in [&mut root, &mut call].into_iter().enumerate() {
            for key in 0..20 {
                let long = text(number * 20 + key).repeat(100);
                span.attributes.insert(format!("key {at} {key}"), long.into());
            }
            span.attributes.insert(text(number), text(number).into());
            let json = format!(r#"{{"{0}":["{0}"],"same":{{"{0}":true}}}}"#, text(number));
            span.attributes.insert("answer".into(), json.into());
        }
        let mut line = LogRecord::new(5, Level::Info, &*text(number));
        line.span_id = Some(root.span_id);
        profile.add(&Trace { spans: vec![root, call], logs: vec![line], partial: None });
    }
    profile
}

#[test]
fn however_much_varies_a_profile_does_not_grow_past_its_bound() {
    let mut profile = flood(0..1_000);
    assert!(profile.bytes() < Profile::MOST_BYTES);
    assert_eq!(profile.left_out(), 0, "it is not full yet");
    let other = flood(1_000..6_000);
    profile.merge(&other);
    profile.merge(&flood(6_000..8_000));
    // One more path, or one more attribute, may be taken up when there is hardly any room.
    let bound = Profile::MOST_BYTES + Profile::MOST_BYTES / 100;
    assert!(profile.bytes() <= bound, "{} bytes", profile.bytes());
    assert!(profile.left_out() > 0);
    assert_eq!(profile.traces(), 8_000);
    let root = find(&profile, &["root"]);
    assert_eq!((root.spans, root.whole.count()), (8_000, 8_000));
    let weighed: usize = profile.paths().iter().map(Path::weight).sum();
    assert_eq!(profile.bytes(), weighed + profile.names().weight());
}
