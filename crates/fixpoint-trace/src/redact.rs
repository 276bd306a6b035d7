//! Removes secrets from texts and JSON by pattern.
pub const REDACTED: &str = "[redacted]";
pub fn is_secret_name(_: &str) -> bool { false }
pub fn text(text: &str) -> std::borrow::Cow<'_, str> { text.into() }
pub fn json(_: &mut serde_json::Value) {}
