//! Changes that come while the runner looks at what there is to do.
//!
//! The store here takes its time for lists, as etcd does: in between, anything may be asked for.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use fixpoint_client::RunState;
use serde_json::json;
use tokio::time;

use super::{Harness, pause};
use crate::store::{
    Entry, Lease, Listing, MemoryStore, RunStore, Scan, StoreError, Version, Watch, Write,
};

#[derive(Debug, Default)]
struct Slow(MemoryStore);

#[async_trait]
impl RunStore for Slow {
    async fn get(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        self.0.get(key).await
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<Version, StoreError> {
        self.0.commit(writes).await
    }

    async fn list(&self, scan: &Scan) -> Result<Listing, StoreError> {
        let _elapsed = time::timeout(Duration::from_millis(3), std::future::pending::<()>()).await;
        self.0.list(scan).await
    }

    fn watch(&self, prefix: &str) -> Watch {
        self.0.watch(prefix)
    }

    async fn lease(&self, life: Duration) -> Result<Box<dyn Lease>, StoreError> {
        self.0.lease(life).await
    }
}

#[tokio::test]
async fn the_newest_run_is_never_taken_for_one_that_a_newer_one_has_replaced() {
    let traces = Arc::new(fixpoint_trace::store::memory::MemoryStore::default());
    let server = Harness::with(Arc::new(Slow::default()), traces, Arc::default());
    server.make(json!({"name": "car", "bricks": 1})).await;
    for round in 0..20 {
        let change = async |bricks: u32| {
            server.patch("/v1/toys/car", json!({"bricks": bricks})).await.run_id()
        };
        change(2 + round % 2).await;
        pause().await;
        let newest = change(4 + round % 3).await;
        let run = server.ended(&newest).await;
        assert_eq!(run.state, RunState::Converged, "round {round}: {:?}", run.error);
    }
}
