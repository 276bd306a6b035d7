//! Measures the trace store from outside: load over its ports, questions, growth. And what `why`
//! says of faults.
//!
//! Its programs: `load` sends spans, `query` asks questions of a running server, `grow` fills a store
//! in its own process, `learn` measures profiles of good traces, `settle` seals and merges one,
//! `diagnose` explains labelled failures, `mutate` explains failures that it made, `faults` breaks
//! each call of a creation in each way, `takeover` kills servers, `chaos` breaks servers and etcd,
//! `steps` measures what a durable step costs, and `sustain` how much one server takes for long.
//! `bench/README.md` says which figure comes from which. Not here: micro-benchmarks, which live in the
//! crates' `benches/`. The surprise: requests are encoded once, before anything is measured, and get
//! fresh ids in place as they are sent.

pub mod data;
pub mod diagnosis;
pub mod drive;
pub mod encode;
pub mod errors;
pub mod faults;
pub mod fill;
pub mod measure;
pub mod process;
pub mod questions;
pub mod rounds;
pub mod send;
#[cfg(feature = "etcd")]
pub mod several;
pub mod source;
pub mod sustained;
pub mod template;
pub mod whole;

/// The same as the `fixpoint` command has.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
