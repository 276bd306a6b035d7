//! Zipkin v2 in JSON, as an OpenTelemetry exporter for Zipkin writes spans: attributes are tags of
//! text, an event is an annotation, a failure is the tag `error`.

use super::{Placed, text};
use crate::{
    data::{Text, Value},
    template::{Patch, Template},
};

pub(super) fn request(service: &str, spans: &[Placed<'_>]) -> Template {
    let mut to = Template::default();
    for (at, placed) in spans.iter().enumerate() {
        to.push(if at == 0 { "[" } else { "," });
        span(&mut to, service, placed);
    }
    to.push("]");
    to
}

fn span(to: &mut Template, service: &str, placed: &Placed<'_>) {
    let Placed { trace, span, .. } = placed;
    to.push("{\"traceId\":\"");
    to.patch(Patch::Hex(trace.id[0], 0, 16));
    to.patch(Patch::Hex(trace.id[1], 1, 16));
    to.push("\",\"id\":\"");
    to.patch(Patch::Hex(span.id, 0, 16));
    if let Some(parent) = span.parent {
        to.push("\",\"parentId\":\"");
        to.patch(Patch::Hex(parent, 0, 16));
    }
    to.push(match span.kind {
        2 => "\",\"kind\":\"SERVER\"",
        3 => "\",\"kind\":\"CLIENT\"",
        _ => "\"",
    });
    to.push(format!(",\"name\":{},\"timestamp\":", quoted(span.name)));
    to.patch(Patch::Micros(placed.time(span.start)));
    let duration = ((span.end - span.start) / 1000).max(1);
    to.push(format!(
        ",\"duration\":{duration},\"localEndpoint\":{{\"serviceName\":{}}},\"tags\":{{",
        quoted(service)
    ));
    let mut comma = "";
    for (key, value) in &span.attributes {
        to.push(format!("{comma}{}:\"", quoted(key)));
        match value {
            Value::Text(it) => text(to, it, escaped),
            Value::Int(value) => to.push(value.to_string()),
            Value::Double(value) => to.push(value.to_string()),
        }
        to.push("\"");
        comma = ",";
    }
    if let Some(failure) = &span.failure {
        to.push(format!("{comma}\"error\":\""));
        text(to, &failure.message, escaped);
        to.push("\"},\"annotations\":[{\"timestamp\":");
        to.patch(Patch::Micros(placed.time(span.end)));
        to.push(",\"value\":\"");
        let event = Text::from(format!("exception {}: ", failure.stack));
        text(to, &event, escaped);
        to.push("\"}]}");
    } else {
        to.push("}}");
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Without the quotation marks.
fn escaped(text: &str) -> String {
    let quoted = quoted(text);
    quoted[1..quoted.len() - 1].to_owned()
}
