//! What every [`RunStore`] must do, as one suite that anybody can run against their own.
//!
//! Not for speed or crashes: an engine tests those for itself. The surprise: it is ordinary
//! public code and panics with a sentence, so it needs no test framework.

use std::{sync::Arc, time::Duration};

use super::{Precondition, RunStore, Scan, StoreError, Watched, Write};

/// How long leases live in the suite, which keeps none of them for longer than a moment.
const LIFE: Duration = Duration::from_secs(30);

/// Runs the suite against an empty store.
///
/// # Panics
/// With a sentence, if the store breaks the contract.
pub async fn contract(store: Arc<dyn RunStore>) {
    preconditions(&*store).await.unwrap_or_else(|e| panic!("preconditions: {e}"));
    transactions(&*store).await.unwrap_or_else(|e| panic!("transactions: {e}"));
    listing(&*store).await.unwrap_or_else(|e| panic!("listing: {e}"));
    watching(&*store).await.unwrap_or_else(|e| panic!("watching: {e}"));
    leases(&*store).await.unwrap_or_else(|e| panic!("leases: {e}"));
}

async fn preconditions(store: &dyn RunStore) -> Result<(), StoreError> {
    let put = |value: &'static str, only| vec![Write::put("p/key", value, only)];
    assert_eq!(store.get("p/key").await?, None, "an empty store has no keys");

    let first = store.commit(put("1", Precondition::Absent)).await?;
    let conflict = store.commit(put("2", Precondition::Absent)).await;
    assert!(conflict.is_err_and(|e| e.is_conflict()), "a key that is there is not absent");

    let second = store.commit(put("2", Precondition::Version(first))).await?;
    assert!(second > first, "versions grow");
    let conflict = store.commit(put("3", Precondition::Version(first))).await;
    assert!(conflict.is_err_and(|e| e.is_conflict()), "a stale version is refused");

    let entry = store.get("p/key").await?.unwrap_or_else(|| panic!("a key that was put is there"));
    assert_eq!((&entry.value[..], entry.version), (&b"2"[..], second), "the last put counts");

    let stale = store.commit(vec![Write::delete("p/key", Precondition::Version(first))]).await;
    assert!(stale.is_err_and(|e| e.is_conflict()), "a stale delete is refused");
    store.commit(vec![Write::delete("p/key", Precondition::Version(second))]).await?;
    assert_eq!(store.get("p/key").await?, None, "a deleted key is gone");
    store.commit(vec![Write::delete("p/key", Precondition::Any)]).await?;
    let gone = store.commit(put("4", Precondition::Version(second))).await;
    assert!(gone.is_err_and(|e| e.is_conflict()), "a version does not outlive its key");
    Ok(())
}

async fn transactions(store: &dyn RunStore) -> Result<(), StoreError> {
    let both = store
        .commit(vec![
            Write::put("t/a", "1", Precondition::Absent),
            Write::put("t/b", "1", Precondition::Absent),
        ])
        .await?;
    for key in ["t/a", "t/b"] {
        let version = store.get(key).await?.map(|e| e.version);
        assert_eq!(version, Some(both), "all writes of a transaction have its version");
    }
    let half = store
        .commit(vec![
            Write::put("t/a", "2", Precondition::Version(both)),
            Write::put("t/b", "2", Precondition::Absent),
        ])
        .await;
    assert!(half.is_err_and(|e| e.is_conflict()), "one precondition that fails fails them all");
    let version = store.get("t/a").await?.map(|e| e.version);
    assert_eq!(version, Some(both), "a refused transaction writes nothing");

    let guarded = |guard, version| {
        vec![
            Write::check(guard, Precondition::Version(version)),
            Write::put("t/c", "1", Precondition::Any),
        ]
    };
    let refused = store.commit(guarded("t/a", both - 1)).await;
    assert!(
        matches!(&refused, Err(StoreError::Conflict { key }) if key == "t/a"),
        "a check that fails is named: {refused:?}"
    );
    assert_eq!(store.get("t/c").await?, None, "a check that fails refuses the transaction");
    store.commit(guarded("t/a", both)).await?;
    let version = store.get("t/a").await?.map(|e| e.version);
    assert_eq!(version, Some(both), "a check writes nothing");

    let many = |n| (0..n).map(|n| Write::put(format!("t/many/{n:03}"), "", Precondition::Any));
    store.commit(many(128).collect()).await?;
    assert!(store.commit(many(129).collect()).await.is_err(), "too many writes are refused");
    let large = Write::put("t/large", vec![b'x'; 1_600_000], Precondition::Any);
    assert!(store.commit(vec![large]).await.is_err(), "too large a transaction is refused");
    let twice =
        vec![Write::put("t/d", "1", Precondition::Any), Write::delete("t/d", Precondition::Any)];
    assert!(store.commit(twice).await.is_err(), "a key is written once in a transaction");
    Ok(())
}

async fn listing(store: &dyn RunStore) -> Result<(), StoreError> {
    let keys = ["l/a", "l/b", "l/c", "l/d", "l/e"];
    let writes =
        keys.iter().chain(&["l", "m/a"]).map(|key| Write::put(*key, *key, Precondition::Absent));
    store.commit(writes.collect()).await?;

    let mut descending = keys;
    descending.reverse();
    for (scan, wanted) in
        [(Scan::prefix("l/"), keys), (Scan::prefix("l/").descending(), descending)]
    {
        let all = store.list(&scan).await?;
        let found: Vec<_> = all.entries.iter().map(|e| e.key.as_str()).collect();
        assert_eq!((&found[..], all.more), (&wanted[..], false), "exactly the prefix, in order");

        let mut paged = Vec::new();
        let mut after = None;
        loop {
            let page = store.list(&scan.clone().limit(2).after(after)).await?;
            paged.extend(page.entries.iter().map(|e| e.key.clone()));
            after = page.entries.last().map(|e| e.key.clone());
            if !page.more {
                break;
            }
        }
        assert_eq!(paged, wanted, "pages lose nothing and repeat nothing");
    }
    let between = store.list(&Scan::prefix("l/").after(Some("l/bb".to_owned())).limit(1)).await?;
    let found: Vec<_> = between.entries.iter().map(|e| e.key.as_str()).collect();
    assert_eq!(found, ["l/c"], "a page may start after a key that is gone");
    for outside in ["a", "z"] {
        for scan in [Scan::prefix("l/"), Scan::prefix("l/").descending()] {
            let page = store.list(&scan.after(Some(outside.to_owned()))).await?;
            assert!(page.entries.len() <= keys.len(), "a start outside the prefix is no error");
        }
    }
    Ok(())
}

async fn watching(store: &dyn RunStore) -> Result<(), StoreError> {
    let mut watch = store.watch("w/");
    let put = store
        .commit(vec![
            Write::put("w/a", "1", Precondition::Any),
            Write::put("v/a", "1", Precondition::Any),
        ])
        .await?;
    let deleted = store.commit(vec![Write::delete("w/a", Precondition::Any)]).await?;
    for (value, version) in [(Some(&b"1"[..]), put), (None, deleted)] {
        let Some(Watched::Changed(change)) = watch.next().await else {
            panic!("a watcher is told of each change");
        };
        assert_eq!(change.key, "w/a", "a watcher is told of its prefix only");
        assert_eq!(change.value.as_deref(), value, "a change carries the new value");
        assert_eq!(change.version, version, "a change carries its version");
    }
    Ok(())
}

async fn leases(store: &dyn RunStore) -> Result<(), StoreError> {
    let (mine, theirs) = (store.lease(LIFE).await?, store.lease(LIFE).await?);
    let on = |key: &'static str, lease| Write::put(key, "1", Precondition::Any).with_lease(lease);
    let mut watch = store.watch("o/");
    let put = store
        .commit(vec![
            on("o/mine", mine.id()),
            on("o/freed", mine.id()),
            on("p/theirs", theirs.id()),
            Write::put("p/nobody's", "1", Precondition::Any),
        ])
        .await?;
    store.commit(vec![Write::put("o/freed", "2", Precondition::Version(put))]).await?;

    mine.end().await?;
    mine.end().await?;
    // The store need not have forgotten it at once, and watchers are told when it has.
    let mut seen = Vec::new();
    while seen.last() != Some(&("o/mine".to_owned(), None)) {
        let Some(Watched::Changed(change)) = watch.next().await else {
            panic!("a watcher is told of keys that go with their lease");
        };
        seen.push((change.key, change.value));
    }
    assert_eq!(seen.len(), 4, "two were put, one of them again, and one went: {seen:?}");
    assert_eq!(store.get("o/mine").await?, None, "a key goes with its lease");
    for kept in ["o/freed", "p/theirs", "p/nobody's"] {
        assert!(store.get(kept).await?.is_some(), "{kept} is not of the lease that ended");
    }
    let late = store.commit(vec![on("o/late", mine.id())]).await;
    assert!(
        matches!(late, Err(StoreError::LeaseLost)),
        "a lease that ended takes no key: {late:?}"
    );
    let why = mine.keep().await;
    assert!(matches!(why, StoreError::LeaseLost), "a lease that ended cannot be kept: {why}");
    theirs.end().await
}
