//! Log lines as rows. Those of a trace stand together, by time; those of none stand last.

use std::{ops::Range, path::Path, sync::Arc};

use parquet::data_type::ByteArray;

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
    model::{Level, LogRecord, Resource, Scope, SpanId, TraceId, Value},
    otlp::view::{LogView, ValueView},
    semconv,
    store::segment::SegmentError,
};

/// The columns, in their order in the file.
const COLUMNS: &[Column] = &[
    Column { name: "trace_id", kind: Kind::Id(16) },
    Column { name: "span_id", kind: Kind::Id(8) },
    Column { name: "time", kind: Kind::Time },
    Column { name: "observed_time", kind: Kind::Time },
    Column { name: "severity", kind: Kind::Number },
    Column { name: "severity_text", kind: Kind::Word },
    Column { name: "service", kind: Kind::Word },
    Column { name: "body", kind: Kind::Text },
    Column { name: "body_type", kind: Kind::Word },
    Column { name: "attributes", kind: Kind::Map },
    Column { name: "attribute_types", kind: Kind::Word },
    Column { name: "resource", kind: Kind::Word },
    Column { name: "scope", kind: Kind::Word },
    Column { name: "event_name", kind: Kind::Word },
    Column { name: "extra", kind: Kind::Word },
];

/// Writes log lines.
pub(in super::super) struct LogsWriter {
    table: Table,
    origins: Origins,
    letters: String,
    texts: Vec<String>,
}

impl LogsWriter {
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
        log: &LogView<'_>,
        attributes: &[(&str, ValueView<'_>)],
        body: &Value,
    ) -> Result<(), SegmentError> {
        put_attributes(attributes, &mut self.letters, &mut self.texts)?;
        let (letter, body) = exact::text_of(body);
        let [resource_text, scope_text] = self.origins.texts(resource, scope);
        let service = resource.get(semconv::SERVICE_NAME).and_then(Value::as_str);
        let numbers = [("flags", log.flags), ("dropped_attributes", log.dropped_attributes)];
        let mut row = self.table.row();
        row.id(log.trace_id.map(TraceId::to_bytes).as_ref().map(<[u8; 16]>::as_slice));
        row.id(log.span_id.map(SpanId::to_bytes).as_ref().map(<[u8; 8]>::as_slice));
        row.number(Some(log.time as i64));
        row.number((log.observed != 0).then_some(log.observed as i64));
        row.number(Some(log.severity.into()));
        row.text(log.severity_text);
        row.text(service.unwrap_or_default());
        row.text(&body);
        row.text(letter.encode_utf8(&mut [0; 4]));
        row.map(pairs(attributes, &self.texts));
        row.text(&self.letters);
        row.text(resource_text);
        row.text(scope_text);
        row.text(log.event_name);
        row.text(&exact::extra(&numbers, ""));
        self.table.end_row()
    }

    /// The file is complete, and on the disk; its size.
    pub(in super::super) fn finish(self) -> Result<u64, SegmentError> {
        self.table.finish()
    }
}

/// The log lines of a segment.
#[derive(Debug)]
pub(in super::super) struct Logs(Scan);

impl Logs {
    pub(in super::super) fn open(path: &Path) -> Result<Self, SegmentError> {
        Scan::open(path, COLUMNS).map(Self)
    }

    pub(in super::super) fn scan(&self) -> &Scan {
        &self.0
    }

    pub(in super::super) fn rows(&self) -> u64 {
        self.0.rows()
    }

    /// The times of the lines in rising, disjoint ranges of rows.
    pub(in super::super) fn times(&self, ranges: &[Range<u64>]) -> Result<Vec<u64>, SegmentError> {
        let mut cells = self.0.read(ranges, |it| it.name == "time")?;
        match cells.swap_remove(2) {
            Cells::Numbers(times) => {
                Ok(times.into_iter().map(|time| time.unwrap_or_default() as u64).collect())
            }
            // There are no rows.
            _ => Ok(Vec::new()),
        }
    }

    /// The lines in rising, disjoint ranges of rows.
    pub(in super::super) fn read(
        &self,
        ranges: &[Range<u64>],
    ) -> Result<Vec<LogRecord>, SegmentError> {
        let wanted: u64 = ranges.iter().map(|range| range.end - range.start).sum();
        if wanted == 0 {
            return Ok(Vec::new());
        }
        let mut cells = self.0.read(ranges, |it| it.name != "service")?.into_iter();
        let (trace_ids, span_ids) = (ids(cells.next())?, ids(cells.next())?);
        let mut number = || match cells.next() {
            Some(Cells::Numbers(numbers)) => Ok(numbers),
            _ => Err(SegmentError::DAMAGED),
        };
        let (times, observed, severities) = (number()?, number()?, number()?);
        let severity_texts = texts(cells.next())?;
        let _service = cells.next();
        let (bodies, body_types) = (texts(cells.next())?, texts(cells.next())?);
        let Some(Cells::Maps(maps)) = cells.next() else { return Err(SegmentError::DAMAGED) };
        let (letters, resources, scopes) =
            (texts(cells.next())?, texts(cells.next())?, texts(cells.next())?);
        let (names, extras) = (texts(cells.next())?, texts(cells.next())?);
        let (mut shared, mut logs) = (Shared::default(), Vec::with_capacity(maps.len()));
        for (n, pairs) in maps.into_iter().enumerate() {
            let text = |texts: &[ByteArray]| texts.get(n).cloned().ok_or(SegmentError::DAMAGED);
            let number =
                |numbers: &[Option<i64>]| numbers.get(n).copied().flatten().unwrap_or_default();
            let extra = Extra::of(utf8(&text(&extras)?)?)?;
            let letter = *text(&body_types)?.data().first().ok_or(SegmentError::DAMAGED)?;
            logs.push(LogRecord {
                observed: number(&observed) as u64,
                severity: number(&severities).try_into().unwrap_or_default(),
                severity_text: string(&text(&severity_texts)?)?,
                body: exact::value_of(letter, string(&text(&bodies)?)?)?,
                event_name: string(&text(&names)?)?,
                trace_id: id(&trace_ids, n)?.and_then(TraceId::from_bytes),
                span_id: id(&span_ids, n)?.and_then(SpanId::from_bytes),
                flags: extra.number("flags"),
                attributes: attributes_of(pairs, &text(&letters)?)?,
                dropped_attributes: extra.number("dropped_attributes"),
                scope: shared.scope(&text(&scopes)?)?,
                resource: shared.resource(&text(&resources)?)?,
                ..LogRecord::new(number(&times) as u64, Level::Info, "")
            });
        }
        Ok(logs)
    }
}

type Ids = Vec<Option<parquet::data_type::FixedLenByteArray>>;

fn ids(cells: Option<Cells>) -> Result<Ids, SegmentError> {
    match cells {
        Some(Cells::Ids(ids)) => Ok(ids),
        _ => Err(SegmentError::DAMAGED),
    }
}

fn id<const N: usize>(ids: &Ids, n: usize) -> Result<Option<[u8; N]>, SegmentError> {
    let id = ids.get(n).and_then(Option::as_ref);
    id.map(|id| id.data().try_into().map_err(|_| SegmentError::DAMAGED)).transpose()
}

fn texts(cells: Option<Cells>) -> Result<Vec<ByteArray>, SegmentError> {
    match cells {
        Some(Cells::Texts(texts)) => Ok(texts),
        _ => Err(SegmentError::DAMAGED),
    }
}
