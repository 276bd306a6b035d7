//! Labelled failures of other systems, and what Fixpoint says of them.
//!
//! For measuring whether the right service is named, and how high. Not here: the scoring, which
//! belongs to the data. The surprise: nothing but the traces is read. Labels, windows and fault
//! types are for the scorer alone.

pub mod dress;
pub mod folder;
pub mod mutation;
pub mod ranking;
mod surgery;
