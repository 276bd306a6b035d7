//! The part of TraceQL that is a search for spans, read as a query of ours.
//!
//! `{ resource.service.name = "shop" && name = "GET /" && duration > 1s && status = error }`:
//! conditions on one span, joined by `&&`, alternatives by `||`, which binds weaker; no
//! parentheses. Not here: relations between spans, pipelines, metrics, and regular expressions
//! beyond `=~ "a|b"`. The surprise: whatever is not taken is refused. Grafana's page composes
//! queries by itself, and an answer to another question would mislead.

use fixpoint_trace::query::{Alternative, Condition, Field, Literal, Op, Query, TraceCondition};

use super::duration;

/// The text is no query, or one that is not taken here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a TraceQL query that is taken here: {what}, at {at:?}")]
pub(super) struct TraceQlError {
    what: &'static str,
    at: String,
}

fn error(what: &'static str, at: &str) -> TraceQlError {
    TraceQlError { what, at: at.chars().take(40).collect() }
}

/// Reads a query.
pub(super) fn parse(text: &str) -> Result<Query, TraceQlError> {
    let inner = text.trim();
    let inner = inner.strip_prefix('{').ok_or_else(|| error("{ is wanted", inner))?;
    let mut query = Query::default();
    let mut rest = inner.trim_start();
    if let Some(after) = rest.strip_prefix('}') {
        return end(after, query);
    }
    let mut alternatives = vec![Alternative::default()];
    loop {
        let after = condition(rest, &mut alternatives)?.trim_start();
        if let Some(more) = after.strip_prefix("&&") {
            rest = more.trim_start();
        } else if let Some(more) = after.strip_prefix("||") {
            query.any.append(&mut alternatives);
            alternatives = vec![Alternative::default()];
            rest = more.trim_start();
        } else {
            query.any.append(&mut alternatives);
            let after =
                after.strip_prefix('}').ok_or_else(|| error("&&, || or } is wanted", after))?;
            return end(after, query);
        }
    }
}

fn end(after: &str, query: Query) -> Result<Query, TraceQlError> {
    match after.trim() {
        "" => Ok(query),
        more => Err(error("only one { } is taken", more)),
    }
}

/// Reads `field op value` and narrows the alternatives down by it; returns what follows.
fn condition<'a>(
    text: &'a str,
    alternatives: &mut Vec<Alternative>,
) -> Result<&'a str, TraceQlError> {
    let (name, after) = word(text);
    if name.is_empty() {
        return Err(error("the name of a field is wanted", text));
    }
    let after = after.trim_start();
    let (op, after) = operator(after)?;
    let (value, after) = value(after.trim_start())?;
    // `=~ "a|b"` is as many alternatives.
    let choices: Vec<_> = match op {
        Operator::OneOf => {
            let Literal::Text(pattern) = &value else {
                return Err(error("=~ wants a text", text));
            };
            if pattern.contains(|c: char| r"\.+*?()[]{}^$".contains(c)) {
                return Err(error("only =~ \"a|b\" is taken of regular expressions", text));
            }
            pattern.split('|').map(|choice| Literal::Text(choice.to_owned())).collect()
        }
        Operator::Is(_) => vec![value],
    };
    let op = match op {
        Operator::OneOf => Op::Equal,
        Operator::Is(op) => op,
    };
    if alternatives.len() * choices.len() > 100 {
        return Err(error("too many alternatives", text));
    }
    let mut narrowed = Vec::new();
    for alternative in &*alternatives {
        for choice in &choices {
            let mut alternative = alternative.clone();
            add(&mut alternative, name, op, choice.clone()).map_err(|what| error(what, text))?;
            narrowed.push(alternative);
        }
    }
    *alternatives = narrowed;
    Ok(after)
}

/// Adds a condition to an alternative, whether it is one on a span or on the trace.
fn add(
    alternative: &mut Alternative,
    name: &str,
    op: Op,
    value: Literal,
) -> Result<(), &'static str> {
    let field = match (name, value.clone()) {
        ("rootName" | "trace:rootName", Literal::Text(root)) => {
            alternative.trace.push(TraceCondition::Root(op, root));
            return Ok(());
        }
        ("traceDuration" | "trace:duration", Literal::Duration(nanos)) => {
            alternative.trace.push(TraceCondition::Duration(op, nanos));
            return Ok(());
        }
        ("duration" | "span:duration", Literal::Duration(_)) => Field::Duration,
        ("name" | "span:name", Literal::Text(_)) => Field::Name,
        ("kind" | "span:kind", Literal::Text(_)) => Field::Kind,
        ("status" | "span:status", Literal::Text(_)) => Field::Status,
        ("statusMessage" | "span:statusMessage", Literal::Text(_)) => Field::StatusMessage,
        (name, _) if attribute(name) == "service.name" => Field::Service,
        (name, _) if attribute(name) != name => Field::Attribute(attribute(name).to_owned()),
        _ => return Err("no such field, or not with such a value; attributes begin with a dot"),
    };
    alternative.span.push(Condition { field, op, value });
    Ok(())
}

/// The attribute that `.x`, `span.x`, `resource.x` or `instrumentation.x` names; anything else as
/// it is.
pub(super) fn attribute(name: &str) -> &str {
    ["span.", "resource.", "instrumentation.", "."]
        .iter()
        .find_map(|scope| name.strip_prefix(scope))
        .unwrap_or(name)
        .trim_matches('"')
}

/// How a value is compared.
#[derive(Debug, Clone, Copy)]
enum Operator {
    Is(Op),
    /// `=~`
    OneOf,
}

fn operator(text: &str) -> Result<(Operator, &str), TraceQlError> {
    [
        ("=~", Operator::OneOf),
        ("!=", Operator::Is(Op::NotEqual)),
        (">=", Operator::Is(Op::AtLeast)),
        ("<=", Operator::Is(Op::AtMost)),
        ("=", Operator::Is(Op::Equal)),
        (">", Operator::Is(Op::More)),
        ("<", Operator::Is(Op::Less)),
    ]
    .into_iter()
    .find_map(|(sign, operator)| Some((operator, text.strip_prefix(sign)?)))
    .ok_or_else(|| error("one of = != > >= < <= =~ is wanted", text))
}

/// A word, and what follows. A part of it may be in quotes: `span."my key"`.
fn word(text: &str) -> (&str, &str) {
    let mut quoted = false;
    let end = text.find(|c: char| {
        quoted ^= c == '"';
        !quoted && (c.is_whitespace() || "=!<>~&|{}".contains(c))
    });
    text.split_at(end.unwrap_or(text.len()))
}

fn value(text: &str) -> Result<(Literal, &str), TraceQlError> {
    for quote in ['"', '`'] {
        if let Some(quoted) = text.strip_prefix(quote) {
            let end = match quote {
                '"' => closing_quote(quoted),
                _ => quoted.find(quote),
            };
            let end = end.ok_or_else(|| error("a text lacks its closing quote", text))?;
            let inner = &quoted[..end];
            let inner = if quote == '"' { unescape(inner) } else { inner.to_owned() };
            return Ok((Literal::Text(inner), &quoted[end + 1..]));
        }
    }
    let (word, after) = word(text);
    let literal = match word {
        "" => return Err(error("a value is wanted", text)),
        "nil" => return Err(error("nil is not taken", text)),
        "true" => Literal::Bool(true),
        "false" => Literal::Bool(false),
        number if number.parse::<f64>().is_ok() => {
            Literal::Number(number.parse().unwrap_or_default())
        }
        time if time.starts_with(|c: char| c.is_ascii_digit()) => {
            Literal::Duration(duration(time).map_err(|_| error("no duration", text))?)
        }
        // `error`, `server` and the like.
        word => Literal::Text(word.to_owned()),
    };
    Ok((literal, after))
}

/// Where the quote is that ends a text; one behind a backslash does not.
pub(super) fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.find(|c| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    })
}

/// A quoted text without its backslashes.
pub(super) fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        plain.push(if c == '\\' { chars.next().unwrap_or(c) } else { c });
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(field: Field, op: Op, value: Literal) -> Condition {
        Condition { field, op, value }
    }

    #[test]
    fn a_search_for_spans_is_read() {
        let query = parse(
            r#"{ resource.service.name="shop" && name = "GET /" && duration>1.5s && status = error }"#,
        );
        let wanted = Query::of_span(vec![
            Condition::equal(Field::Service, "shop"),
            Condition::equal(Field::Name, "GET /"),
            is(Field::Duration, Op::More, Literal::Duration(1_500_000_000)),
            Condition::equal(Field::Status, "error"),
        ]);
        assert_eq!(query, Ok(wanted));
    }

    #[test]
    fn attributes_of_every_scope_and_type_are_read() {
        let attribute = |name: &str| Field::Attribute(name.to_owned());
        for (text, condition) in [
            ("{.http.method = `GET`}", Condition::equal(attribute("http.method"), "GET")),
            ("{span.n >= 5}", is(attribute("n"), Op::AtLeast, Literal::Number(5.0))),
            ("{resource.ok != true}", is(attribute("ok"), Op::NotEqual, Literal::Bool(true))),
            (r#"{span."my key" = "a\"b"}"#, Condition::equal(attribute("my key"), "a\"b")),
            ("{kind=server}", Condition::equal(Field::Kind, "server")),
        ] {
            assert_eq!(parse(text), Ok(Query::of_span(vec![condition])), "{text}");
        }
    }

    #[test]
    fn alternatives_come_from_or_and_from_a_list_of_texts() {
        let of = |names: &[&str]| Query {
            any: names
                .iter()
                .map(|name| Alternative {
                    span: vec![Condition::equal(Field::Name, *name)],
                    ..Alternative::default()
                })
                .collect(),
        };
        assert_eq!(parse(r#"{ name =~ "a|b" || name = "c" }"#), Ok(of(&["a", "b", "c"])));
        assert_eq!(parse("{}"), Ok(Query::default()));
    }

    #[test]
    fn what_is_about_the_trace_is_a_condition_on_the_trace() {
        let query = parse(r#"{ rootName = "run" && traceDuration > 10m }"#).unwrap();
        assert_eq!(query.any[0].span, []);
        assert_eq!(
            query.any[0].trace,
            [
                TraceCondition::Root(Op::Equal, "run".to_owned()),
                TraceCondition::Duration(Op::More, 600_000_000_000),
            ]
        );
    }

    #[test]
    fn what_is_not_taken_is_refused_with_the_place() {
        for (text, place) in [
            ("", ""),
            ("name = \"x\"", "name = \"x\""),
            ("{ name = \"x\" } | count() > 2", "| count() > 2"),
            ("{ name = \"x\" } >> { name = \"y\" }", ">> { name = \"y\" }"),
            ("{ name = }", "}"),
            ("{ name \"x\" }", "\"x\" }"),
            ("{ name = \"x }", "\"x }"),
            ("{ name =~ \"x.*\" }", "name =~ \"x.*\" }"),
            ("{ name !~ \"x\" }", "!~ \"x\" }"),
            ("{ duration > 5 }", "duration > 5 }"),
            ("{ unheard_of = 5 }", "unheard_of = 5 }"),
            ("{ .x = nil }", "nil }"),
            ("{ .x = 5", ""),
            ("{ .x = 5 && }", "}"),
        ] {
            let refused = parse(text).unwrap_err();
            assert_eq!(refused.at, place, "{text}: {refused}");
        }
    }

    #[test]
    fn a_query_cannot_multiply_without_end() {
        let many = [r#".x =~ "a|b|c""#; 5].join(" && ");
        assert!(parse(&format!("{{ {many} }}")).is_err());
    }
}
