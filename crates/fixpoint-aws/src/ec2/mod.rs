//! The part of EC2's Query API that a provisioning plan needs, typed, on the official SDK's runtime.
//!
//! Not a complete EC2 client: an operation is here when a plan sends it, a field when a plan reads
//! it. The surprise: there is no `aws-sdk-ec2` underneath (building it takes 7 GB of memory), yet
//! signing, retries, time-outs and interceptors are the SDK's own; see [`client`](Client).
//!
//! Field names are EC2's, in Rust's case. Lists that EC2 numbers in the singular (`SubnetId.1`)
//! are plural here. An absent text is an empty one. Times are RFC 3339 text, which sorts by time.
//!
//! ```no_run
//! # async fn example(aws: fixpoint_aws::Aws) -> Result<(), fixpoint_aws::Error> {
//! use fixpoint_aws::ec2::{DescribeVpcs, Filter};
//! let ours = DescribeVpcs { filters: vec![Filter::tag("fixpoint:cluster", "idg")], ..Default::default() };
//! for vpc in aws.ec2.all(ours).await? {
//!     println!("{} {}", vpc.vpc_id, vpc.state);
//! }
//! # Ok(()) }
//! ```

mod catalog;
mod client;
mod devices;
mod endpoint;
mod instances;
mod keys;
mod network;
mod operation;
mod routes;
mod security;
mod tags;
mod wire;

pub use catalog::*;
pub use client::Client;
pub use devices::*;
pub use instances::*;
pub use keys::*;
pub use network::*;
pub use operation::{Operation, Paged};
pub use routes::*;
pub use security::*;
pub use tags::*;
