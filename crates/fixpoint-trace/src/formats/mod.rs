//! What the formats of traces have in common: how they are read, and what reading them yields.
//!
//! Not here: any one format, of which [`otlp`](crate::otlp) is the one that loses nothing.
//! The surprise: what is not valid among many is left out and counted, so that one bad span does
//! not cost the others.

mod file;
pub(crate) mod lenient;
pub(crate) mod raw;
pub(crate) mod tags;

pub use self::{
    file::{Format, UnknownFormat, decode_any, detect},
    raw::cost,
};
use std::sync::Arc;

use crate::{
    model::{Record, Resource},
    semconv,
    store::Accepted,
};

/// What came is not of the format that it should be of.
#[derive(Debug, thiserror::Error)]
#[error("could not read {what}")]
pub struct FormatError {
    what: &'static str,
    #[source]
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl FormatError {
    /// `what` completes "could not read …".
    pub(crate) fn new(
        what: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { what, source: source.into() }
    }
}

/// What a request or a file holds.
#[derive(Debug, Default)]
pub struct Decoded {
    /// Its spans and log lines, in order.
    pub records: Vec<Record>,
    /// How many there are, and how many were left out since they are not valid.
    pub accepted: Accepted,
}

impl Decoded {
    pub(crate) fn accept(&mut self, record: Record) {
        self.accepted.accepted += 1;
        self.records.push(record);
    }

    pub(crate) fn reject(&mut self, why: impl std::fmt::Display) {
        self.accepted.reject(why);
    }

    /// Gives all of it to a tenant, whoever it says that it is of.
    pub fn give_to(&mut self, tenant: &str) {
        // Most records of a request share one resource, and should go on sharing it.
        let mut last: Option<(Arc<Resource>, Arc<Resource>)> = None;
        for record in &mut self.records {
            let (resource, scope, attributes) = match record {
                Record::Span(it) => (&mut it.resource, &mut it.scope, &mut it.attributes),
                Record::Log(it) => (&mut it.resource, &mut it.scope, &mut it.attributes),
            };
            attributes.shift_remove(semconv::TENANT);
            if scope.attributes.contains_key(semconv::TENANT) {
                Arc::make_mut(scope).attributes.shift_remove(semconv::TENANT);
            }
            let given = match last.take() {
                Some((was, given)) if Arc::ptr_eq(&was, resource) => given,
                _ => {
                    let mut given = Resource::clone(resource);
                    given.insert(semconv::TENANT.to_owned(), tenant.into());
                    Arc::new(given)
                }
            };
            let was = std::mem::replace(resource, Arc::clone(&given));
            last = Some((was, given));
        }
    }

    /// Takes what another holds, behind what this one does.
    pub(crate) fn append(&mut self, other: Self) {
        self.records.extend(other.records);
        let (all, more) = (&mut self.accepted, other.accepted);
        all.accepted += more.accepted;
        all.rejected += more.rejected;
        if all.message.is_empty() {
            all.message = more.message;
        }
    }
}
