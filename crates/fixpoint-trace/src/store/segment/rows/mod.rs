//! Spans and log lines as rows of plain Parquet.
//!
//! Not here: which rows are whose (`index/`). The surprise: what is in these files is read as it is
//! by DuckDB, pandas or ClickHouse, and still every span comes back exactly as it was sent.
//! `docs/format.md` explains each column.

mod exact;
mod logs;
mod scan;
mod spans;
mod table;

use std::{collections::HashMap, sync::Arc};

use parquet::data_type::ByteArray;

pub(super) use self::{
    logs::{Logs, LogsWriter},
    scan::{Groups, Scan},
    spans::{Spans, SpansWriter},
    table::Table,
};
use super::SegmentError;
use crate::{
    model::{Attributes, Resource, Scope},
    otlp::view::ValueView,
};

/// Resources and scopes as texts: each is written anew for every row, so it is made only once.
#[derive(Debug, Default)]
struct Origins {
    /// By address. The `Arc`s are kept, so that no address is used for another one.
    texts: HashMap<(usize, usize), Origin>,
}

/// A resource and a scope, and their texts.
type Origin = (Arc<Resource>, Arc<Scope>, [String; 2]);

impl Origins {
    fn texts(&mut self, resource: &Arc<Resource>, scope: &Arc<Scope>) -> &[String; 2] {
        // Merged segments make a new one for each trace.
        if self.texts.len() > 4096 {
            self.texts.clear();
        }
        let key = (Arc::as_ptr(resource).addr(), Arc::as_ptr(scope).addr());
        let (_, _, texts) = self.texts.entry(key).or_insert_with(|| {
            let texts = [exact::attributes(resource), exact::scope(scope)];
            (Arc::clone(resource), Arc::clone(scope), texts)
        });
        texts
    }
}

/// Resources and scopes of texts: rows that have the same share it.
#[derive(Debug, Default)]
struct Shared {
    resources: HashMap<Box<[u8]>, Arc<Resource>>,
    scopes: HashMap<Box<[u8]>, Arc<Scope>>,
}

impl Shared {
    fn resource(&mut self, text: &ByteArray) -> Result<Arc<Resource>, SegmentError> {
        if let Some(known) = self.resources.get(text.data()) {
            return Ok(Arc::clone(known));
        }
        let resource = Arc::new(exact::attributes_of(utf8(text)?)?);
        self.resources.insert(text.data().into(), Arc::clone(&resource));
        Ok(resource)
    }

    fn scope(&mut self, text: &ByteArray) -> Result<Arc<Scope>, SegmentError> {
        if let Some(known) = self.scopes.get(text.data()) {
            return Ok(Arc::clone(known));
        }
        let scope = Arc::new(exact::scope_of(utf8(text)?)?);
        self.scopes.insert(text.data().into(), Arc::clone(&scope));
        Ok(scope)
    }
}

fn utf8(text: &ByteArray) -> Result<&str, SegmentError> {
    std::str::from_utf8(text.data()).map_err(|_| SegmentError::DAMAGED)
}

fn string(text: &ByteArray) -> Result<String, SegmentError> {
    utf8(text).map(str::to_owned)
}

/// Attributes as texts by name; and the letters of their types, none if all are texts.
fn put_attributes(
    attributes: &[(&str, ValueView<'_>)],
    letters: &mut String,
    texts: &mut Vec<String>,
) -> Result<(), SegmentError> {
    letters.clear();
    texts.clear();
    for (_, value) in attributes {
        let (letter, text) = match value {
            // The usual one is not copied.
            ValueView::Str(_) => ('s', String::new()),
            other => exact::text_of(&other.to_value()?),
        };
        letters.push(letter);
        texts.push(text);
    }
    if letters.bytes().all(|letter| letter == b's') {
        letters.clear();
    }
    Ok(())
}

/// The texts that [`put_attributes`] made, beside those that it left where they were.
fn pairs<'a>(
    attributes: &'a [(&'a str, ValueView<'a>)],
    texts: &'a [String],
) -> impl Iterator<Item = (&'a str, &'a [u8])> {
    attributes.iter().zip(texts).map(|((name, value), text)| match value {
        ValueView::Str(text) => (*name, text.as_bytes()),
        _ => (*name, text.as_bytes()),
    })
}

/// What was put.
fn attributes_of(
    pairs: Vec<(ByteArray, ByteArray)>,
    letters: &ByteArray,
) -> Result<Attributes, SegmentError> {
    let letters = letters.data();
    let mut attributes = Attributes::with_capacity(pairs.len());
    for (n, (name, text)) in pairs.into_iter().enumerate() {
        let letter = if letters.is_empty() { Some(&b's') } else { letters.get(n) };
        let letter = *letter.ok_or(SegmentError::DAMAGED)?;
        attributes.insert(string(&name)?, exact::value_of(letter, string(&text)?)?);
    }
    Ok(attributes)
}
