//! The reference application: per-customer InfluxDB clusters with add-ons, on AWS.
//!
//! For reading as much as for running: it shows how a plan is written, against public API only.
//! [`observe`] looks at the world, [`diff`] compares it with what is wanted and does no I/O,
//! [`steps`] do the work, [`plans`] put the three together, [`Clusters`] hands them to the server.
//! The surprise: there is one plan for creating, scaling, repairing and changing add-ons, since all
//! of them ask the same question: what is missing?

mod cluster;
mod error;
mod kind;
mod status;
mod user_data;

pub mod addons;
pub mod diff;
pub mod names;
pub mod observe;
pub mod plans;
pub mod rules;
pub mod spec;
pub mod steps;

pub use cluster::Cluster;
pub use error::CallFailed;
pub use kind::Clusters;
pub use spec::ClusterSpec;
