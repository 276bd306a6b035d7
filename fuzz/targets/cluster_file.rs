//! Files of clusters: YAML or JSON, however mangled, is a spec, or is refused.
//!
//! Not here: what a plan makes of a spec. A spec that is valid once is valid again as it is stored.
#![no_main]

use clusters::spec::{self, ClusterSpec};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|text: &str| {
    let Ok(document) = serde_saphyr::from_str::<Value>(text) else { return };
    let Ok(wanted) = serde_json::from_value::<ClusterSpec>(document) else { return };
    let mistakes = spec::validate("fuzzed", &wanted, None);
    let stored = serde_json::to_value(&wanted).expect("a spec can be stored");
    let read: ClusterSpec = serde_json::from_value(stored).expect("what was stored can be read");
    assert_eq!(spec::validate("fuzzed", &read, None), mistakes, "{text}");
    if mistakes.is_empty() {
        assert_eq!(spec::validate("fuzzed", &read, Some(&wanted)), [], "nothing has changed");
    }
});
