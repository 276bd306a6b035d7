//! Trace context into and out of HTTP headers.
//!
//! Read: W3C `traceparent`, then B3 in one header, then B3 in several, then Jaeger's
//! `uber-trace-id`; the first that holds a valid context counts, since a proxy that adds its own
//! format leaves the caller's in place. Written: `traceparent` on requests; on answers what
//! [`response_headers`] says. Not here: baggage and `tracestate`. The surprise: sampling flags are
//! read past, because every trace is kept.
//!
//! Formats: <https://www.w3.org/TR/trace-context/>, <https://github.com/openzipkin/b3-propagation>,
//! <https://www.jaegertracing.io/sdk-migration/#propagation-format>.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::model::{SpanContext, SpanId, TraceId};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const B3: HeaderName = HeaderName::from_static("b3");
const B3_TRACE_ID: HeaderName = HeaderName::from_static("x-b3-traceid");
const B3_SPAN_ID: HeaderName = HeaderName::from_static("x-b3-spanid");
const UBER_TRACE_ID: HeaderName = HeaderName::from_static("uber-trace-id");
const X_TRACE_ID: HeaderName = HeaderName::from_static("x-trace-id");
const TRACERESPONSE: HeaderName = HeaderName::from_static("traceresponse");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// The caller's context, or none if the headers hold no valid one.
pub fn extract(headers: &HeaderMap) -> Option<SpanContext> {
    only(headers, &TRACEPARENT)
        .and_then(w3c)
        .or_else(|| only(headers, &B3).and_then(b3))
        .or_else(|| {
            let trace_id = padded(only(headers, &B3_TRACE_ID)?)?;
            let span_id = only(headers, &B3_SPAN_ID)?.parse().ok()?;
            Some(SpanContext { trace_id, span_id })
        })
        .or_else(|| only(headers, &UBER_TRACE_ID).and_then(uber))
}

/// Adds `traceparent`, replacing one that is there.
pub fn inject(context: SpanContext, headers: &mut HeaderMap) {
    headers.insert(TRACEPARENT, value(traceparent(context)));
}

/// What an answer says of its trace, for people (`x-trace-id`), for tracing libraries
/// (`traceresponse`) and for scripts in a browser, which can read only `Server-Timing` unless the
/// others are exposed. The list of exposed headers must be appended to one that is there.
pub fn response_headers(context: SpanContext) -> [(HeaderName, HeaderValue); 4] {
    let parent = traceparent(context);
    [
        (X_TRACE_ID, value(context.trace_id.to_string())),
        (SERVER_TIMING, value(format!("traceparent;desc=\"{parent}\""))),
        (TRACERESPONSE, value(parent)),
        (
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static("x-trace-id, traceresponse, server-timing"),
        ),
    ]
}

fn traceparent(SpanContext { trace_id, span_id }: SpanContext) -> String {
    format!("00-{trace_id}-{span_id}-01")
}

fn value(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("ids in hex and punctuation are visible ASCII")
}

/// The header's value, if there is exactly one: with two, it is not known whose word counts.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    if values.next().is_some() {
        return None;
    }
    value.to_str().ok().map(str::trim)
}

fn w3c(header: &str) -> Option<SpanContext> {
    let mut parts = header.splitn(5, '-');
    let [version, trace_id, span_id, flags] = [(); 4].map(|()| parts.next());
    let version = lower_hex(version?, 2)?;
    lower_hex(flags?, 2)?;
    // A future version may say more behind the flags; this one may not.
    if version == "ff" || version == "00" && parts.next().is_some() {
        return None;
    }
    Some(SpanContext {
        trace_id: lower_hex(trace_id?, 32)?.parse().ok()?,
        span_id: lower_hex(span_id?, 16)?.parse().ok()?,
    })
}

fn lower_hex(text: &str, digits: usize) -> Option<&str> {
    let valid = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    (valid && text.len() == digits).then_some(text)
}

/// `{trace}-{span}[-{sampled}[-{parent}]]`; a lone `0`, which forbids sampling, has no context.
fn b3(header: &str) -> Option<SpanContext> {
    let mut parts = header.split('-');
    let (trace_id, span_id) = (parts.next()?, parts.next()?);
    if parts.count() > 2 {
        return None;
    }
    Some(SpanContext { trace_id: padded(trace_id)?, span_id: span_id.parse().ok()? })
}

/// `{trace}:{span}:{parent}:{flags}`, where ids may lack leading zeros and the colons may come
/// percent-encoded.
fn uber(header: &str) -> Option<SpanContext> {
    let header = header.replace("%3A", ":").replace("%3a", ":");
    let parts: Vec<_> = header.split(':').collect();
    let [trace_id, span_id, _, _] = parts[..] else { return None };
    let fill = |id: &str, digits: usize| {
        (!id.is_empty() && id.len() <= digits).then(|| format!("{id:0>digits$}"))
    };
    let trace_id: TraceId = fill(trace_id, 32)?.parse().ok()?;
    let span_id: SpanId = fill(span_id, 16)?.parse().ok()?;
    Some(SpanContext { trace_id, span_id })
}

/// A trace id of 128 bits, or one of 64 with zeros before it.
fn padded(id: &str) -> Option<TraceId> {
    match id.len() {
        32 => id.parse().ok(),
        16 => format!("{id:0>32}").parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    fn read(headers: &[(&'static str, &str)]) -> Option<String> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        extract(&map).map(|c| format!("{} {}", c.trace_id, c.span_id))
    }

    #[test]
    fn a_callers_context_is_read_in_every_format() {
        let whole = Some(format!("{TRACE} {SPAN}"));
        let half = Some(format!("0000000000000000a3ce929d0e0e4736 {SPAN}"));
        for (name, value, expected) in [
            ("traceparent", format!("00-{TRACE}-{SPAN}-01"), &whole),
            ("traceparent", format!("00-{TRACE}-{SPAN}-00"), &whole),
            ("traceparent", format!(" 00-{TRACE}-{SPAN}-01 "), &whole),
            ("traceparent", format!("cc-{TRACE}-{SPAN}-01"), &whole),
            ("traceparent", format!("cc-{TRACE}-{SPAN}-01-what-ever"), &whole),
            ("b3", format!("{TRACE}-{SPAN}"), &whole),
            ("b3", format!("{TRACE}-{SPAN}-1"), &whole),
            ("b3", format!("{TRACE}-{SPAN}-d-05e3ac9a4f6e3b90"), &whole),
            ("b3", format!("a3ce929d0e0e4736-{SPAN}-1"), &half),
            ("uber-trace-id", format!("{TRACE}:{SPAN}:0:1"), &whole),
            ("uber-trace-id", format!("{TRACE}:f067aa0ba902b7:0:1"), &whole),
            ("uber-trace-id", format!("{TRACE}%3A{SPAN}%3a0%3A1"), &whole),
            ("uber-trace-id", format!("a3ce929d0e0e4736:{SPAN}:0:1"), &half),
        ] {
            assert_eq!(&read(&[(name, &value)]), expected, "{name}: {value}");
        }
        assert_eq!(read(&[("x-b3-traceid", TRACE), ("x-b3-spanid", SPAN)]), whole);
        assert_eq!(read(&[("X-B3-TraceId", "a3ce929d0e0e4736"), ("X-B3-SpanId", SPAN)]), half);
    }

    #[test]
    fn a_malformed_context_is_refused() {
        let zeros = "0".repeat(32);
        for (name, value) in [
            ("traceparent", String::new()),
            ("traceparent", format!("ff-{TRACE}-{SPAN}-01")),
            ("traceparent", format!("00-{zeros}-{SPAN}-01")),
            ("traceparent", format!("00-{TRACE}-0000000000000000-01")),
            ("traceparent", format!("00-{TRACE}-{SPAN}-01-extra")),
            ("traceparent", format!("00-{TRACE}-{SPAN}-01-")),
            ("traceparent", format!("00-{TRACE}-{SPAN}")),
            ("traceparent", format!("00-{TRACE}-{SPAN}-1")),
            ("traceparent", format!("0-{TRACE}-{SPAN}-01")),
            ("traceparent", format!("cc-{TRACE}-{SPAN}-01.extra")),
            ("traceparent", format!("00-{}-{SPAN}-01", TRACE.to_uppercase())),
            ("traceparent", format!("00-{}-{SPAN}-01", &TRACE[1..])),
            ("traceparent", format!("00-{TRACE}-{SPAN}00-01")),
            ("traceparent", format!("0x-{TRACE}-{SPAN}-01")),
            ("b3", "0".into()),
            ("b3", format!("{zeros}-{SPAN}-1")),
            ("b3", format!("{TRACE}-{SPAN}-1-{SPAN}-more")),
            ("b3", format!("{}-{SPAN}-1", &TRACE[1..])),
            ("x-b3-traceid", TRACE.into()),
            ("uber-trace-id", format!("{TRACE}:{SPAN}:0")),
            ("uber-trace-id", format!(":{SPAN}:0:1")),
            ("uber-trace-id", format!("0:{SPAN}:0:1")),
            ("uber-trace-id", format!("{TRACE}00:{SPAN}:0:1")),
        ] {
            assert_eq!(read(&[(name, &value)]), None, "{name}: {value}");
        }
    }

    #[test]
    fn the_most_precise_format_wins_and_an_invalid_one_is_passed_over() {
        let other = "11111111111111111111111111111111";
        let (w3c, b3) = (format!("00-{TRACE}-{SPAN}-01"), format!("{other}-{SPAN}-1"));
        assert_eq!(read(&[("b3", &b3), ("traceparent", &w3c)]), Some(format!("{TRACE} {SPAN}")));
        assert_eq!(
            read(&[("b3", &b3), ("traceparent", "00-nonsense")]),
            Some(format!("{other} {SPAN}"))
        );
        assert_eq!(read(&[("traceparent", &w3c), ("traceparent", &w3c)]), None);
    }

    #[test]
    fn what_is_injected_is_extracted() {
        let context = SpanContext { trace_id: TraceId::random(), span_id: SpanId::random() };
        let mut headers = HeaderMap::new();
        inject(context, &mut headers);
        assert_eq!(extract(&headers), Some(context));
    }

    #[test]
    fn an_answer_names_its_trace_for_people_libraries_and_browsers() {
        let context =
            SpanContext { trace_id: TRACE.parse().unwrap(), span_id: SPAN.parse().unwrap() };
        let headers: HeaderMap = response_headers(context).into_iter().collect();
        assert_eq!(headers["x-trace-id"], TRACE);
        assert_eq!(headers["traceresponse"], format!("00-{TRACE}-{SPAN}-01"));
        assert_eq!(headers["server-timing"], format!("traceparent;desc=\"00-{TRACE}-{SPAN}-01\""));
    }
}
