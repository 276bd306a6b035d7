//! OTLP, the format that this store speaks as its own: in protobuf and in JSON, traces and logs.
//!
//! For what comes in, what goes out, and what the API answers. Not here: any HTTP or gRPC. The
//! surprise: a span that is still open has no end, where OTLP otherwise always has one: 0 in
//! protobuf, nothing in JSON.

mod json;
pub(crate) mod proto;
pub(crate) mod view;

use std::{ops::Range, sync::Arc};

pub(crate) use self::json::decode_document;
pub use self::{
    json::{
        decode_json, from_json, logs_from_json, logs_to_json, spans_document, to_json,
        trace_document,
    },
    proto::{encode_logs, encode_spans, given_to, size, within},
};
use self::{
    proto::{Invalid, Place, Visitor},
    view::{LogView, SpanView},
};
pub use crate::formats::{Decoded, FormatError};
use crate::{
    model::{Kind, Record, Resource, Scope},
    store::Signal,
};

/// Reads an OTLP export request in protobuf, or a file of `TracesData` or `LogsData`.
///
/// # Errors
/// If it is no such request at all. Spans that are not valid are only counted.
pub fn decode(signal: Signal, request: &[u8]) -> Result<Decoded, FormatError> {
    let mut owner = Owner {
        request,
        resource: Default::default(),
        scope: Default::default(),
        decoded: Decoded::default(),
    };
    proto::walk(signal, request, &mut owner).map_err(|why| {
        let what = match signal {
            Signal::Traces => "OTLP spans in protobuf",
            Signal::Logs => "OTLP logs in protobuf",
        };
        FormatError::new(what, why)
    })?;
    Ok(owner.decoded)
}

/// Makes records of what a request holds.
struct Owner<'a> {
    request: &'a [u8],
    /// That of the record before, and where it lies.
    resource: (Range<usize>, Arc<Resource>),
    /// Likewise.
    scope: (Range<usize>, Arc<Scope>),
    decoded: Decoded,
}

impl Owner<'_> {
    fn own(
        &mut self,
        place: &Place,
        own: impl FnOnce(Arc<Resource>, Arc<Scope>) -> Result<Record, Invalid>,
    ) {
        match self.around(place).and_then(|(resource, scope)| own(resource, scope)) {
            Ok(record) => self.decoded.accept(record),
            Err(why) => self.rejected(why),
        }
    }

    fn around(&mut self, place: &Place) -> Result<(Arc<Resource>, Arc<Scope>), Invalid> {
        if self.resource.0 != place.resource {
            let resource = proto::resource(&self.request[place.resource.clone()])?;
            self.resource = (place.resource.clone(), Arc::new(resource));
        }
        if self.scope.0 != place.scope {
            let scope = proto::scope(&self.request[place.scope.clone()])?;
            self.scope = (place.scope.clone(), Arc::new(scope));
        }
        Ok((self.resource.1.clone(), self.scope.1.clone()))
    }
}

impl Visitor for Owner<'_> {
    fn span(&mut self, place: &Place, span: &SpanView<'_>) {
        self.own(place, |resource, scope| span.to_span(resource, scope).map(Record::Span));
    }

    fn log(&mut self, place: &Place, log: &LogView<'_>) {
        self.own(place, |resource, scope| log.to_log(resource, scope).map(Record::Log));
    }

    fn rejected(&mut self, why: Invalid) {
        self.decoded.reject(why);
    }
}

/// OTLP's number of a kind.
fn kind_number(kind: Kind) -> u8 {
    match kind {
        Kind::Internal => 1,
        Kind::Server => 2,
        Kind::Client => 3,
        Kind::Producer => 4,
        Kind::Consumer => 5,
    }
}

/// The kind of a number. OTLP asks that one which does not say be taken for internal.
fn kind_of(number: u64) -> Kind {
    match number {
        2 => Kind::Server,
        3 => Kind::Client,
        4 => Kind::Producer,
        5 => Kind::Consumer,
        _ => Kind::Internal,
    }
}
