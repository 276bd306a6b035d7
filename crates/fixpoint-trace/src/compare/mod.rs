//! Compares traces: one with another, and one with all the good ones.
//!
//! For saying what is missing, extra, failed, slow or answered differently in a trace. Not here:
//! plans, runs and AWS; who knows of them passes it in. The surprise: spans are told apart by what
//! they do below whom ([`label`]), never by their ids, times or raw names.

pub mod diff;
pub mod explain;
pub mod label;
pub mod profile;
pub mod tree;
