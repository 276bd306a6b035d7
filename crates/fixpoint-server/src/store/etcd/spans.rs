//! What the trace says of each request to etcd: which keys, and what they held before and after.
//!
//! Not here: taking secrets out, which the recorder does with everything. The surprise: a request
//! outside of any trace is not recorded. A look of the runner's at a resource that has nothing to
//! do would be a trace of its own, for nobody.

use bytes::Bytes;
use tracing::{Span, field::Empty};

use super::{
    super::{Action, StoreError, Write},
    members::Members,
};

/// How much of a value is told, in bytes. A run's record has two to ten thousand.
const MAX_VALUE: usize = 16 << 10;

/// The span of a request, below the current one.
pub(super) fn open(operation: &'static str, key: &str, members: &Members) -> Span {
    if Span::current().is_none() {
        return Span::none();
    }
    let (host, port) = members.address();
    tracing::info_span!(
        "etcd",
        otel.name = format!("etcd.{operation}"),
        otel.kind = "client",
        db.system.name = "etcd",
        db.namespace = members.prefix(),
        db.operation.name = operation,
        db.operation.batch.size = Empty,
        server.address = host,
        server.port = port,
        // What is kept for whom is told to whoever sees everything.
        fixpoint.tenant = "",
        fixpoint.store.key = key,
        fixpoint.store.before = Empty,
        fixpoint.store.after = Empty,
        error.r#type = Empty,
        otel.status_code = Empty,
        otel.status_description = Empty,
    )
}

/// The span of a transaction.
pub(super) fn of_writes(writes: &[Write], members: &Members) -> Span {
    let changes = || writes.iter().filter(|write| write.what != Action::Check);
    let count = changes().count();
    let operation = match changes().next().map(|write| &write.what) {
        Some(Action::Put(..)) if count == 1 => "put",
        Some(Action::Delete) if count == 1 => "delete",
        _ => "txn",
    };
    let keys: Vec<_> = changes().map(|write| &*write.key).collect();
    let span = open(operation, &keys.join(", "), members);
    if count > 1 {
        span.record("db.operation.batch.size", count);
    }
    span
}

/// Tells what a transaction changed: a value if it was one key, an object by keys if several.
pub(super) fn changes(span: &Span, writes: &[Write], before: &[Option<Bytes>]) {
    if span.is_disabled() {
        return;
    }
    let changed = || writes.iter().filter(|write| write.what != Action::Check);
    let old = before.iter().map(|before| before.as_deref());
    let new = changed().map(|write| match &write.what {
        Action::Put(value, _) => Some(&**value),
        Action::Delete | Action::Check => None,
    });
    let keys = || changed().map(|write| &*write.key);
    for (name, values) in [
        ("fixpoint.store.before", keys().zip(old).collect::<Vec<_>>()),
        ("fixpoint.store.after", keys().zip(new).collect()),
    ] {
        if let Some(text) = told(&values) {
            span.record(name, text);
        }
    }
}

/// Values as text. Empty ones, of keys that only have to be there, are left out.
fn told(values: &[(&str, Option<&[u8]>)]) -> Option<String> {
    let text = |value: &[u8]| match value.get(..MAX_VALUE) {
        Some(_) if value.len() > MAX_VALUE => format!("\"{} bytes\"", value.len()),
        _ => String::from_utf8_lossy(value).into_owned(),
    };
    let some = values.iter().filter_map(|(key, value)| Some((key, (*value)?)));
    let some: Vec<_> = some.filter(|(_, value)| !value.is_empty()).collect();
    match &some[..] {
        [] => None,
        [(_, value)] if values.len() == 1 => Some(text(value)),
        some => {
            // Records are JSON already, and are not escaped in one another.
            let fields = some.iter().map(|(key, value)| format!("{key:?}:{}", text(value)));
            Some(format!("{{{}}}", fields.collect::<Vec<_>>().join(",")))
        }
    }
}

/// Says of the span that the request failed, if it did.
pub(super) fn close<T>(span: &Span, result: Result<T, StoreError>) -> Result<T, StoreError> {
    if let Err(error) = &result {
        let kind = match error {
            StoreError::Conflict { .. } => "fixpoint.store.conflict",
            StoreError::LeaseLost => "fixpoint.store.lease_lost",
            StoreError::Unreachable { .. } => "fixpoint.store.unreachable",
            StoreError::Corrupt { .. } | StoreError::Engine { .. } => "fixpoint.store.failed",
        };
        span.record("error.type", kind);
        span.record("otel.status_code", "ERROR");
        span.record("otel.status_description", error.to_string());
    }
    result
}
