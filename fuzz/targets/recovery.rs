//! A trace store whose files were damaged: it opens and answers, or says what is wrong.
//!
//! Not here: that what was acknowledged survives a crash, which `tests/trace/crash.rs` shows. The
//! input says which file is damaged, where, and what stands there instead.
#![no_main]

use std::{fs, path::Path, sync::LazyLock, time::Duration};

use fixpoint_trace::{
    model::{Record, Span, SpanContext, SpanId, TraceId},
    store::{
        TraceQuery, TraceStore,
        engine::{Engine, Options},
    },
};
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;
use tokio::runtime::Runtime;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(1).enable_time().build().expect("a runtime")
});

/// A store with a segment, and a log that is not sealed.
static SOUND: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = TempDir::with_prefix("fixpoint-fuzz").expect("a folder");
    RUNTIME.block_on(async {
        let store = Engine::open(folder.path(), Options::default()).expect("a store");
        for n in 0..40 {
            store.append(&trace(n)).await.expect("room");
            if n == 30 {
                store.settle().await.expect("a segment");
            }
        }
    });
    folder
});

fn trace(n: u8) -> Vec<Record> {
    let trace_id = TraceId::from_bytes([n + 1; 16]).expect("an id");
    let span = |at: u8| {
        let span_id = SpanId::from_bytes([at + 1; 8]).expect("an id");
        let start = u64::from(n) * 1_000 + u64::from(at);
        let mut span = Span::new(SpanContext { trace_id, span_id }, format!("call {at}"), start);
        span.parent = at.checked_sub(1).and_then(|above| SpanId::from_bytes([above + 1; 8]));
        span.end = Some(start + 10);
        span.attributes.insert("request".to_owned(), format!("{{\"n\":{n}}}").into());
        Record::Span(span)
    };
    (0..5).map(span).collect()
}

fuzz_target!(|input: &[u8]| {
    let [file, a, b, c, rest @ ..] = input else { return };
    let folder = TempDir::with_prefix("fixpoint-fuzz").expect("a folder");
    let mut files: Vec<_> = fs::read_dir(SOUND.path()).expect("files").flatten().collect();
    files.sort_by_key(fs::DirEntry::file_name);
    for file in &files {
        let _copied = fs::copy(file.path(), folder.path().join(file.file_name()));
    }
    let damaged = folder.path().join(files[usize::from(*file) % files.len()].file_name());
    damage(&damaged, usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c), rest);
    RUNTIME.block_on(async {
        let Ok(store) = Engine::open(folder.path(), Options::default()) else { return };
        let asked = async {
            let _found = store.search(&TraceQuery { limit: 100, ..TraceQuery::default() }).await;
            for n in [0, 20, 39] {
                let id = TraceId::from_bytes([n + 1; 16]).expect("an id");
                let _found = store.trace(id).await;
            }
            let _found = store.settle().await;
        };
        tokio::time::timeout(Duration::from_secs(20), asked).await.expect("answers in time");
    });
});

/// Overwrites a place of the file; with nothing, cuts the file off there.
fn damage(path: &Path, at: usize, with: &[u8]) {
    let Ok(mut bytes) = fs::read(path) else { return };
    if bytes.is_empty() {
        return;
    }
    let at = at % bytes.len();
    if with.is_empty() {
        bytes.truncate(at);
    }
    for (byte, new) in bytes[at..].iter_mut().zip(with) {
        *byte = *new;
    }
    fs::write(path, bytes).expect("room");
}
