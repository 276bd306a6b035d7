//! Doubles, enums and bytes in the several ways that protobuf's JSON lets them be written.
//!
//! Not here: writing, which knows one way each. The surprise: an enum's name that nobody knows is
//! its 0, as it is in protobuf, and no error.

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::Value as Json;

use crate::{
    formats::lenient::Int,
    model::{Kind, Level},
    otlp::kind_of,
};

/// A double: a number, or text, which the three that JSON has no number for must be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Double(pub(super) f64);

impl<'de> Deserialize<'de> for Double {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let json = Json::deserialize(d)?;
        let number = match &json {
            Json::String(text) => text.parse().ok(),
            json => json.as_f64(),
        };
        number.map(Self).ok_or_else(|| D::Error::custom(format_args!("{json} is no number")))
    }
}

/// An `intValue`. OpenTelemetry's SDK for JavaScript writes every number without a fraction as
/// one, also those that 64 bits cannot hold; such a one is the double that it was there.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Whole {
    Int(Int<i64>),
    Larger(f64),
}

/// Base64, of either alphabet, with or without its padding.
#[derive(Debug)]
pub(super) struct Base64(pub(super) Vec<u8>);

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        const EITHER: GeneralPurposeConfig = GeneralPurposeConfig::new()
            .with_decode_padding_mode(DecodePaddingMode::Indifferent)
            .with_decode_allow_trailing_bits(true);
        const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, EITHER);
        let text = String::deserialize(d)?.replace('-', "+").replace('_', "/");
        STANDARD.decode(text).map(Self).map_err(D::Error::custom)
    }
}

/// An enum's number or name, not yet looked up.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Number {
    Number(i64),
    Name(String),
}

impl Default for Number {
    fn default() -> Self {
        Self::Number(0)
    }
}

impl Number {
    /// The number, where names are told by their place in a list.
    fn of(self, names: &[&str]) -> i64 {
        match self {
            Self::Number(number) => number,
            Self::Name(name) => {
                let place = names.iter().position(|known| *known == name);
                place.map_or(0, |place| place as i64)
            }
        }
    }
}

/// The kind that a `SpanKind` stands for.
pub(super) fn kind(kind: Number) -> Kind {
    let number = kind.of(&[
        "SPAN_KIND_UNSPECIFIED",
        "SPAN_KIND_INTERNAL",
        "SPAN_KIND_SERVER",
        "SPAN_KIND_CLIENT",
        "SPAN_KIND_PRODUCER",
        "SPAN_KIND_CONSUMER",
    ]);
    kind_of(number.try_into().unwrap_or(0))
}

/// A `StatusCode` as its number.
pub(super) fn status_code(code: Number) -> i64 {
    code.of(&["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"])
}

/// A `SeverityNumber` as its number; 0 if it is none.
pub(super) fn severity(number: Number) -> u8 {
    match number {
        Number::Number(number) => number.try_into().unwrap_or(0),
        Number::Name(name) => severity_named(&name).unwrap_or(0),
    }
}

/// `SEVERITY_NUMBER_WARN2` is the second of four that are called so.
fn severity_named(name: &str) -> Option<u8> {
    let name = name.strip_prefix("SEVERITY_NUMBER_")?;
    let level = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let within = match &name[level.len()..] {
        "" => 1,
        digits => digits.parse().ok()?,
    };
    let first = match level {
        "FATAL" => 21,
        level => {
            let levels = [Level::Trace, Level::Debug, Level::Info, Level::Warn, Level::Error];
            levels.into_iter().find(|known| known.as_str() == level)?.severity()
        }
    };
    (1..=4).contains(&within).then_some(first + within - 1)
}
