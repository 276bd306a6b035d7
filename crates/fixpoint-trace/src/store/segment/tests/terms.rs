//! The dictionary of terms against a map, with many blocks and terms that begin alike.

use std::{collections::BTreeMap, io::Write as _};

use super::super::index::{Carried, Found, Gather, Index, WORD};
use super::*;

/// Words over few letters, so that many begin alike; each with its traces.
fn words() -> BTreeMap<String, Vec<u32>> {
    let mut random = fastrand::Rng::with_seed(7);
    let mut words = BTreeMap::new();
    for _ in 0..5000 {
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
        let id = TraceId::from_bytes((1 + u128::from(trace)).to_be_bytes()).unwrap();
        gather.trace(id, 0, 0);
        words.iter().filter(|(_, of)| of.contains(&trace)).for_each(|(word, _)| gather.word(word));
    }
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let mut bytes = Vec::new();
    gather.write(&[], &mut bytes).unwrap();
    file.write_all(&bytes).unwrap();
    Index::open(file.path()).unwrap()
}

fn term(word: &str) -> Vec<u8> {
    [&[WORD], word.as_bytes()].concat()
}

fn exact(index: &Index, word: &str) -> Vec<Found> {
    let mut found = Vec::new();
    index.exact(&term(word), |entry| found.push(entry)).unwrap();
    found
}

#[test]
fn a_word_is_found_with_its_traces_and_one_that_is_not_there_is_never_sure() {
    let words = words();
    let index = index(&words);
    for (word, traces) in &words {
        let found = exact(&index, word);
        assert_eq!(found.len(), 1);
        assert_eq!(&found[0].traces, traces, "{word}");
        assert!(found[0].sure || traces.len() == 1);
    }
    for word in words.keys().map(|word| format!("{word}b")).filter(|it| !words.contains_key(it)) {
        assert!(exact(&index, &word).iter().all(|found| !found.sure), "{word}");
    }
}

#[test]
fn words_are_found_by_how_they_begin() {
    let words = words();
    let index = index(&words);
    for prefix in words.keys().filter_map(|word| word.get(..5)).take(1000) {
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

/// Of one segment some word is cut that in another one very many words begin with.
#[test]
fn merged_words_are_found_whatever_was_cut_before() {
    let id = |n: u32| TraceId::from_bytes((1 + u128::from(n)).to_be_bytes()).unwrap();
    let file = |words: &[Vec<String>], carried: &[Carried<'_>], from: u32| {
        let mut gather = Gather::default();
        for (trace, words) in (from..).zip(words) {
            gather.trace(id(trace), 0, 0);
            words.iter().for_each(|word| gather.word(word));
        }
        let (file, mut bytes) = (tempfile::NamedTempFile::new().unwrap(), Vec::new());
        gather.write(carried, &mut bytes).unwrap();
        file.as_file().write_all(&bytes).unwrap();
        Index::open(file.path()).unwrap()
    };
    // Each word of the second occurs in two traces, so none is cut.
    let many: Vec<String> = (0..20_000).map(|n| format!("customer-{n:05}-of-them")).collect();
    let parts = [
        vec![vec!["customer-1-alone".to_owned(), "customer-12345-of-them".to_owned()]],
        vec![many.clone(), many],
        vec![vec!["custom".to_owned(), "customer".to_owned()], vec!["customer-".to_owned()]],
    ];
    let first = [0, 1, 3];
    let opened: Vec<Index> =
        parts.iter().zip(first).map(|(words, from)| file(words, &[], from)).collect();
    let all_go_on = [vec![true], vec![true; 2], vec![true; 2]];
    let carried = opened.iter().zip(&all_go_on).map(|(index, traces)| Carried {
        index,
        traces,
        rows: Box::new(|_| (0, 0)),
    });
    let merged = file(&[], &carried.collect::<Vec<_>>(), 0);
    // What was merged is merged again.
    let traces = [true; 5];
    let again = [Carried { index: &merged, traces: &traces, rows: Box::new(|_| (0, 0)) }];
    for index in [&merged, &file(&[vec!["customer-2".to_owned()]], &again, 5)] {
        for (words, from) in parts.iter().zip(first) {
            for (trace, words) in (from..).zip(words) {
                for word in words.iter().step_by(1 + words.len() / 500) {
                    let found = exact(index, word);
                    assert!(found.iter().any(|it| it.traces.contains(&trace)), "{word}");
                    let mut all = Vec::new();
                    let add = |entry: Found| {
                        all.extend(entry.traces);
                        Ok(())
                    };
                    index.prefix(&term(&word[..6]), add).unwrap();
                    assert!(all.contains(&trace), "{word}");
                }
            }
        }
        let sure: Vec<_> =
            exact(index, "customer-00777-of-them").into_iter().filter(|it| it.sure).collect();
        assert_eq!(sure.len(), 1);
        assert_eq!(sure[0].traces, [1, 2]);
    }
}
