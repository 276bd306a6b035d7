//! The shapes of OTLP in JSON, as the protocol writes them.
//!
//! Field names are lowerCamelCase, ids hex, 64-bit integers text, enums numbers; unknown fields
//! are ignored, and integers are also taken as numbers, as the protocol asks of a reader.
//! <https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::model::{SpanId, TraceId};

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct TracesData {
    pub(super) resource_spans: Vec<ResourceSpans>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ResourceSpans {
    pub(super) resource: Resource,
    pub(super) scope_spans: Vec<ScopeSpans>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ScopeSpans {
    pub(super) scope: Scope,
    pub(super) spans: Vec<Span>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct LogsData {
    pub(super) resource_logs: Vec<ResourceLogs>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ResourceLogs {
    pub(super) resource: Resource,
    pub(super) scope_logs: Vec<ScopeLogs>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ScopeLogs {
    pub(super) scope: Scope,
    pub(super) log_records: Vec<LogRecord>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Resource {
    pub(super) attributes: Vec<KeyValue>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Scope {
    pub(super) name: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Span {
    pub(super) trace_id: TraceId,
    pub(super) span_id: SpanId,
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    pub(super) parent_span_id: Option<SpanId>,
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    pub(super) kind: i32,
    #[serde(default)]
    pub(super) start_time_unix_nano: Int<u64>,
    #[serde(default, skip_serializing_if = "Int::is_zero")]
    pub(super) end_time_unix_nano: Int<u64>,
    #[serde(default)]
    pub(super) attributes: Vec<KeyValue>,
    #[serde(default)]
    pub(super) events: Vec<Event>,
    #[serde(default)]
    pub(super) links: Vec<Link>,
    #[serde(default)]
    pub(super) status: Status,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Event {
    #[serde(default)]
    pub(super) time_unix_nano: Int<u64>,
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    pub(super) attributes: Vec<KeyValue>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Link {
    pub(super) trace_id: TraceId,
    pub(super) span_id: SpanId,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Status {
    #[serde(skip_serializing_if = "is_unset")]
    pub(super) code: i32,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) message: String,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_unset(code: &i32) -> bool {
    *code == 0
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LogRecord {
    #[serde(default)]
    pub(super) time_unix_nano: Int<u64>,
    #[serde(default)]
    pub(super) severity_number: i32,
    #[serde(default)]
    pub(super) severity_text: String,
    #[serde(default)]
    pub(super) body: AnyValue,
    #[serde(default)]
    pub(super) attributes: Vec<KeyValue>,
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    pub(super) trace_id: Option<TraceId>,
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    pub(super) span_id: Option<SpanId>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct KeyValue {
    pub(super) key: String,
    #[serde(default)]
    pub(super) value: AnyValue,
}

/// A value: at most one of the fields is set.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct AnyValue {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) string_value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bool_value: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) int_value: Option<Int<i64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) double_value: Option<Double>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) array_value: Option<ArrayValue>,
    /// Only read: the model has no maps; they are kept as JSON text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) kvlist_value: Option<serde_json::Value>,
    /// Only read: base64, kept as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bytes_value: Option<String>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct ArrayValue {
    pub(super) values: Vec<AnyValue>,
}

/// A 64-bit integer: written as text, read as text or number.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub(super) struct Int<T>(pub(super) T);

impl Int<u64> {
    fn is_zero(&self) -> bool {
        self.0 == 0
    }
}

impl<T: std::fmt::Display> Serialize for Int<T> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&self.0)
    }
}

impl<'de, T> Deserialize<'de> for Int<T>
where
    T: std::str::FromStr<Err = std::num::ParseIntError> + Deserialize<'de>,
{
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum TextOr<T> {
            Text(String),
            Number(T),
        }
        match TextOr::deserialize(d)? {
            TextOr::Text(text) => text.parse().map(Self).map_err(serde::de::Error::custom),
            TextOr::Number(number) => Ok(Self(number)),
        }
    }
}

/// A double: a number, or one of the three that JSON has none for, as text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Double(pub(super) f64);

impl Serialize for Double {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            value if value.is_finite() => s.serialize_f64(value),
            value if value.is_nan() => s.serialize_str("NaN"),
            value if value > 0.0 => s.serialize_str("Infinity"),
            _ => s.serialize_str("-Infinity"),
        }
    }
}

impl<'de> Deserialize<'de> for Double {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum NumberOr {
            Number(f64),
            Text(String),
        }
        match NumberOr::deserialize(d)? {
            NumberOr::Number(number) => Ok(Self(number)),
            NumberOr::Text(text) => text.parse().map(Self).map_err(serde::de::Error::custom),
        }
    }
}

/// An id that is left out, or empty, or all zero where there is none.
mod optional {
    use std::{fmt::Display, str::FromStr};

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<T: Serialize, S: Serializer>(
        id: &Option<T>,
        s: S,
    ) -> Result<S::Ok, S::Error> {
        id.serialize(s)
    }

    pub(super) fn deserialize<'de, T, D>(d: D) -> Result<Option<T>, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        match Option::<String>::deserialize(d)?.as_deref().map(|id| (id, id.trim_matches('0'))) {
            None | Some((_, "")) => Ok(None),
            Some((id, _)) => id.parse().map(Some).map_err(serde::de::Error::custom),
        }
    }
}
