//! `fixpoint search`: traces by a query, newest first.
//!
//! Not here: the language, which the server reads; `docs/search.md` teaches it. The surprise: a
//! mistake in a query is shown by the server's answer, so that every client shows the same.

use fixpoint_client::{SearchQuery, TraceSummary};
use serde_json::json;

use super::{nanos_between, time};
use crate::{
    Session,
    error::Result,
    output::{Paint, duration, table, truncate},
};

/// Search traces by what is in them, or missing
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// What the traces must be like; every trace if not given
    #[arg(default_value = "", hide_default_value = true)]
    query: String,
    /// Only traces that started since: a time (2026-05-04T03:00:00Z) or a length back (1h)
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// Only traces that started before: a time or a length back
    #[arg(long, value_name = "WHEN")]
    until: Option<String>,
    /// At most this many, the newest
    #[arg(long, default_value_t = 20, value_name = "N")]
    limit: usize,
}

const EXAMPLES: &str = "\
Examples:
  fixpoint search 'missing(\"ELBv2.RegisterTargets\") after \"ELBv2.DescribeTargetGroups\"'
  fixpoint search 'service = clusters and error' --since 1h
  fixpoint search 'kind = client and duration > 5s or trace.duration > 10m'
  fixpoint search 'log ~ \"target group\" and trace.errors = 0' -o json";

/// The server gives no larger page.
const PAGE: usize = 200;

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result {
        let output = &session.output;
        let (since, until) = (self.since, self.until);
        let mut query = SearchQuery { q: self.query, since, until, ..SearchQuery::default() };
        let (mut items, mut partial) = (Vec::new(), None);
        while items.len() < self.limit {
            query.limit = Some((self.limit - items.len()).min(PAGE));
            let page = session.client.search(&query).await?;
            items.extend(page.items);
            partial = partial.or(page.partial);
            query.page_token = page.next_page_token;
            if query.page_token.is_none() {
                break;
            }
        }
        let more = query.page_token.is_some();
        if output.is_json() {
            let mut value = json!({ "items": items, "truncated": more });
            if let Some(why) = &partial {
                value["partial"] = why.as_str().into();
            }
            return Ok(output.json(&value)?);
        }
        if let Some(why) = partial {
            output.note(format!("{} {why}", output.err.busy("not everything could be read:")));
        }
        if items.is_empty() {
            output.note("no trace matches");
            return Ok(());
        }
        output.text(rows(&items, output.out))?;
        if let Some(last) = items.last().filter(|_| more) {
            output
                .note(format!("there are more: --until {}, or a higher --limit", last.started_at));
        }
        Ok(())
    }
}

/// Names of spans can be as long as their senders like.
const NAME: usize = 40;

fn rows(items: &[TraceSummary], paint: Paint) -> String {
    let head = ["STARTED", "SERVICE", "ROOT", "TOOK", "SPANS", "ERRORS", "TRACE"];
    let rows: Vec<Vec<String>> = items.iter().map(row).collect();
    table(&head, &rows, |row, column, cell| {
        let Some(trace) = row.checked_sub(1).and_then(|row| items.get(row)) else {
            return paint.dim(cell);
        };
        match column {
            2 if trace.failed => paint.bad(cell),
            3 if trace.open > 0 => paint.busy(cell),
            5 if trace.errors > 0 => paint.bad(cell),
            _ => cell.to_owned(),
        }
    })
}

fn row(trace: &TraceSummary) -> Vec<String> {
    let took = match trace.ended_at {
        Some(_) => duration(nanos_between(trace.started_at, trace.ended_at)),
        None => "open".to_owned(),
    };
    vec![
        time(trace.started_at),
        truncate(&trace.service, NAME),
        truncate(&trace.name, NAME),
        took,
        trace.spans.to_string(),
        trace.errors.to_string(),
        trace.trace_id.clone(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_a_row_whether_it_failed_is_open_or_has_a_long_name() {
        let trace = TraceSummary {
            trace_id: "d572232a8fed45fad572232a8fed45fa".into(),
            name: "run clusters".into(),
            service: "fixpoint".into(),
            started_at: "2026-05-04T03:00:00Z".parse().unwrap(),
            ended_at: Some("2026-05-04T03:00:04.2Z".parse().unwrap()),
            failed: false,
            spans: 61,
            open: 0,
            errors: 0,
            logs: 9,
        };
        let failed = TraceSummary { failed: true, errors: 2, ..trace.clone() };
        let open = TraceSummary { ended_at: None, open: 1, name: "x".repeat(60), ..trace.clone() };
        let items = [trace, failed, open];
        insta::assert_snapshot!(rows(&items, Paint(false)), @r"
        STARTED              SERVICE   ROOT                                      TOOK   SPANS  ERRORS  TRACE
        2026-05-04 03:00:00  fixpoint  run clusters                              4.2 s  61     0       d572232a8fed45fad572232a8fed45fa
        2026-05-04 03:00:00  fixpoint  run clusters                              4.2 s  61     2       d572232a8fed45fad572232a8fed45fa
        2026-05-04 03:00:00  fixpoint  xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…  open   61     0       d572232a8fed45fad572232a8fed45fa
        ");
        let painted = rows(&items, Paint(true));
        assert!(painted.contains(&Paint(true).bad("run clusters")), "{painted}");
        assert!(
            painted.contains(&Paint(true).bad("2")) && painted.contains(&Paint(true).busy("open"))
        );
    }
}
