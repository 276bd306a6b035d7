//! OTLP in protobuf, read and written by hand: the one format whose speed matters.
//!
//! For requests that come in, files of the same shape (`TracesData`, `LogsData`), and what goes
//! out to other backends. Not for JSON, nor for formats that few senders speak; those are derived.
//! The surprise: nothing here builds messages. A span is checked and looked at where it lies, and
//! a span that is not valid costs only itself, never the request around it.
//!
//! <https://github.com/open-telemetry/opentelemetry-proto>, version 1.10.

mod encode;
mod given;
mod parse;
#[cfg(test)]
mod tests;
mod walk;
mod wire;
mod within;

pub(crate) use self::{
    encode::{encode_log, encode_messages, encode_span},
    parse::{event, link, owned, resource, scope, value},
    walk::{Place, Visitor, walk},
};
pub use self::{
    encode::{encode_logs, encode_spans},
    given::given_to,
    within::{size, within},
};

/// How deep values may be nested. One more level of lists or maps takes up to four levels of JSON,
/// and a reader of JSON commonly stops at 128; what is taken must be readable again.
pub(crate) const MAX_DEPTH: usize = 24;

/// Why bytes are not what they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Invalid {
    /// The message, or a field of it, ends too early.
    #[error("a field is longer than what is left of its message")]
    Truncated,
    /// More than ten bytes, or more than 64 bits.
    #[error("a number has more than 64 bits")]
    TooLong,
    /// Groups, which OTLP never had, or no wire type at all.
    #[error("wire type {0} is none that OTLP uses")]
    WireType(u8),
    /// Field numbers start at 1.
    #[error("a field has number 0")]
    FieldZero,
    /// Protobuf wants UTF-8.
    #[error("a text is not UTF-8")]
    Text,
    /// See [`MAX_DEPTH`].
    #[error("values are nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// Wrong length, or all zero where that is not allowed.
    #[error("the {0} is not valid")]
    Id(&'static str),
}
