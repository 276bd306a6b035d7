//! Several servers on one etcd: what the programs share that kill, stop and cut them off.
//!
//! `history.rs` holds what every write in etcd says, `worker.rs` the servers as processes, `mills.rs`
//! what they provision and `world.rs` the cloud that it is in, `load.rs` who asks for it, `cut.rs` the
//! lines to etcd, and `breaking.rs` breaks all of them. Not here: what must not come of it
//! (`bin/takeover.rs`, `bin/chaos.rs`).

pub mod breaking;
pub mod cut;
pub mod history;
pub mod load;
pub mod mills;
pub mod worker;
pub mod world;

use std::time::Duration;

pub use crate::errors::Result;

/// Waits.
pub async fn rest(pause: Duration) {
    let _elapsed = tokio::time::timeout(pause, std::future::pending::<()>()).await;
}
