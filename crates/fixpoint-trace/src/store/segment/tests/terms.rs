//! The dictionary of terms against a map, with many blocks and terms that begin alike.

use std::{collections::BTreeMap, io::Write as _};

use super::super::index::{Gather, Index, WORD};
use super::*;

/// Words over few letters, so that many begin alike; each with its traces.
fn words() -> BTreeMap<String, Vec<u32>> {
    let mut random = fastrand::Rng::with_seed(7);
    let mut words = BTreeMap::new();
    for _ in 0..20_000 {
        let letters = b"ab01-\xc3"[..5].to_vec();
        let word: Vec<u8> =
            (0..random.usize(1..20)).map(|_| letters[random.usize(..letters.len())]).collect();
        let traces = random.usize(1..4);
        let mut of: Vec<u32> = (0..traces).map(|_| random.u32(..100)).collect();
        of.sort_unstable();
        of.dedup();
        words.entry(String::from_utf8(word).unwrap()).or_insert(of);
    }
    words
}

fn index(words: &BTreeMap<String, Vec<u32>>) -> Index {
    let mut gather = Gather::default();
    for trace in 0..100 {
        gather.trace(TraceId::random(), 0, 0);
        words.iter().filter(|(_, of)| of.contains(&trace)).for_each(|(word, _)| gather.word(word));
    }
    gather.pieces();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let mut bytes = Vec::new();
    gather.write(&mut bytes).unwrap();
    file.write_all(&bytes).unwrap();
    Index::open(file.path()).unwrap()
}

fn term(word: &str) -> Vec<u8> {
    [&[WORD], word.as_bytes()].concat()
}

#[test]
fn a_word_is_found_with_its_traces_and_one_that_is_not_there_is_never_sure() {
    let words = words();
    let index = index(&words);
    for (word, traces) in &words {
        let found = index.exact(&term(word)).unwrap().unwrap();
        assert_eq!(&found.traces, traces, "{word}");
        assert!(found.sure || traces.len() == 1);
    }
    for word in words.keys().map(|word| format!("{word}b")).filter(|it| !words.contains_key(it)) {
        assert!(index.exact(&term(&word)).unwrap().is_none_or(|found| !found.sure), "{word}");
    }
}

#[test]
fn words_are_found_by_how_they_begin() {
    let words = words();
    let index = index(&words);
    for prefix in words.keys().filter_map(|word| word.get(..5)).take(2000) {
        let mut sure = BTreeMap::new();
        let mut perhaps = BTreeSet::new();
        let found = |entry: super::super::index::Found| {
            if entry.sure {
                sure.insert(entry.term, entry.traces);
            } else {
                perhaps.extend(entry.traces);
            }
            Ok(())
        };
        index.prefix(&term(prefix), found).unwrap();
        for (word, traces) in words.iter().filter(|(word, _)| word.starts_with(prefix)) {
            match sure.remove(&term(word)) {
                Some(found) => assert_eq!(&found, traces),
                None => assert!(perhaps.contains(&traces[0]), "{word}"),
            }
        }
        assert!(sure.is_empty(), "{prefix}: {sure:?}");
    }
}
