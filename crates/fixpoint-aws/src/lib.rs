//! AWS for plans: ready-made clients whose every call is recorded, and a sandbox cloud to run
//! them against without an account.
//!
//! For steps and observations of plans that provision on AWS. Not a general client: EC2 has the
//! operations that such plans need ([`ec2`]), the rest is the official SDK. The surprise: a call
//! that could happen twice is not retried by the SDK ([`retry`]); the plan looks again instead.

mod clients;
pub mod ec2;
mod error;
mod failure;
mod gate;
mod hint;
mod keys;
pub mod limits;
mod record;
pub mod retry;
pub mod sandbox;
mod secret;
#[cfg(test)]
mod testing;

pub use clients::{Aws, AwsOptions};
pub use error::{Error, error_code, is_ambiguous, is_not_found, is_permanent, plain};
pub use gate::{BeforeSend, Outgoing};
pub use hint::hint;
pub use keys::{NoKeys, SigningKeys};
pub use secret::Secret;
