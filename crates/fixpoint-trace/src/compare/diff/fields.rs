//! What differs between two spans that stand for the same work, beside time.
//!
//! Not here: which spans those are. The surprise: lines and events are compared by what they say,
//! not by when, and the same line said another number of times is one change.

use std::collections::HashMap;

use serde_json::{Value as Json, json};

use super::{
    answer::{Change, Part},
    json::{self, Eye, same_leaf, same_text},
    sheet::{Sheet, is_news},
};
use crate::{
    compare::tree::At,
    model::{Attributes, Span, Status, Value},
    semconv,
};

/// All that changed between two spans, but whether they failed.
pub(super) fn changes(a: (&Sheet<'_>, At), b: (&Sheet<'_>, At)) -> Vec<Change> {
    let eyes = (&a.0.eye, &b.0.eye);
    let (x, y) = (a.0.span(a.1), b.0.span(b.1));
    let mut found = Vec::new();
    if x.name != y.name && !same_text((eyes.0, &x.name), (eyes.1, &y.name), true) {
        let plain = |name| crate::compare::label::without_ids(name);
        if plain(&x.name) != plain(&y.name) {
            found.push(change(Part::Name, "", Some(json!(x.name)), Some(json!(y.name))));
        }
    }
    status(eyes, x, y, &mut found);
    let known = |at_x, at_y| a.0.value(a.1, at_x) == b.0.value(b.1, at_y);
    attributes(eyes, &x.attributes, &y.attributes, known, |key, a, b| {
        attribute(eyes, key, a, b, &mut found);
    });
    let events = |span: &'_ Span| -> Vec<(String, Attributes)> {
        span.events.iter().map(|event| (event.name.clone(), event.attributes.clone())).collect()
    };
    if !(x.events.is_empty() && y.events.is_empty()) {
        said(eyes, Part::Event, &events(x), &events(y), false, &mut found);
    }
    let logs = |sheet: &Sheet<'_>, at| -> Vec<(String, Attributes)> {
        let logs = sheet.logs(at).iter();
        logs.map(|log| (log.message().into_owned(), log.attributes.clone())).collect()
    };
    let lines = (logs(a.0, a.1), logs(b.0, b.1));
    if !(lines.0.is_empty() && lines.1.is_empty()) {
        // A wait writes a line for each look; how often it looked is told by itself.
        let polls = x.attributes.get(semconv::WAIT_POLLS) != y.attributes.get(semconv::WAIT_POLLS);
        said(eyes, Part::Log, &lines.0, &lines.1, polls, &mut found);
    }
    found
}

/// How many attributes two spans have in common.
pub(super) fn shared(a: (&Sheet<'_>, At), b: (&Sheet<'_>, At)) -> usize {
    let (x, y) = (a.0.span(a.1), b.0.span(b.1));
    let alike = x.attributes.keys().enumerate().filter(|(at, key)| {
        let other = y.attributes.get_index_of(*key);
        is_news(key) && other.is_some_and(|other| a.0.value(a.1, *at) == b.0.value(b.1, other))
    });
    alike.count()
}

/// What differs between what two processes say of themselves.
pub(super) fn resources(a: (&Eye, &Span), b: (&Eye, &Span)) -> Vec<Change> {
    /// Where a process happens to run is news to nobody.
    const PLACES: [&str; 6] =
        ["service.instance", "process.", "host.", "container.", "k8s.pod", "os."];
    let eyes = (a.0, b.0);
    let mut found = Vec::new();
    attributes(
        eyes,
        &a.1.resource,
        &b.1.resource,
        |_, _| false,
        |key, x, y| {
            if !PLACES.iter().any(|place| key.starts_with(place)) {
                found.push(change(Part::Resource, key, x.map(plain), y.map(plain)));
            }
        },
    );
    found
}

fn status(eyes: (&Eye, &Eye), x: &Span, y: &Span, found: &mut Vec<Change>) {
    if let (Status::Error(a), Status::Error(b)) = (&x.status, &y.status) {
        if !same_text((eyes.0, a), (eyes.1, b), true) {
            found.push(change(Part::Status, "description", Some(json!(a)), Some(json!(b))));
        }
    } else if x.failed() != y.failed() {
        let told = |span: &Span| match &span.status {
            Status::Error(why) if why.is_empty() => json!("failed"),
            Status::Error(why) => json!(why),
            _ => json!("ok"),
        };
        found.push(change(Part::Status, "", Some(told(x)), Some(told(y))));
    }
    if x.end.is_some() != y.end.is_some() {
        let told = |span: &Span| json!(if span.end.is_some() { "ended" } else { "open" });
        found.push(change(Part::Status, "end", Some(told(x)), Some(told(y))));
    }
}

/// Gives each attribute that is not the same on both sides, in the order of `x`, then of `y`.
/// `known` says that two, by their places, say the same; if not, it is looked at.
fn attributes<'v>(
    eyes: (&Eye, &Eye),
    x: &'v Attributes,
    y: &'v Attributes,
    known: impl Fn(usize, usize) -> bool,
    mut give: impl FnMut(&str, Option<&'v Value>, Option<&'v Value>),
) {
    // Most often both sides set the same ones in the same order.
    let mut in_step = x.len() == y.len();
    for (at, (key, a)) in x.iter().enumerate() {
        let other = match y.get_index(at) {
            Some((other, _)) if other == key => Some(at),
            _ => {
                in_step = false;
                y.get_index_of(key)
            }
        };
        if !is_news(key) {
            continue;
        }
        let b = other.and_then(|other| y.get_index(other)).map(|(_, b)| b);
        let alike = b.is_some_and(|b| {
            a == b || other.is_some_and(|other| known(at, other)) || same((eyes.0, a), (eyes.1, b))
        });
        if !alike {
            give(key, Some(a), b);
        }
    }
    if in_step {
        return;
    }
    for (key, b) in y.iter().filter(|(key, _)| is_news(key) && !x.contains_key(*key)) {
        give(key, None, Some(b));
    }
}

fn same(a: (&Eye, &Value), b: (&Eye, &Value)) -> bool {
    match (a.1, b.1) {
        (x, y) if x == y => true,
        (Value::String(x), Value::String(y)) => same_text((a.0, x), (b.0, y), false),
        (x, y) => same_leaf((a.0, &plain(x)), (b.0, &plain(y))),
    }
}

fn attribute(
    eyes: (&Eye, &Eye),
    key: &str,
    a: Option<&Value>,
    b: Option<&Value>,
    found: &mut Vec<Change>,
) {
    let part = match key {
        semconv::REQUEST => Part::Request,
        semconv::RESPONSE => Part::Response,
        _ => Part::Attribute,
    };
    let (x, y) = (a.map(document), b.map(document));
    let prefix = if part == Part::Attribute { key } else { "" };
    let (Some(Json::Object(_) | Json::Array(_)), Some(Json::Object(_) | Json::Array(_))) = (&x, &y)
    else {
        return found.push(change(part, prefix, x, y));
    };
    let (Some(x), Some(y)) = (&x, &y) else { return };
    for (path, x, y) in json::changes((eyes.0, x), (eyes.1, y)) {
        let path = match (prefix, path.as_str()) {
            ("", _) => path,
            (key, "") => key.to_owned(),
            (key, inner) if inner.starts_with('[') => format!("{key}{inner}"),
            (key, inner) => format!("{key}.{inner}"),
        };
        found.push(change(part, path, x.cloned(), y.cloned()));
    }
}

/// A value as JSON; one that is a JSON document in a text, as that document.
fn document(value: &Value) -> Json {
    match value {
        Value::String(text) if text.starts_with(['{', '[']) => {
            serde_json::from_str(text).unwrap_or_else(|_| json!(text))
        }
        other => plain(other),
    }
}

fn plain(value: &Value) -> Json {
    serde_json::to_value(value).unwrap_or_default()
}

/// Compares what was said in two spans: lines, or events.
fn said(
    eyes: (&Eye, &Eye),
    part: Part,
    x: &[(String, Attributes)],
    y: &[(String, Attributes)],
    often: bool,
    found: &mut Vec<Change>,
) {
    let mut order: Vec<String> = Vec::new();
    let mut groups: HashMap<String, [Vec<usize>; 2]> = HashMap::new();
    for (side, eye, list) in [(0, eyes.0, x), (1, eyes.1, y)] {
        for (at, (text, _)) in list.iter().enumerate() {
            let key = eye.plain.text(text, true).into_owned();
            let group = groups.entry(key.clone()).or_insert_with(|| {
                order.push(key);
                Default::default()
            });
            group[side].push(at);
        }
    }
    for key in order {
        let [of_x, of_y] = &groups[&key];
        if of_x.len() != of_y.len() {
            if often && !of_x.is_empty() && !of_y.is_empty() {
                continue;
            }
            let told = |places: &[usize]| match places.len() {
                0 => None,
                1 => Some(json!("once")),
                many => Some(json!(format!("{many} times"))),
            };
            let text =
                of_y.first().map(|&at| &y[at].0).or_else(|| of_x.first().map(|&at| &x[at].0));
            let text = text.map_or("", String::as_str);
            found.push(change(part, text, told(of_x), told(of_y)));
            continue;
        }
        for (&at_x, &at_y) in of_x.iter().zip(of_y) {
            attributes(
                eyes,
                &x[at_x].1,
                &y[at_y].1,
                |_, _| false,
                |name, a, b| {
                    let path = format!("{}: {name}", y[at_y].0);
                    found.push(change(part, path, a.map(plain), b.map(plain)));
                },
            );
        }
    }
}

fn change(part: Part, path: impl Into<String>, a: Option<Json>, b: Option<Json>) -> Change {
    Change { part, path: path.into(), a, b }
}
