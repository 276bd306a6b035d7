//! What of the stores the sender of a request may see.
//!
//! Whoever answers requests is given the stores sealed, and reads them through a scope: what is
//! outside of it is answered as if it were not stored. Not here: which requests a tenant may make
//! at all (`access/reach.rs`). The surprise: nothing is checked by handlers. What they read with
//! knows for whom.

mod records;
mod traces;

pub(crate) use self::{
    records::SeenRecords,
    traces::{Followed, NotYours, SeenTraces},
};

/// A store that is read through a scope.
#[derive(Debug, Clone)]
pub(crate) struct Sealed<T>(T);

impl<T> Sealed<T> {
    pub(crate) fn new(store: T) -> Self {
        Self(store)
    }

    /// The store, for what tells nobody of what is in it: taking spans in, and whether it answers.
    /// Also for figures of the whole server, which the guard keeps from tenants.
    pub(crate) fn whole(&self) -> &T {
        &self.0
    }
}
