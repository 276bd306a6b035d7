//! Attributes for traces that have none.
//!
//! The labelled failures come without attributes, so changes of attributes can only be made where
//! some were put first. Not here: changing them (`mutation.rs`). The surprise: they vary as real
//! ones do. One tells nothing, one is steady for a call, one is chosen for a whole trace, and an
//! answer holds a list that is not always equally long.

use std::hash::{DefaultHasher, Hash, Hasher};

use fixpoint_trace::model::{Span, Trace, Value};

/// Steady: what kind of call it is.
pub const KIND: &str = "shop.kind";
/// One of two, for a whole trace: two of three have the first.
pub const TIER: &str = "shop.tier";
/// Never the same.
pub const ID: &str = "shop.request_id";
/// JSON with a list.
pub const ANSWER: &str = "shop.answer";
/// One that no trace has.
pub const NEW: &str = "shop.degraded";
/// An answer whose list is empty.
pub const NO_ITEM: &str = r#"{"items":[]}"#;

/// Gives each span its attributes: always the same ones.
pub fn dress(trace: &mut Trace) {
    let tier = ["basic", "basic", "basic", "basic", "plus", "plus"];
    for span in &mut trace.spans {
        let call = hash(&(span.service(), &*span.name));
        let (of_trace, of_span) = (hash(&span.trace_id.to_string()), own(span));
        let tier = tier[(of_trace % tier.len() as u64) as usize];
        let attributes = [
            (KIND, format!("kind {}", ["a", "b", "c"][(call % 3) as usize]).into()),
            (TIER, tier.into()),
            (ID, format!("{of_span:016x}").into()),
            (ANSWER, answer(call, of_span)),
        ];
        span.attributes.extend(attributes.map(|(name, value): (&str, Value)| (name.into(), value)));
    }
}

/// Half of all calls always answer with as many items, the others with one to three; no call is
/// answered with none unless it always is.
fn answer(call: u64, span: u64) -> Value {
    let items = match call % 8 {
        0 => 0,
        1..4 => 1 + call % 2,
        _ => 1 + span % 3,
    };
    let item = r#"{"state":"active"}"#;
    let items: Vec<&str> = std::iter::repeat_n(item, items as usize).collect();
    format!(r#"{{"items":[{}]}}"#, items.join(",")).into()
}

fn own(span: &Span) -> u64 {
    hash(&(span.trace_id.to_string(), span.span_id.to_string()))
}

/// The same on every machine, as long as the standard library's hash is.
fn hash(of: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    // The low digits of a hash are as good as any.
    hasher.finish()
}
