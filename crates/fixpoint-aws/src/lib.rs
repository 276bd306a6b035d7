//! crates/fixpoint-aws
