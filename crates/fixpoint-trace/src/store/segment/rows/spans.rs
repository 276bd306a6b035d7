//! Spans as rows.
//!
//! The surprise: a span's end is kept as its duration, since that is what people ask for and what
//! takes fewer bytes; an end before the start, which a clock set back makes, is a negative one.

use std::{ops::Range, path::Path, sync::Arc};

use super::{
    Origins, Shared, attributes_of, exact,
    exact::Extra,
    pairs, put_attributes,
    scan::{Cells, Scan},
    string,
    table::{Column, Kind, Table},
    utf8,
};
use crate::{
    model::{self, Dropped, Resource, Scope, Span, SpanContext, SpanId, Status, TraceId, Value},
    otlp::view::{SpanView, ValueView, event, link},
    semconv,
    store::{Columns, segment::SegmentError},
};

/// The columns, in their order in the file.
const COLUMNS: &[Column] = &[
    Column { name: "trace_id", kind: Kind::Id(16) },
    Column { name: "span_id", kind: Kind::Id(8) },
    Column { name: "parent_span_id", kind: Kind::Id(8) },
    Column { name: "name", kind: Kind::Word },
    Column { name: "service", kind: Kind::Word },
    Column { name: "kind", kind: Kind::Word },
    Column { name: "start_time", kind: Kind::Time },
    Column { name: "duration", kind: Kind::Number },
    Column { name: "status", kind: Kind::Word },
    Column { name: "status_message", kind: Kind::Word },
    Column { name: "attributes", kind: Kind::Map },
    Column { name: "attribute_types", kind: Kind::Word },
    Column { name: "resource", kind: Kind::Word },
    Column { name: "scope", kind: Kind::Word },
    Column { name: "events", kind: Kind::Text },
    Column { name: "links", kind: Kind::Text },
    Column { name: "extra", kind: Kind::Word },
];

/// What is read of a span when its attributes are not asked for.
const LIGHT: [&str; 9] = [
    "span_id",
    "parent_span_id",
    "name",
    "service",
    "kind",
    "start_time",
    "duration",
    "status",
    "status_message",
];

/// Writes spans.
pub(in super::super) struct SpansWriter {
    table: Table,
    origins: Origins,
    letters: String,
    texts: Vec<String>,
}

impl SpansWriter {
    pub(in super::super) fn create(path: &Path, group: usize) -> Result<Self, SegmentError> {
        let table = Table::create(path, COLUMNS, group)?;
        Ok(Self { table, origins: Origins::default(), letters: String::new(), texts: Vec::new() })
    }

    pub(in super::super) fn table(&mut self) -> &mut Table {
        &mut self.table
    }

    pub(in super::super) fn rows(&self) -> u64 {
        self.table.rows()
    }

    pub(in super::super) fn push(
        &mut self,
        resource: &Arc<Resource>,
        scope: &Arc<Scope>,
        span: &SpanView<'_>,
        attributes: &[(&str, ValueView<'_>)],
    ) -> Result<(), SegmentError> {
        put_attributes(attributes, &mut self.letters, &mut self.texts)?;
        let events = span.events.iter().map(|it| event(it)).collect::<Result<Vec<_>, _>>()?;
        let links = span.links.iter().map(|it| link(it)).collect::<Result<Vec<_>, _>>()?;
        let numbers = [
            ("flags", span.flags),
            ("dropped_attributes", span.dropped.attributes),
            ("dropped_events", span.dropped.events),
            ("dropped_links", span.dropped.links),
        ];
        let [resource_text, scope_text] = self.origins.texts(resource, scope);
        let service = resource.get(semconv::SERVICE_NAME).and_then(Value::as_str);
        let mut row = self.table.row();
        row.id(Some(&span.trace_id.to_bytes()));
        row.id(Some(&span.span_id.to_bytes()));
        row.id(span.parent.map(SpanId::to_bytes).as_ref().map(<[u8; 8]>::as_slice));
        row.text(span.name);
        row.text(service.unwrap_or_default());
        row.text(span.kind.as_str());
        row.number(Some(span.start as i64));
        row.number(span.end.map(|end| end.wrapping_sub(span.start) as i64));
        row.text(match span.status {
            1 => "ok",
            2 => "error",
            _ => "unset",
        });
        row.text(if span.status == 2 { span.status_message } else { "" });
        row.map(pairs(attributes, &self.texts));
        row.text(&self.letters);
        row.text(resource_text);
        row.text(scope_text);
        row.text(&exact::events(&events));
        row.text(&exact::links(&links));
        row.text(&exact::extra(&numbers, span.trace_state));
        self.table.end_row()
    }

    /// The file is complete, and on the disk; its size.
    pub(in super::super) fn finish(self) -> Result<u64, SegmentError> {
        self.table.finish()
    }
}

/// The spans of a segment.
#[derive(Debug)]
pub(in super::super) struct Spans(Scan);

impl Spans {
    pub(in super::super) fn open(path: &Path) -> Result<Self, SegmentError> {
        Scan::open(path, COLUMNS).map(Self)
    }

    pub(in super::super) fn scan(&self) -> &Scan {
        &self.0
    }

    pub(in super::super) fn rows(&self) -> u64 {
        self.0.rows()
    }

    /// The spans of traces: of each its id and its rows, rising and disjoint.
    pub(in super::super) fn read(
        &self,
        traces: &[(TraceId, Range<u64>)],
        columns: Columns,
    ) -> Result<Vec<Vec<Span>>, SegmentError> {
        let ranges: Vec<Range<u64>> = traces.iter().map(|(_, rows)| rows.clone()).collect();
        if ranges.iter().all(Range::is_empty) {
            return Ok(traces.iter().map(|_| Vec::new()).collect());
        }
        let cells = self.0.read(&ranges, |column| match columns {
            Columns::Light => LIGHT.contains(&column.name),
            // Both are known without them.
            Columns::All => !["trace_id", "service"].contains(&column.name),
        })?;
        let mut rows = Rows { cells: cells.into_iter(), shared: Shared::default() };
        let mut spans = rows.spans(traces, columns)?.into_iter();
        let cut = traces.iter().map(|(_, rows)| {
            spans.by_ref().take((rows.end - rows.start) as usize).collect::<Vec<_>>()
        });
        Ok(cut.collect())
    }
}

/// The columns that were read.
struct Rows {
    cells: std::vec::IntoIter<Cells>,
    shared: Shared,
}

impl Rows {
    fn spans(
        &mut self,
        traces: &[(TraceId, Range<u64>)],
        columns: Columns,
    ) -> Result<Vec<Span>, SegmentError> {
        let _trace_id = self.cells.next();
        let ids = self.ids()?;
        let parents = self.ids()?;
        let (names, services, kinds) = (self.texts()?, self.texts()?, self.texts()?);
        let (starts, durations) = (self.numbers()?, self.numbers()?);
        let (statuses, messages) = (self.texts()?, self.texts()?);
        let mut spans = Vec::with_capacity(ids.len());
        let of_row = traces
            .iter()
            .flat_map(|(id, rows)| std::iter::repeat_n(*id, (rows.end - rows.start) as usize));
        for (n, trace_id) in of_row.enumerate() {
            let id = |ids: &[Option<[u8; 8]>]| {
                ids.get(n).copied().flatten().and_then(SpanId::from_bytes)
            };
            let text = |texts: &[parquet::data_type::ByteArray]| texts.get(n).cloned();
            let number = |numbers: &[Option<i64>]| numbers.get(n).copied().flatten();
            let context = SpanContext { trace_id, span_id: id(&ids).ok_or(SegmentError::DAMAGED)? };
            let start = number(&starts).ok_or(SegmentError::DAMAGED)? as u64;
            let name = string(&text(&names).ok_or(SegmentError::DAMAGED)?)?;
            let mut span = Span::new(context, name, start);
            span.parent = id(&parents);
            span.kind = kind_of(utf8(&text(&kinds).ok_or(SegmentError::DAMAGED)?)?)?;
            span.end = number(&durations).map(|duration| start.wrapping_add(duration as u64));
            span.status = match utf8(&text(&statuses).ok_or(SegmentError::DAMAGED)?)? {
                "unset" => Status::Unset,
                "ok" => Status::Ok,
                "error" => Status::Error(string(&text(&messages).ok_or(SegmentError::DAMAGED)?)?),
                _ => return Err(SegmentError::DAMAGED),
            };
            if let Some(service) = text(&services)
                && !service.is_empty()
            {
                span.resource = self.light_resource(&service)?;
            }
            spans.push(span);
        }
        if columns == Columns::All {
            self.rest(&mut spans)?;
        }
        Ok(spans)
    }

    /// What only a whole span has.
    fn rest(&mut self, spans: &mut [Span]) -> Result<(), SegmentError> {
        let Some(Cells::Maps(maps)) = self.cells.next() else { return Err(SegmentError::DAMAGED) };
        let letters = self.texts()?;
        for ((span, pairs), letters) in spans.iter_mut().zip(maps).zip(&letters) {
            span.attributes = attributes_of(pairs, letters)?;
        }
        let (resources, scopes) = (self.texts()?, self.texts()?);
        for ((span, resource), scope) in spans.iter_mut().zip(&resources).zip(&scopes) {
            span.resource = self.shared.resource(resource)?;
            span.scope = self.shared.scope(scope)?;
        }
        let (events, links, extras) = (self.texts()?, self.texts()?, self.texts()?);
        for (((span, events), links), extra) in
            spans.iter_mut().zip(&events).zip(&links).zip(&extras)
        {
            span.events = exact::events_of(utf8(events)?)?;
            span.links = exact::links_of(utf8(links)?)?;
            let mut extra = Extra::of(utf8(extra)?)?;
            span.flags = extra.number("flags");
            span.trace_state = extra.text("trace_state");
            span.dropped = Dropped {
                attributes: extra.number("dropped_attributes"),
                events: extra.number("dropped_events"),
                links: extra.number("dropped_links"),
            };
        }
        Ok(())
    }

    fn light_resource(
        &mut self,
        service: &parquet::data_type::ByteArray,
    ) -> Result<Arc<Resource>, SegmentError> {
        if let Some(known) = self.shared.resources.get(service.data()) {
            return Ok(Arc::clone(known));
        }
        let name = (semconv::SERVICE_NAME.to_owned(), Value::String(string(service)?));
        let resource = Arc::new(Resource::from([name]));
        self.shared.resources.insert(service.data().into(), Arc::clone(&resource));
        Ok(resource)
    }

    fn ids(&mut self) -> Result<Vec<Option<[u8; 8]>>, SegmentError> {
        let Some(Cells::Ids(ids)) = self.cells.next() else { return Err(SegmentError::DAMAGED) };
        let eight = |id: Option<parquet::data_type::FixedLenByteArray>| {
            id.map(|id| id.data().try_into().map_err(|_| SegmentError::DAMAGED)).transpose()
        };
        ids.into_iter().map(eight).collect()
    }

    fn numbers(&mut self) -> Result<Vec<Option<i64>>, SegmentError> {
        match self.cells.next() {
            Some(Cells::Numbers(numbers)) => Ok(numbers),
            _ => Err(SegmentError::DAMAGED),
        }
    }

    /// None if the column was not asked for.
    fn texts(&mut self) -> Result<Vec<parquet::data_type::ByteArray>, SegmentError> {
        match self.cells.next() {
            Some(Cells::Texts(texts)) => Ok(texts),
            Some(Cells::Unread) => Ok(Vec::new()),
            _ => Err(SegmentError::DAMAGED),
        }
    }
}

fn kind_of(text: &str) -> Result<model::Kind, SegmentError> {
    use model::Kind as K;
    [K::Internal, K::Server, K::Client, K::Producer, K::Consumer]
        .into_iter()
        .find(|kind| kind.as_str() == text)
        .ok_or(SegmentError::DAMAGED)
}
