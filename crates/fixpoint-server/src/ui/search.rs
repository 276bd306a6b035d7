//! `/traces`: a query, and the traces that match it.
//!
//! Not here: the store (`http/pages/search.rs` asks it). The surprise: nothing on the page has a
//! state of its own. Every filter, preset and selection is a link or a form that leads to the same
//! page with another text or another while in its address.

use askama::Template;
use fixpoint_client::TraceSummary;
use fixpoint_trace::query::{Query, QueryError};
use jiff::Timestamp;

use super::{Chrome, filters::Filter, scatter, scatter::Scatter, shape::Shape, text};

/// What to try first, and what it finds. The first is what no other tool answers.
const EXAMPLES: [(&str, &str); 8] = [
    (
        r#"missing("ELBv2.RegisterTargets") after "ELBv2.DescribeTargetGroups""#,
        "a call that should have followed another and never came",
    ),
    (r#"root = "run clusters" and trace.errors > 0"#, "runs in which a span failed"),
    ("error and kind = client", "calls to others that failed"),
    (r#""EC2.RunInstances" and duration > 1s"#, "one call, when it was slow"),
    ("trace.duration > 10m", "whatever took long as a whole"),
    (r#"log ~ "target group""#, "by the text of a log line"),
    ("http.response.status_code >= 500", "by any attribute"),
    ("open", "what still goes on, or was cut off"),
];

/// How far back one can look with one click: the length in the address, and what is written.
pub(super) const PRESETS: [(&str, &str); 6] =
    [("15m", "15 m"), ("1h", "1 h"), ("6h", "6 h"), ("24h", "24 h"), ("7d", "7 d"), ("", "all")];

/// What is asked for, as the address says it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    /// The query.
    pub(crate) q: String,
    /// From when on: a time or a length back from now; empty for ever.
    pub(crate) since: String,
    /// Until when; empty for now.
    pub(crate) until: String,
}

impl Asked {
    /// The address of the page that shows it.
    pub(crate) fn href(&self) -> String {
        let said = [("q", &*self.q), ("since", &self.since), ("until", &self.until)];
        text::address("/traces", &said)
    }

    /// The address with one parameter more.
    pub(crate) fn with(&self, name: &str, value: &str) -> String {
        let href = self.href();
        let joint = if href.contains('?') { '&' } else { '?' };
        format!("{href}{joint}{name}={}", text::encoded(value))
    }

    /// What the same query finds in another while.
    pub(crate) fn during(&self, since: &str, until: &str) -> Self {
        Self { q: self.q.clone(), since: since.to_owned(), until: until.to_owned() }
    }
}

/// The page.
#[derive(Debug, Template)]
#[template(path = "traces.html")]
pub(crate) struct TracesPage {
    /// Around it.
    pub(crate) chrome: Chrome,
    /// What is asked for.
    pub(crate) asked: Asked,
    /// The query, if it is one.
    pub(crate) query: Query,
    /// Why nothing was searched for.
    pub(crate) mistake: Option<Mistake>,
    /// What was found.
    pub(crate) found: Found,
}

/// What is wrong with what was asked for.
#[derive(Debug)]
pub(crate) struct Mistake {
    /// What it is.
    pub(crate) what: String,
    /// The line of the query, and beneath it `^` under the mistake.
    pub(crate) excerpt: String,
    /// What to write instead.
    pub(crate) hint: String,
}

impl From<&QueryError> for Mistake {
    fn from(error: &QueryError) -> Self {
        Self {
            what: format!("{error}."),
            excerpt: error.excerpt().to_owned(),
            hint: error.hint().to_owned(),
        }
    }
}

/// The traces that match.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The newest of them, one in a row.
    pub(crate) rows: Vec<TraceRow>,
    /// The same and some more, as dots.
    pub(crate) scatter: Option<Scatter>,
    /// How many are drawn.
    pub(crate) drawn: usize,
    /// True if even more match than are drawn.
    pub(crate) more: bool,
    /// The start of the last trace of the page before, unless this is the first page.
    pub(crate) before: Option<Timestamp>,
    /// The address of the page after.
    pub(crate) next: Option<String>,
    /// Why this may not be all there is.
    pub(crate) partial: Option<String>,
}

/// A trace in a row.
#[derive(Debug)]
pub(crate) struct TraceRow {
    trace: TraceSummary,
    now: Timestamp,
    /// Its picture; none if it is too large to be read for one.
    shape: Option<Shape>,
}

impl TraceRow {
    /// The row of a trace, as of `now`.
    pub(crate) fn new(trace: TraceSummary, shape: Option<Shape>, now: Timestamp) -> Self {
        Self { trace, shape, now }
    }

    fn href(&self) -> String {
        format!("/traces/{}", text::encoded(&self.trace.trace_id))
    }

    fn ago(&self) -> String {
        text::ago(self.now.duration_since(self.trace.started_at))
    }

    fn stamp(&self) -> String {
        text::stamp(self.trace.started_at)
    }

    fn length(&self) -> String {
        text::length(scatter::length(&self.trace, self.now))
    }

    fn goes_on(&self) -> bool {
        self.trace.open > 0
    }

    fn outcome(&self) -> &'static str {
        scatter::outcome(&self.trace)
    }

    fn outcome_text(&self) -> &'static str {
        match self.outcome() {
            "failed" => "failed",
            "open" => "open",
            "partly" => "a span of it failed",
            _ => "ok",
        }
    }
}

impl TracesPage {
    fn examples(&self) -> Vec<(String, &'static str, &'static str)> {
        let href = |q: &str| Asked { q: q.to_owned(), ..self.asked.clone() }.href();
        EXAMPLES.into_iter().map(|(q, what)| (href(q), q, what)).collect()
    }

    /// Address, text, and whether it is the one in force.
    fn presets(&self) -> Vec<(String, &'static str, bool)> {
        let preset = |(since, text): (&str, &'static str)| {
            let current = self.asked.since == since && self.asked.until.is_empty();
            (self.asked.during(since, "").href(), text, current)
        };
        PRESETS.into_iter().map(preset).collect()
    }

    /// True if the while is none of the presets.
    fn own_while(&self) -> bool {
        !self.presets().iter().any(|(_, _, current)| *current)
    }

    /// Both ends of the while, in words; the day once if it is the same.
    fn while_text(&self) -> String {
        let Asked { since, until, .. } = &self.asked;
        let end = |text: &str, none: &str| match text.parse::<Timestamp>() {
            Ok(at) => text::stamp(at),
            Err(_) if text.is_empty() => none.to_owned(),
            Err(_) => format!("{text} ago"),
        };
        let (from, to) = (end(since, "ever"), end(until, "now"));
        match (from.split_once(' '), to.split_once(' ')) {
            (Some((day, clock)), Some((same, to))) if day == same && to.ends_with("UTC") => {
                format!("{day} {} to {to}", clock.trim_end_matches(" UTC"))
            }
            _ => format!("{from} to {to}"),
        }
    }

    fn since_field(&self) -> String {
        field(&self.asked.since)
    }

    fn until_field(&self) -> String {
        field(&self.asked.until)
    }

    /// The fields that edit the query: name, label, what it holds, what it could hold, and the list
    /// that completes it.
    fn filters(&self) -> [(&'static str, &'static str, String, &'static str, &'static str); 4] {
        let of = |filter: Filter| filter.read(&self.query);
        [
            ("service", "Service", of(Filter::Service), "any", "services"),
            ("operation", "Operation", of(Filter::Operation), "any", "operations"),
            ("min", "At least", of(Filter::Min), "200ms", ""),
            ("max", "At most", of(Filter::Max), "1h30m", ""),
        ]
    }

    fn errors_only(&self) -> bool {
        !Filter::Errors.read(&self.query).is_empty()
    }

    fn errors_href(&self) -> String {
        self.asked.with("errors", if self.errors_only() { "" } else { "1" })
    }

    /// How many there are, in words.
    fn count(&self) -> String {
        let Found { rows, drawn, more, before, .. } = &self.found;
        let traces = |n: usize| if n == 1 { "1 trace".to_owned() } else { format!("{n} traces") };
        let listed = rows.len();
        let count = match (*more, *drawn > listed) {
            (true, _) => {
                format!("more than {} match; the newest {listed} are listed", traces(*drawn))
            }
            (false, true) => format!("{} match; the newest {listed} are listed", traces(*drawn)),
            (false, false) => format!("{}, all that match", traces(*drawn)),
        };
        match before {
            Some(before) => format!("before {}: {count}", text::stamp(*before)),
            None => count,
        }
    }

    /// What may help when nothing was found: address and text.
    fn ways_out(&self) -> Vec<(String, String)> {
        let Asked { q, since, until } = &self.asked;
        let mut ways = Vec::new();
        if !since.is_empty() || !until.is_empty() {
            ways.push((
                self.asked.during("", "").href(),
                "Look in all the time there is".to_owned(),
            ));
        }
        // One condition less, for each that there is.
        if let [only] = &self.query.any[..]
            && only.span.len() + only.trace.len() > 1
        {
            let without = |text: String, query: Query| {
                let asked = Asked { q: query.to_string(), ..self.asked.clone() };
                (asked.href(), format!("Leave out {text}"))
            };
            for (index, condition) in only.span.iter().enumerate() {
                let mut query = self.query.clone();
                query.any[0].span.remove(index);
                ways.push(without(condition.to_string(), query));
            }
            for (index, condition) in only.trace.iter().enumerate() {
                let mut query = self.query.clone();
                query.any[0].trace.remove(index);
                ways.push(without(condition.to_string(), query));
            }
        }
        if !q.is_empty() {
            ways.push((
                Asked { q: String::new(), ..self.asked.clone() }.href(),
                "List every trace".to_owned(),
            ));
        }
        ways
    }
}

/// A time as a field for date and time holds it, in UTC.
fn field(text: &str) -> String {
    let at = text.parse::<Timestamp>();
    at.map(|at| at.strftime("%Y-%m-%dT%H:%M:%S").to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_is_a_query() {
        for (example, _) in EXAMPLES {
            assert!(example.parse::<Query>().is_ok_and(|query| !query.any.is_empty()), "{example}");
        }
        assert!(EXAMPLES[0].0.starts_with("missing("), "what no other tool answers comes first");
    }

    #[test]
    fn an_address_holds_what_is_asked_for_and_no_more() {
        let asked = Asked { q: "service = \"a&b\"".into(), since: "1h".into(), until: "".into() };
        assert_eq!(asked.href(), "/traces?q=service%20%3D%20%22a%26b%22&since=1h");
        assert_eq!(Asked::default().href(), "/traces");
        assert_eq!(Asked::default().with("errors", ""), "/traces?errors=");
        assert_eq!(
            asked.during("", "").with("min", "1s"),
            "/traces?q=service%20%3D%20%22a%26b%22&min=1s"
        );
    }

    fn page(q: &str, found: Found) -> TracesPage {
        TracesPage {
            chrome: Chrome::new("Traces"),
            asked: Asked { q: q.to_owned(), since: "1h".to_owned(), until: String::new() },
            query: q.parse().unwrap(),
            mistake: None,
            found,
        }
    }

    #[test]
    fn it_is_always_told_whether_there_is_more() {
        let row =
            || TraceRow::new(crate::ui::tests::trace_summary("a"), None, Timestamp::UNIX_EPOCH);
        let told = |rows: usize, drawn, more| {
            let rows = std::iter::repeat_with(row).take(rows).collect();
            page("", Found { rows, drawn, more, ..Found::default() }).count()
        };
        assert_eq!(told(1, 1, false), "1 trace, all that match");
        assert_eq!(told(2, 2, false), "2 traces, all that match");
        assert_eq!(told(2, 9, false), "9 traces match; the newest 2 are listed");
        assert_eq!(told(2, 9, true), "more than 9 traces match; the newest 2 are listed");
        let before = Some(Timestamp::UNIX_EPOCH);
        let older = page("", Found { before, ..Found::default() }).count();
        assert_eq!(older, "before 1970-01-01 00:00:00 UTC: 0 traces, all that match");
    }

    #[test]
    fn a_while_of_ones_own_is_said_in_words() {
        let said = |since: &str, until: &str| {
            let mut page = page("", Found::default());
            page.asked = page.asked.during(since, until);
            page.own_while().then(|| page.while_text())
        };
        assert_eq!(said("1h", ""), None);
        assert_eq!(said("2h", "").as_deref(), Some("2h ago to now"));
        assert_eq!(said("2h", "1h").as_deref(), Some("2h ago to 1h ago"));
        assert_eq!(
            said("2026-05-04T03:00:00Z", "2026-05-04T03:05:00Z").as_deref(),
            Some("2026-05-04 03:00:00 to 03:05:00 UTC")
        );
        assert_eq!(
            said("", "2026-05-04T03:05:00Z").as_deref(),
            Some("ever to 2026-05-04 03:05:00 UTC")
        );
    }

    #[test]
    fn nothing_found_leads_on() {
        let ways = |q| -> Vec<String> {
            page(q, Found::default()).ways_out().into_iter().map(|(_, text)| text).collect()
        };
        let time = "Look in all the time there is";
        assert_eq!(ways(""), [time]);
        assert_eq!(ways("error"), [time, "List every trace"]);
        assert_eq!(
            ways("error and trace.spans > 9"),
            [time, "Leave out status = error", "Leave out trace.spans > 9", "List every trace"]
        );
        let narrower = page("error and trace.spans > 9", Found::default()).ways_out();
        assert_eq!(narrower[1].0, "/traces?q=trace.spans%20%3E%209&since=1h");
    }
}
