//! What comes from other programs: OTLP, Zipkin and Jaeger, in each form, and what the store makes
//! of it.
//!
//! Not here: the ports and their limits. The first byte says which format the rest is taken for.
#![no_main]

use std::sync::LazyLock;

use fixpoint_trace::{
    formats, jaeger, otlp,
    store::{Signal, TraceStore, memory::MemoryStore},
    zipkin,
};
use libfuzzer_sys::fuzz_target;
use tokio::runtime::Runtime;

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_current_thread().build().expect("a runtime"));

fuzz_target!(|input: &[u8]| {
    let Some((format, rest)) = input.split_first() else { return };
    let decoded = match format % 8 {
        0 => otlp::decode(Signal::Traces, rest),
        1 => otlp::decode(Signal::Logs, rest),
        2 => otlp::decode_json(Signal::Traces, rest),
        3 => otlp::decode_json(Signal::Logs, rest),
        4 => zipkin::decode(rest),
        5 => zipkin::decode_protobuf(rest),
        6 => jaeger::decode(rest),
        _ => formats::decode_any(rest).map(|(_, decoded)| decoded),
    };
    let Ok(decoded) = decoded else { return };
    RUNTIME.block_on(async {
        let store = MemoryStore::default();
        let Ok(()) = store.append(&decoded.records).await else { return };
        for summary in store.search(&Default::default()).await.expect("a list").items {
            let trace = store.trace(summary.trace_id).await.expect("an answer").expect("a trace");
            assert_eq!(trace.spans.len(), summary.spans as usize);
            let _json = otlp::to_json(&trace);
            let _json = zipkin::to_json(&trace);
            let _json = jaeger::to_json(std::slice::from_ref(&trace));
        }
    });
});
