//! The fault matrix: each call of a creation × each fault, and what `why` says of it.
//!
//! [`usual`] learns from good runs which calls a creation makes; [`plan`] turns them into cells, one
//! fault rule each; [`trial`] creates one cluster on a server and a sandbox of its own, with one
//! fault or none; [`judge`] says whether what came of it is right; [`report`] draws the table.
//!
//! Not here: what answers `why`. It is asked over HTTP, as a user would, and knows nothing of what
//! was injected. The surprise: every trial starts from the same good runs, copied, so that no cell
//! can learn from another one.

pub mod judge;
pub mod plan;
pub mod pool;
pub mod report;
pub mod trial;
pub mod usual;
