//! stub
use super::{Columns, RateQuery, TraceSummary, rollup::Rollup};
use crate::{
    model::*,
    otlp::view::{LogView, SpanView},
    query::Query,
};
use std::{io, path::Path, sync::Arc};
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Meta {
    pub(super) traces: u32,
    pub(super) spans: u64,
    pub(super) logs: u64,
    pub(super) min_start: u64,
    pub(super) max_start: u64,
    pub(super) bytes: u64,
}
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub(super) struct SegmentError;
pub(super) struct WriterOptions {
    pub(super) zstd_level: i32,
}
pub(super) struct Writer;
type R<T> = Result<T, SegmentError>;
impl Writer {
    pub(super) fn create(_: &Path, _: u64, _: WriterOptions) -> R<Self> {
        todo!()
    }
    pub(super) fn trace(&mut self, _: Option<TraceId>) -> R<()> {
        todo!()
    }
    pub(super) fn span(&mut self, _: &Arc<Resource>, _: &Arc<Scope>, _: &SpanView<'_>) -> R<()> {
        todo!()
    }
    pub(super) fn log(&mut self, _: &Arc<Resource>, _: &Arc<Scope>, _: &LogView<'_>) -> R<()> {
        todo!()
    }
    pub(super) fn finish(self) -> R<Meta> {
        todo!()
    }
}
#[derive(Debug)]
pub(super) struct Segment;
impl Segment {
    pub(super) fn open(_: &Path, _: u64) -> R<Self> {
        todo!()
    }
    pub(super) fn id(&self) -> u64 {
        todo!()
    }
    pub(super) fn meta(&self) -> &Meta {
        todo!()
    }
    pub(super) fn ordinal(&self, _: TraceId) -> R<Option<u32>> {
        todo!()
    }
    pub(super) fn starts(&self, _: &[u32]) -> R<Vec<(u64, TraceId)>> {
        todo!()
    }
    pub(super) fn before(&self, _: (u64, TraceId)) -> R<u32> {
        todo!()
    }
    pub(super) fn summary(&self, _: u32) -> R<TraceSummary> {
        todo!()
    }
    pub(super) fn read(&self, _: &[u32], _: Columns) -> R<Vec<Trace>> {
        todo!()
    }
    pub(super) fn candidates(&self, _: &Query) -> R<Candidates> {
        todo!()
    }
    pub(super) fn find(&self, _: &str) -> R<Vec<(TraceId, bool)>> {
        todo!()
    }
    pub(super) fn logs(&self, _: Option<SpanId>, _: usize) -> R<Vec<LogRecord>> {
        todo!()
    }
    pub(super) fn loose(&self) -> R<Vec<LogRecord>> {
        todo!()
    }
    pub(super) fn rates(&self, _: &RateQuery, _: &mut Rollup) -> R<()> {
        todo!()
    }
    pub(super) fn attributes(&self, _: Option<&str>) -> R<Vec<String>> {
        todo!()
    }
}
pub(super) struct Candidates;
impl Candidates {
    pub(super) fn len(&self) -> usize {
        todo!()
    }
    pub(super) fn get(&self, _: usize) -> u32 {
        todo!()
    }
    pub(super) fn before(&self, _: u32) -> usize {
        todo!()
    }
    pub(super) fn sure(&self) -> bool {
        todo!()
    }
}
pub(super) fn remove(_: &Path, _: u64) -> io::Result<()> {
    todo!()
}
pub(super) fn sweep(_: &Path, _: &dyn Fn(u64) -> bool) -> io::Result<()> { Ok(()) }
