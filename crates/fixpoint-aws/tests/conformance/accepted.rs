//! Compares a journal with `accepted.md`.

use std::collections::BTreeSet;

use super::journal::Journal;

const TABLE: &str = include_str!("accepted.md");

/// Fails if `backend` differs from AWS's documentation where the table does not say so, or no
/// longer differs where it does.
pub(crate) fn compare(backend: &str, journal: &Journal) {
    let found: BTreeSet<_> = journal
        .findings
        .iter()
        .filter(|f| f.got != f.wanted)
        .map(|f| [f.id, &f.wanted, &f.got].map(str::to_owned))
        .collect();
    let accepted = accepted(backend);
    for [id, wanted, got] in found.difference(&accepted) {
        eprintln!("not accepted: | {backend} | {id} | {wanted} | {got} | why? |");
    }
    for [id, wanted, got] in accepted.difference(&found) {
        eprintln!("not found any more: | {backend} | {id} | {wanted} | {got} |");
    }
    assert!(found == accepted, "{backend} differs from tests/conformance/accepted.md");
    eprintln!("{backend}: {} checks, {} differences accepted", journal.findings.len(), found.len());
}

fn accepted(backend: &str) -> BTreeSet<[String; 3]> {
    let rows = TABLE.lines().filter(|line| line.starts_with("| ")).skip(1);
    rows.map(|line| line.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>())
        .map(|cells| match &cells[..] {
            [_, of, id, wanted, got, why, _] if !why.is_empty() => {
                (of.clone(), [id.clone(), wanted.clone(), got.clone()])
            }
            _ => panic!("accepted.md: five cells, the last a reason: {cells:?}"),
        })
        .filter_map(|(of, row)| (of == backend).then_some(row))
        .collect()
}
