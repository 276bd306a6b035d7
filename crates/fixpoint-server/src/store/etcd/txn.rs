//! Transactions, as etcd wants them: compares, what to do if all hold, what to read if one does not.
//!
//! Not here: sending them. The surprise: a transaction that is sent again may have been done the
//! first time, and then its own preconditions refuse it. It reads what is there instead; if that
//! is exactly what it would have written, in one revision, it was done.

use bytes::Bytes;
use etcd_client::{
    Compare, CompareOp, DeleteOptions, GetOptions, KeyValue, PutOptions, Txn, TxnOp, TxnOpResponse,
    TxnResponse,
};

use super::{
    super::{Action, Precondition, Version, Write},
    members::Members,
    version,
};

/// What became of a transaction.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It was made. `before` is what its keys held, in the order of the writes that changed
    /// something, as far as it was asked for.
    Done { at: Version, before: Vec<Option<Bytes>> },
    /// A precondition did not hold, at this key.
    Conflict(String),
}

/// The request. Sent `again`, it reads all that it would have written. `before` asks for what the
/// keys held.
pub(super) fn request(writes: &[Write], members: &Members, again: bool, before: bool) -> Txn {
    let compare = |write: &Write| {
        let revision = match write.only {
            Precondition::Any => return None,
            // Of a key that is not there, etcd says that it was changed at revision 0.
            Precondition::Absent => 0,
            Precondition::Version(version) => i64::try_from(version).unwrap_or(i64::MAX),
        };
        Some(Compare::mod_revision(members.key(&write.key), CompareOp::Equal, revision))
    };
    let change = |write: &Write| {
        let key = members.key(&write.key);
        match &write.what {
            Action::Put(value, lease) => {
                let options = PutOptions::new().with_lease(lease.unwrap_or(0));
                let options = if before { options.with_prev_key() } else { options };
                Some(TxnOp::put(key, value.to_vec(), Some(options)))
            }
            Action::Delete => {
                let options = DeleteOptions::new();
                let options = if before { options.with_prev_key() } else { options };
                Some(TxnOp::delete(key, Some(options)))
            }
            Action::Check => None,
        }
    };
    let look = |write: &Write| {
        let options = GetOptions::new();
        let options = if again { options } else { options.with_keys_only() };
        TxnOp::get(members.key(&write.key), Some(options))
    };
    Txn::new()
        .when(writes.iter().filter_map(compare).collect::<Vec<_>>())
        .and_then(writes.iter().filter_map(change).collect::<Vec<_>>())
        .or_else(writes.iter().map(look).collect::<Vec<_>>())
}

/// What the answer means.
pub(super) fn verdict(writes: &[Write], answer: &TxnResponse, again: bool) -> Verdict {
    let answers = answer.op_responses();
    if answer.succeeded() {
        let at = answer.header().map_or(0, |header| version(header.revision()));
        let before = answers.iter().map(|answer| match answer {
            TxnOpResponse::Put(put) => put.prev_key(),
            TxnOpResponse::Delete(delete) => delete.prev_kvs().first(),
            TxnOpResponse::Get(_) | TxnOpResponse::Txn(_) => None,
        });
        let before = before.map(|found| Some(Bytes::copy_from_slice(found?.value()))).collect();
        return Verdict::Done { at, before };
    }
    let found: Vec<Option<&KeyValue>> = answers
        .iter()
        .map(|answer| match answer {
            TxnOpResponse::Get(get) => get.kvs().first(),
            _ => None,
        })
        .collect();
    if again && let Some(at) = done_before(writes, &found) {
        return Verdict::Done { at, before: Vec::new() };
    }
    let refuses = |(write, found): &(&Write, &Option<&KeyValue>)| {
        write.expect(found.map(|found| version(found.mod_revision()))).is_err()
    };
    let first = writes.iter().zip(&found).find(refuses).map(|(write, _)| write);
    // Compared and read in one transaction, so there is one.
    Verdict::Conflict(
        first.or_else(|| writes.first()).map(|write| write.key.clone()).unwrap_or_default(),
    )
}

/// The revision at which all of these writes were made, if they were, and nothing came after.
fn done_before(writes: &[Write], found: &[Option<&KeyValue>]) -> Option<Version> {
    let mut at = None;
    for (write, found) in writes.iter().zip(found) {
        match (&write.what, found) {
            (Action::Put(value, _), Some(found)) if found.value() == value => {
                if at.is_some_and(|at| at != found.mod_revision()) {
                    return None;
                }
                at = Some(found.mod_revision());
            }
            (Action::Delete, None) | (Action::Check, _) => {}
            _ => return None,
        }
    }
    at.map(version)
}
