//! Stylesheet and scripts, built into the binary.
//!
//! No build step makes them: what is in `assets/` is what the browser gets.

use std::sync::LazyLock;

use sha2::{Digest, Sha256};

/// A file that pages refer to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asset {
    /// Its media type.
    pub(crate) media_type: &'static str,
    /// What is in it.
    pub(crate) text: &'static str,
    /// Changes when any asset changes; scripts import each other, so one tag serves all.
    pub(crate) etag: &'static str,
}

macro_rules! files {
    ($($name:literal: $media_type:expr,)*) => {
        &[$(($name, $media_type, include_str!(concat!("../../assets/", $name))),)*]
    };
}

const SCRIPT: &str = "text/javascript; charset=utf-8";

const FILES: &[(&str, &str, &str)] = files! {
    "address.mjs": SCRIPT,
    "api.mjs": SCRIPT,
    "app.css": "text/css; charset=utf-8",
    "compare.css": "text/css; charset=utf-8",
    "compare.mjs": SCRIPT,
    "compared.mjs": SCRIPT,
    "complete.mjs": SCRIPT,
    "critical.mjs": SCRIPT,
    "detail.mjs": SCRIPT,
    "differences.mjs": SCRIPT,
    "dom.mjs": SCRIPT,
    "explorer.mjs": SCRIPT,
    "favicon.svg": "image/svg+xml",
    "finder.mjs": SCRIPT,
    "folds.mjs": SCRIPT,
    "forms.mjs": SCRIPT,
    "frame.mjs": SCRIPT,
    "json.mjs": SCRIPT,
    "keys.mjs": SCRIPT,
    "kinds.mjs": SCRIPT,
    "list.mjs": SCRIPT,
    "live.mjs": SCRIPT,
    "logs.mjs": SCRIPT,
    "marks.mjs": SCRIPT,
    "minimap.mjs": SCRIPT,
    "node.mjs": SCRIPT,
    "otlp.mjs": SCRIPT,
    "page.mjs": SCRIPT,
    "repeats.mjs": SCRIPT,
    "rows.mjs": SCRIPT,
    "scale.mjs": SCRIPT,
    "scatter.mjs": SCRIPT,
    "search.css": "text/css; charset=utf-8",
    "search.mjs": SCRIPT,
    "spans.mjs": SCRIPT,
    "stream.mjs": SCRIPT,
    "summary.mjs": SCRIPT,
    "ticks.mjs": SCRIPT,
    "trace.mjs": SCRIPT,
    "trace.css": "text/css; charset=utf-8",
    "tree.mjs": SCRIPT,
    "why.mjs": SCRIPT,
};

static ETAG: LazyLock<String> = LazyLock::new(|| {
    let mut hash = Sha256::new();
    FILES.iter().for_each(|(_, _, text)| hash.update(text));
    format!("\"{}\"", hex::encode(&hash.finalize()[..8]))
});

/// The asset of this name.
pub(crate) fn asset(name: &str) -> Option<Asset> {
    let &(_, media_type, text) = FILES.iter().find(|(known, ..)| *known == name)?;
    Some(Asset { media_type, text, etag: &ETAG })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_module_that_is_imported_is_served() {
        for (name, _, text) in FILES {
            for line in text.lines().filter(|line| line.starts_with("import ")) {
                let from = line.rsplit("\"./").next().and_then(|rest| rest.split('"').next());
                assert!(from.is_some_and(|module| asset(module).is_some()), "{name}: {line}");
            }
        }
    }

    #[test]
    fn nothing_is_fetched_from_elsewhere() {
        for (name, _, text) in FILES {
            let foreign = text.replace("http://www.w3.org/2000/svg", "").replace("http://…", "");
            assert!(!foreign.contains("://"), "{name}");
            assert!(!text.contains(".innerHTML = "), "{name}: data must never become markup");
        }
    }
}
