//! Lets clients of Zipkin read what is stored.
pub(super) mod zipkin;
