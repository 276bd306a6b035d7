//! Quick filters: fields of a form that stand for conditions of a query.
//!
//! Not here: the language (`fixpoint_trace::query`). The surprise: a filter keeps nothing of its
//! own. It is read out of the query's text and written back into it, so the text is all there is.

use fixpoint_trace::query::{
    Alternative, Condition, Field, InvalidLength, Length, Literal, Op, Query, TraceCondition,
};

/// What a field of the form narrows a search to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Filter {
    /// A span of this service.
    Service,
    /// The same span has this name.
    Operation,
    /// The trace takes at least this long.
    Min,
    /// The trace takes at most this long.
    Max,
    /// A span of the trace failed.
    Errors,
}

impl Filter {
    /// What the field holds: empty unless every alternative of the query says the same.
    pub(crate) fn read(self, query: &Query) -> String {
        let mut values = query.any.iter().map(|alternative| self.value(alternative));
        let first = values.next().flatten();
        first.filter(|first| values.all(|it| it.as_ref() == Some(first))).unwrap_or_default()
    }

    /// The query with the field's text in place of what it said; an empty text says nothing.
    ///
    /// # Errors
    ///
    /// A length of time is not one.
    pub(crate) fn write(self, mut query: Query, text: &str) -> Result<Query, InvalidLength> {
        let text = text.trim();
        if query.any.is_empty() {
            query.any.push(Alternative::default());
        }
        for alternative in &mut query.any {
            alternative.span.retain(|condition| !self.says_of_span(condition));
            alternative.trace.retain(|condition| self.of_trace(condition).is_none());
            if text.is_empty() {
                continue;
            }
            match self {
                Self::Service => alternative.span.push(Condition::equal(Field::Service, text)),
                Self::Operation => alternative.span.push(Condition::equal(Field::Name, text)),
                Self::Min => alternative.trace.push(duration(Op::AtLeast, text)?),
                Self::Max => alternative.trace.push(duration(Op::AtMost, text)?),
                Self::Errors => alternative.trace.push(TraceCondition::Errors(Op::More, 0)),
            }
        }
        Ok(query)
    }

    fn value(self, alternative: &Alternative) -> Option<String> {
        let span = alternative.span.iter().find(|condition| self.says_of_span(condition));
        match span.map(|condition| &condition.value) {
            Some(Literal::Text(text)) => Some(text.clone()),
            _ => alternative.trace.iter().find_map(|condition| self.of_trace(condition)),
        }
    }

    fn says_of_span(self, condition: &Condition) -> bool {
        let field = match self {
            Self::Service => Field::Service,
            Self::Operation => Field::Name,
            Self::Min | Self::Max | Self::Errors => return false,
        };
        condition.field == field && condition.op == Op::Equal
    }

    fn of_trace(self, condition: &TraceCondition) -> Option<String> {
        match (self, condition) {
            (Self::Min, TraceCondition::Duration(Op::AtLeast | Op::More, nanos))
            | (Self::Max, TraceCondition::Duration(Op::AtMost | Op::Less, nanos)) => {
                Some(Length(*nanos).to_string())
            }
            (Self::Errors, TraceCondition::Errors(Op::More, 0)) => Some("1".to_owned()),
            _ => None,
        }
    }
}

fn duration(op: Op, text: &str) -> Result<TraceCondition, InvalidLength> {
    // As people write it beside the field: "1 s".
    let Length(nanos) = text.replace(' ', "").parse()?;
    Ok(TraceCondition::Duration(op, nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Filter; 5] =
        [Filter::Service, Filter::Operation, Filter::Min, Filter::Max, Filter::Errors];

    fn query(text: &str) -> Query {
        text.parse().unwrap()
    }

    #[test]
    fn a_field_shows_what_the_text_says() {
        let read = |text| ALL.map(|filter| filter.read(&query(text)));
        assert_eq!(read(""), ["", "", "", "", ""]);
        assert_eq!(
            read("service = api and \"GET /\" and trace.duration >= 1.5s and trace.errors > 0"),
            ["api", "GET /", "1.5s", "", "1"]
        );
        assert_eq!(read("service = a and error or service = a and open")[0], "a");
        assert_eq!(read("service = a or service = b")[0], "", "there is no one service");
        assert_eq!(read("service = a or error")[0], "");
        assert_eq!(read("service != a and has(service = b)")[0], "");
    }

    #[test]
    fn a_field_that_is_changed_changes_its_condition_and_no_other() {
        let edit = |filter: Filter, text, value| {
            filter.write(query(text), value).map(|query| query.to_string())
        };
        for (filter, text, value, expected) in [
            (Filter::Service, "", "api", r#"service = "api""#),
            (Filter::Service, "service = a and error", "b", r#"status = error and service = "b""#),
            (Filter::Service, "service = a and error", " ", "status = error"),
            (Filter::Operation, "missing(x)", "GET /", r#"name = "GET /" and missing("x")"#),
            (Filter::Min, "trace.duration > 1s", "2 s", "trace.duration >= 2s"),
            (
                Filter::Max,
                "trace.duration > 1s",
                "2s",
                "trace.duration > 1s and trace.duration <= 2s",
            ),
            (Filter::Errors, "open", "1", "trace.open and trace.errors > 0"),
            (Filter::Errors, "trace.errors > 0", "", ""),
            (
                Filter::Errors,
                "a or b",
                "1",
                r#"name = "a" and trace.errors > 0 or name = "b" and trace.errors > 0"#,
            ),
        ] {
            assert_eq!(edit(filter, text, value).as_deref(), Ok(expected), "{text:?} {value:?}");
        }
        assert_eq!(edit(Filter::Min, "", "long"), Err(InvalidLength));
    }

    #[test]
    fn what_was_written_is_read_again() {
        for (filter, value) in [
            (Filter::Service, "say \"hi\""),
            (Filter::Operation, "and"),
            (Filter::Min, "200ms"),
            (Filter::Max, "1h30m"),
            (Filter::Errors, "1"),
        ] {
            let written = filter.write(query("kind = client"), value).unwrap();
            assert_eq!(filter.read(&query(&written.to_string())), value);
        }
    }
}
