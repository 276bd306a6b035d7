//! Whose a span is, which what is recorded below it is as well.
//!
//! The surprise: nothing of it is computed when somebody asks. Each span and line is stored with
//! its owner, so that nobody has to know the spans above it to tell whether it may be shown.

use std::sync::Arc;

use tracing_subscriber::registry::{LookupSpan, SpanRef};

use crate::{
    model::{SpanContext, Value},
    record::Field,
    semconv,
};

/// The tenant whose a span is; empty if it is nobody's.
#[derive(Debug, Clone)]
pub(super) struct Owner(Arc<str>);

impl Owner {
    /// What the fields say of it, which is taken off them.
    pub(super) fn said(fields: &mut Vec<Field>) -> Option<Self> {
        let at = fields.iter().position(|(name, _)| *name == semconv::TENANT)?;
        match fields.swap_remove(at).1 {
            Value::String(tenant) => Some(Self(tenant.into())),
            _ => None,
        }
    }

    /// That of the span, or of the nearest ancestor that is recorded.
    pub(super) fn nearest<'a, S: LookupSpan<'a>>(span: SpanRef<'a, S>) -> Option<Self> {
        let recorded = |span: &SpanRef<'a, S>| span.extensions().get::<SpanContext>().is_some();
        span.scope().find(recorded)?.extensions().get::<Self>().cloned()
    }

    /// As a field; none if it is nobody's.
    pub(super) fn field(&self) -> Option<Field> {
        (!self.0.is_empty()).then(|| (semconv::TENANT, Value::String((*self.0).to_owned())))
    }
}
