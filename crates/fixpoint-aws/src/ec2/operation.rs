//! What makes a struct an EC2 operation, and the two macros that say so in one line each.
//!
//! The surprise: a request is written by `serde` alone. Field names become parameter names
//! (`wire.rs` numbers the lists), so the struct *is* the wire format.

use std::fmt::Debug;

use serde::{Serialize, de::DeserializeOwned};

/// An EC2 request and the answer it gets.
pub trait Operation: Serialize + Debug + Send + Sync + 'static {
    /// The `Action` of the Query API.
    const NAME: &'static str;
    /// The answer.
    type Output: DeserializeOwned + Debug + Send + Sync + 'static;
}

/// An operation whose answer comes in pages.
pub trait Paged: Operation + Clone {
    /// What a page holds.
    type Item: Send;
    /// Asks for the page that `token` stands for.
    fn turn_to(&mut self, token: String);
    /// Takes a page apart: its items, and the token of the next one.
    fn page(output: Self::Output) -> (Vec<Self::Item>, Option<String>);
}

/// `operations! { CreateVpc => CreatedVpc, .. }`: each struct is the operation of its own name.
macro_rules! operations {
    ($($name:ident => $output:ty),+ $(,)?) => {$(
        impl $crate::ec2::operation::Operation for $name {
            const NAME: &'static str = stringify!($name);
            type Output = $output;
        }
    )+};
}

/// `paged! { DescribeVpcs: vpcs => Vpc, .. }`: the answer's field `vpcs` holds the page's items.
macro_rules! paged {
    ($($name:ident: $field:ident => $item:ty),+ $(,)?) => {$(
        impl $crate::ec2::operation::Paged for $name {
            type Item = $item;
            fn turn_to(&mut self, token: String) {
                self.next_token = Some(token);
            }
            fn page(output: Self::Output) -> (Vec<$item>, Option<String>) {
                (output.$field, output.next_token)
            }
        }
    )+};
}

pub(super) use {operations, paged};
