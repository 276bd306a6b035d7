//! Gathers, trace by trace, what the index file will hold.
//!
//! Not here: rows (`rows/`), or how it is written (`write.rs`). The surprise: of an operation the index notes how long the longest of
//! the trace took, to the power of two, so that a search for slow ones passes over fast traces
//! without reading them.

use std::collections::BTreeSet;

use hashbrown::HashMap;

use super::{
    super::SegmentError,
    Index,
    bytes::{put_number, put_text},
    interner::Interner,
    spans, terms,
    traces::Piece,
};
use crate::{
    model::{Kind, Rank, Span, SpanId, Status, TraceId, UnixNanos},
    store::{RateQuery, rollup::Rollup, tokens},
};

/// How many values of an attribute are told; one with more has too many to choose from.
const VALUES: usize = 64;

/// What the index will hold.
#[derive(Debug, Default)]
pub(in super::super) struct Gather {
    pub(super) terms: terms::Gathered,
    pub(super) spans: spans::Gathered,
    pub(super) rollup: Rollup,
    pub(super) pieces: Vec<Piece>,
    attributes: HashMap<String, Known>,
    operations: Operations,
    /// The rank of the span that the trace goes by.
    head: Option<Rank>,
    scratch: Vec<u8>,
}

/// An attribute by name.
#[derive(Debug, Default)]
struct Known {
    /// Whose it is: bits of [`Owner`].
    owners: u8,
    doubtful: bool,
    values: BTreeSet<String>,
    /// There are more than can be told.
    many: bool,
}

impl Known {
    fn add(&mut self, value: &str) {
        if !self.many && !self.values.contains(value) {
            self.values.insert(value.to_owned());
            self.many = self.values.len() > VALUES;
        }
    }
}

/// Whose attribute it is. A span's own goes before its resource's, and that before its scope's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Owner {
    Span = 1,
    Resource = 2,
    Scope = 4,
}

/// Operations, and how long the longest of each took in the trace that is being gathered.
#[derive(Debug, Default)]
struct Operations {
    /// The length of the service (4 bytes), the service, the name.
    known: Interner,
    /// Of each, if the trace has it: a power of two and one more; 0 if none has ended.
    longest: Vec<Option<u8>>,
    /// Those that the trace has.
    of_trace: Vec<u32>,
}

/// A span, as far as the index needs it.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Noted<'a> {
    pub(in super::super) id: SpanId,
    pub(in super::super) root: bool,
    pub(in super::super) service: &'a str,
    pub(in super::super) name: &'a str,
    pub(in super::super) kind: Kind,
    pub(in super::super) start: UnixNanos,
    pub(in super::super) end: Option<UnixNanos>,
    /// Why it failed, if it did; and whether it is said to be ok.
    pub(in super::super) status: u8,
    pub(in super::super) message: &'a str,
}

impl Operations {
    fn add(&mut self, service: &str, name: &str, longest: u8, scratch: &mut Vec<u8>) {
        scratch.clear();
        scratch.extend_from_slice(&(service.len() as u32).to_le_bytes());
        scratch.extend_from_slice(service.as_bytes());
        scratch.extend_from_slice(name.as_bytes());
        let number = self.known.number(scratch);
        if number as usize == self.longest.len() {
            self.longest.push(None);
        }
        let known = &mut self.longest[number as usize];
        if known.is_none() {
            self.of_trace.push(number);
        }
        *known = (*known).max(Some(longest));
    }

    /// The trace is complete: service and name of its operations, and the longest.
    fn drain(&mut self, mut each: impl FnMut(&[u8], &[u8], u8)) {
        for number in self.of_trace.drain(..) {
            let longest = self.longest[number as usize].take().unwrap_or_default();
            if let Some((len, texts)) = self.known.get(number).split_first_chunk() {
                let (service, name) = texts.split_at(u32::from_le_bytes(*len) as usize);
                each(service, name, longest);
            }
        }
    }
}

impl Gather {
    fn ordinal(&self) -> u32 {
        // The piece of the trace being gathered is the last one.
        self.pieces.len() as u32 - 1
    }

    /// The next trace begins.
    pub(in super::super) fn trace(&mut self, id: TraceId, span_row: u64, log_row: u64) {
        self.close();
        self.pieces.push(Piece {
            id,
            start: 0,
            latest: 0,
            spans: 0,
            open: 0,
            errors: 0,
            logs: 0,
            root: None,
            name: String::new(),
            service: String::new(),
            status: Status::Unset,
            span_row,
            log_row,
        });
    }

    pub(in super::super) fn span(&mut self, span: Noted<'_>) {
        let ordinal = self.ordinal();
        self.spans.add(span.id, ordinal);
        self.rollup.count(
            span.service,
            span.name,
            span.kind,
            span.start,
            span.end,
            span.status == 2,
        );
        let longest = span.end.map_or(0, |end| power(end.saturating_sub(span.start)));
        self.operations.add(span.service, span.name, longest, &mut self.scratch);
        let piece = &mut self.pieces[ordinal as usize];
        if piece.spans == 0 || span.start < piece.start {
            piece.start = span.start;
        }
        piece.spans += 1;
        piece.latest = piece.latest.max(span.end.unwrap_or(0));
        piece.open += u32::from(span.end.is_none());
        piece.errors += u32::from(span.status == 2);
        let rank = Rank::of(span.root, span.start, span.id);
        if self.head.is_none_or(|head| rank < head) {
            self.head = Some(rank);
            piece.root = span.root.then_some(span.id);
            span.name.clone_into(&mut piece.name);
            span.service.clone_into(&mut piece.service);
            piece.status = match span.status {
                1 => Status::Ok,
                2 => Status::Error(span.message.to_owned()),
                _ => Status::Unset,
            };
        }
    }

    pub(in super::super) fn log(&mut self, time: UnixNanos, message: &str) {
        let ordinal = self.ordinal();
        let piece = &mut self.pieces[ordinal as usize];
        if piece.spans == 0 && (piece.logs == 0 || time < piece.start) {
            piece.start = time;
        }
        piece.logs += 1;
        for word in words(&message.to_lowercase()) {
            self.term(terms::LOG, &[word.as_bytes()]);
        }
    }

    /// Somebody has an attribute of the name, whatever its value.
    pub(in super::super) fn name(&mut self, name: &str, owner: Owner) {
        match self.attributes.get_mut(name) {
            Some(known) => known.owners |= owner as u8,
            None => {
                let known = Known { owners: owner as u8, ..Known::default() };
                self.attributes.insert(name.to_owned(), known);
            }
        }
    }

    /// Terms of the attribute, which was named, say less than they seem to.
    pub(in super::super) fn doubt(&mut self, name: &str) {
        if let Some(known) = self.attributes.get_mut(name) {
            known.doubtful = true;
        }
    }

    /// A value of an attribute that was named.
    pub(in super::super) fn value(&mut self, name: &str, value: &str) {
        if let Some(known) = self.attributes.get_mut(name) {
            known.add(value);
        }
        self.attribute_term(name, value);
    }

    /// A whole number that an attribute has as one with a point.
    pub(in super::super) fn number(&mut self, name: &str, number: &str) {
        self.term(terms::NUMBER, &[number.as_bytes(), name.as_bytes()]);
    }

    fn attribute_term(&mut self, name: &str, value: &str) {
        let lower = tokens::normal(value);
        let mut term = std::mem::take(&mut self.scratch);
        attribute(&mut term, name, value, &lower);
        let ordinal = self.ordinal();
        self.terms.add(&term, ordinal);
        self.scratch = term;
    }

    /// A word by which the trace is found, beside its attributes.
    pub(in super::super) fn word(&mut self, word: &str) {
        self.term(terms::WORD, &[word.as_bytes()]);
    }

    fn term(&mut self, kind: u8, parts: &[&[u8]]) {
        let ordinal = self.ordinal();
        let mut term = std::mem::take(&mut self.scratch);
        compose(&mut term, kind, parts);
        self.terms.add(&term, ordinal);
        self.scratch = term;
    }

    /// The trace is complete.
    pub(super) fn close(&mut self) {
        let Some(piece) = self.pieces.last() else { return };
        let (root, failed) = (piece.name.clone(), piece.errors > 0);
        if piece.spans > 0 {
            self.term(terms::ROOT, &[root.as_bytes()]);
        }
        if failed {
            self.term(terms::ERROR, &[]);
        }
        self.head = None;
        let mut operations = std::mem::take(&mut self.operations);
        operations.drain(|service, name, longest| {
            self.term(terms::SERVICE, &[service]);
            self.term(terms::NAME, &[name]);
            self.term(terms::OPERATION, &[service, name, &[longest]]);
        });
        self.operations = operations;
    }

    /// What another index counts and names, of which most goes on in this one.
    pub(in super::super) fn carry(&mut self, index: &Index) -> Result<(), SegmentError> {
        index.rates(&RateQuery::default(), &mut self.rollup)?;
        for attribute in index.attributes()? {
            let known = self.attributes.entry(attribute.name).or_default();
            known.owners |= attribute.owners;
            known.doubtful |= attribute.ambiguous || attribute.owners == 0;
            // It has none, or more than could be told.
            known.many |= attribute.values.is_empty();
            attribute.values.iter().for_each(|value| known.add(value));
        }
        Ok(())
    }

    /// A span that another index counts does not go on as it is.
    pub(in super::super) fn discount(&mut self, span: &Span) {
        self.rollup.remove(span);
    }

    /// The attributes, as they are written.
    pub(super) fn attributes(&self) -> Vec<u8> {
        let mut attributes = Vec::new();
        let mut known: Vec<_> = self.attributes.iter().collect();
        known.sort_unstable_by_key(|(name, _)| *name);
        for (name, Known { owners, doubtful, values, many }) in known {
            let ambiguous = owners.count_ones() > 1 || *doubtful;
            put_text(&mut attributes, name.as_bytes());
            put_number(&mut attributes, u64::from(owners << 1 | u8::from(ambiguous)));
            let told = if *many { &BTreeSet::new() } else { values };
            put_number(&mut attributes, told.len() as u64);
            told.iter().for_each(|value| put_text(&mut attributes, value.as_bytes()));
        }
        attributes
    }
}

/// A term of its parts, with zeros between them.
pub(in super::super) fn compose(term: &mut Vec<u8>, kind: u8, parts: &[&[u8]]) {
    term.clear();
    term.push(kind);
    for (n, part) in parts.iter().enumerate() {
        if n > 0 {
            term.push(0);
        }
        term.extend_from_slice(part);
    }
}

/// The term of an attribute.
pub(in super::super) fn attribute(term: &mut Vec<u8>, name: &str, value: &str, lower: &str) {
    compose(term, terms::ATTRIBUTE, &[lower.as_bytes(), name.as_bytes()]);
    if lower != value {
        term.push(0);
        term.extend_from_slice(value.as_bytes());
    }
}

/// One more than the power of two that the duration reaches.
pub(in super::super) fn power(nanos: u64) -> u8 {
    // At most 64.
    1 + nanos.max(1).ilog2() as u8
}

/// The words of a log line: letters and digits, two or more.
pub(in super::super) fn words(message: &str) -> impl Iterator<Item = &str> {
    message.split(|c: char| !c.is_alphanumeric()).filter(|word| word.len() >= 2)
}
