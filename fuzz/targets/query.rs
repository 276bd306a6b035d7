//! The query language: whatever is typed is a query or is refused, and a query that is written out
//! is read as the same one.
//!
//! Not here: what queries find, which `tests/trace/queries.rs` holds against a plain search.
#![no_main]

use fixpoint_trace::query::Query;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match text.parse::<Query>() {
        Ok(query) => {
            let written = query.to_string();
            let read: Query = written.parse().expect("what is written out can be read");
            assert_eq!(read.to_string(), written, "{text}");
        }
        Err(error) => {
            let at = error.at();
            assert!(at.start <= at.end && at.end <= text.len(), "{text}: {at:?}");
            assert!(!error.hint().is_empty());
        }
    }
});
