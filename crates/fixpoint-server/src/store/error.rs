//! Why a store could not do what was asked.
//!
//! Not here: what to do about it. The surprise: a conflict is no failure. It says that somebody
//! else was first, and everybody who writes must be ready for it.

/// The store could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another writer was first.
    #[error("{key} is no longer what this write expects")]
    Conflict {
        /// The first key whose precondition did not hold.
        key: String,
    },
    /// The lease has run out or was given up.
    #[error("the lease is lost")]
    LeaseLost,
    /// A record cannot be read as what it should be.
    #[error("the record at {key} could not be read")]
    Corrupt {
        /// Where it is.
        key: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The store cannot be reached, or did not answer in time. Asked again later, it may.
    #[error("the run store could not {what}: {whom} did not answer")]
    Unreachable {
        /// Completes the sentence.
        what: &'static str,
        /// Who was asked.
        whom: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The engine beneath failed.
    #[error("the run store could not {what}")]
    Engine {
        /// Completes the sentence.
        what: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl StoreError {
    /// True if another writer was first: read again and decide anew.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict { .. })
    }

    pub(super) fn engine(
        what: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Engine { what, source: source.into() }
    }
}
