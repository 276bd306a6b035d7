//! Goes over a request, span by span or line by line, and says where each lies.
//!
//! For whoever keeps requests as they came and needs to know what is in them. The surprise: a
//! resource may stand behind its spans, as protobuf allows, so each group is looked through twice;
//! what is not looked at is skipped by its length and costs nothing.

use std::ops::Range;

use super::{
    Invalid, parse,
    wire::{Field, Fields},
};
use crate::{
    otlp::view::{LogView, SpanView, Spare},
    store::Signal,
};

/// Where messages lie within a request, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// The `Span` or `LogRecord`.
    pub(crate) message: Range<usize>,
    /// Its `Resource`; empty if it has none, which reads as one that says nothing.
    pub(crate) resource: Range<usize>,
    /// Its `InstrumentationScope`; likewise.
    pub(crate) scope: Range<usize>,
}

/// Is told what a request holds, in order.
pub(crate) trait Visitor {
    /// A span, checked.
    fn span(&mut self, place: &Place, span: &SpanView<'_>);

    /// A log line, checked.
    fn log(&mut self, place: &Place, log: &LogView<'_>);

    /// A span or log line that is not valid, nor can be kept.
    fn rejected(&mut self, why: Invalid);
}

/// Shows an `Export{Trace,Logs}ServiceRequest` (or `TracesData`, `LogsData`) to a visitor.
///
/// # Errors
/// If it is no such message. What the visitor has seen before the error does not count.
pub(crate) fn walk(
    signal: Signal,
    request: &[u8],
    visitor: &mut impl Visitor,
) -> Result<(), Invalid> {
    let mut spare = Spare::default();
    for group in messages(request, 1) {
        let group = group?;
        let resource = last(group, 1)?;
        let of_resource = parse::resource(resource).map(drop);
        for scoped in messages(group, 2) {
            let scoped = scoped?;
            let scope = last(scoped, 1)?;
            let of_scope = parse::scope(scope).map(drop);
            let around = of_resource.and(of_scope);
            for message in messages(scoped, 2) {
                let message = message?;
                let place = Place {
                    message: range(request, message),
                    resource: range(request, resource),
                    scope: range(request, scope),
                };
                let shown =
                    around.and_then(|()| show(signal, message, &place, &mut spare, visitor));
                if let Err(why) = shown {
                    visitor.rejected(why);
                }
            }
        }
    }
    Ok(())
}

fn show(
    signal: Signal,
    message: &[u8],
    place: &Place,
    spare: &mut Spare,
    visitor: &mut impl Visitor,
) -> Result<(), Invalid> {
    match signal {
        Signal::Traces => {
            let span = SpanView::parse(message, spare)?;
            visitor.span(place, &span);
            span.recycle(spare);
        }
        Signal::Logs => {
            let log = LogView::parse(message, spare)?;
            visitor.log(place, &log);
            log.recycle(spare);
        }
    }
    Ok(())
}

/// The messages in a repeated field.
fn messages(message: &[u8], wanted: u64) -> impl Iterator<Item = Result<&[u8], Invalid>> {
    Fields::of(message).filter_map(move |field| match field {
        Ok((number, Field::Bytes(message))) if number == wanted => Some(Ok(message)),
        Ok(_) => None,
        Err(why) => Some(Err(why)),
    })
}

/// The message in a field; empty if there is none, and the last if there are several.
fn last(message: &[u8], wanted: u64) -> Result<&[u8], Invalid> {
    messages(message, wanted).last().unwrap_or(Ok(&message[..0]))
}

/// Where a part lies in the whole that it was cut from.
fn range(whole: &[u8], part: &[u8]) -> Range<usize> {
    let start = part.as_ptr().addr() - whole.as_ptr().addr();
    start..start + part.len()
}
