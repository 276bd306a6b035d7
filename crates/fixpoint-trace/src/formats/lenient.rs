//! What readers of JSON overlook, whichever format it is.
//!
//! Not here: anything that a format says. The surprise: a whole number may come as text, as a
//! number, and as a number with an exponent, since that is how some languages print large ones.

use serde::{Deserialize, Deserializer, Serialize, de::Error};
use serde_json::Value as Json;

use crate::model::{InvalidId, SpanId, TraceId};

/// A whole number: read as text or number, written as number.
#[derive(Debug, Default, Clone, Copy, PartialEq, Serialize)]
#[serde(transparent)]
pub(crate) struct Int<T>(pub(crate) T);

impl<T: TryFrom<i128>> Int<T> {
    /// The number that JSON has; none if that is no such number.
    pub(crate) fn of(json: &Json) -> Option<Self> {
        let number = match json {
            Json::String(text) => text.parse().ok(),
            Json::Number(number) => number.as_i128().or_else(|| whole(number.as_f64()?)),
            _ => None,
        };
        T::try_from(number?).ok().map(Self)
    }
}

impl<'de, T: TryFrom<i128>> Deserialize<'de> for Int<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let json = Json::deserialize(d)?;
        Self::of(&json).ok_or_else(|| D::Error::custom(format_args!("{json} is no such integer")))
    }
}

/// The number, if it has no fraction and is of a size where that means something.
fn whole(number: f64) -> Option<i128> {
    (number.fract() == 0.0 && number.abs() < 2_f64.powi(64)).then_some(number as i128)
}

/// Takes out the nulls: one is as good as nothing, wherever a field may stand.
pub(crate) fn drop_nulls(json: &mut Json) {
    match json {
        Json::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Json::Array(values) => values.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// A trace id of up to 32 digits, since older tracers have 64 bits, and some leave zeros out.
pub(crate) fn trace_id(digits: &str) -> Result<TraceId, InvalidId> {
    format!("{digits:0>32}").parse()
}

/// A span id of up to 16 digits.
pub(crate) fn span_id(digits: &str) -> Result<SpanId, InvalidId> {
    format!("{digits:0>16}").parse()
}

/// A trace id as those tracers write it: one of 64 bits has 16 digits.
pub(crate) fn short_trace_id(id: TraceId) -> String {
    let digits = id.to_string();
    digits.strip_prefix("0000000000000000").map(str::to_owned).unwrap_or(digits)
}
