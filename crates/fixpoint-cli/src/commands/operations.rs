//! `fixpoint services` and `fixpoint operations`: how often things happen, fail, how long they take.
//!
//! Not here: which traces did; `fixpoint search` finds them. The surprise: spans that are still
//! open do not count.

use fixpoint_client::{Counts, OperationSummary, RateQuery, ServiceSummary};

use crate::{
    Session,
    error::Result,
    output::{Output, Paint, duration, table, truncate},
};

/// List services: their rate, errors and durations
#[derive(Debug, clap::Args)]
#[command(after_help = SERVICE_EXAMPLES)]
pub(crate) struct ServiceArgs {
    #[command(flatten)]
    times: Times,
}

/// List operations: their rate, errors and durations
#[derive(Debug, clap::Args)]
#[command(after_help = OPERATION_EXAMPLES)]
pub(crate) struct OperationArgs {
    /// Only operations of this service
    service: Option<String>,
    #[command(flatten)]
    times: Times,
}

#[derive(Debug, clap::Args)]
struct Times {
    /// Count from: a time (2026-05-04T03:00:00Z) or a length back (1h)
    #[arg(long, value_name = "WHEN", default_value = "1h")]
    since: String,
    /// Count until: a time or a length back
    #[arg(long, value_name = "WHEN")]
    until: Option<String>,
}

const SERVICE_EXAMPLES: &str = "\
Examples:
  fixpoint services
  fixpoint services --since 7d -o json";

const OPERATION_EXAMPLES: &str = "\
Examples:
  fixpoint operations
  fixpoint operations clusters --since 1d
  fixpoint operations -o json | jq '.items[] | select(.errors > 0)'";

impl ServiceArgs {
    pub(crate) async fn run(self, session: &Session) -> Result {
        let output = &session.output;
        let page = session.client.services(&self.times.query(None)).await?;
        if output.is_json() {
            return Ok(output.json(&page)?);
        }
        if page.items.is_empty() {
            return nothing(output, &self.times);
        }
        output.text(services(&page.items, output.out))?;
        truncated(output, page.truncated);
        Ok(())
    }
}

impl OperationArgs {
    pub(crate) async fn run(self, session: &Session) -> Result {
        let output = &session.output;
        let page = session.client.operations(&self.times.query(self.service)).await?;
        if output.is_json() {
            return Ok(output.json(&page)?);
        }
        if page.items.is_empty() {
            return nothing(output, &self.times);
        }
        output.text(operations(&page.items, output.out))?;
        truncated(output, page.truncated);
        Ok(())
    }
}

impl Times {
    fn query(&self, service: Option<String>) -> RateQuery {
        let (since, until) = (Some(self.since.clone()), self.until.clone());
        RateQuery { service, since, until, ..RateQuery::default() }
    }
}

fn nothing(output: &Output, times: &Times) -> Result {
    output.note(format!("nothing since {}; look further back with --since 7d", times.since));
    Ok(())
}

fn truncated(output: &Output, truncated: bool) {
    if truncated {
        output.note("less busy ones are left out");
    }
}

/// Names of spans can be as long as their senders like.
const NAME: usize = 44;

fn services(items: &[ServiceSummary], paint: Paint) -> String {
    let head = ["SERVICE", "OPERATIONS", "RATE", "ERRORS", "P50", "P99"];
    let rows: Vec<Vec<String>> = items
        .iter()
        .map(|item| {
            let mut row = vec![named(&item.service), item.operations.to_string()];
            row.extend(figures(&item.counts));
            row
        })
        .collect();
    painted(&head, &rows, paint)
}

fn operations(items: &[OperationSummary], paint: Paint) -> String {
    let head = ["SERVICE", "OPERATION", "RATE", "ERRORS", "P50", "P99"];
    let rows: Vec<Vec<String>> = items
        .iter()
        .map(|item| {
            let mut row = vec![named(&item.service), truncate(&item.name, NAME)];
            row.extend(figures(&item.counts));
            row
        })
        .collect();
    painted(&head, &rows, paint)
}

fn painted(head: &[&str], rows: &[Vec<String>], paint: Paint) -> String {
    table(head, rows, |row, column, cell| match (row, column) {
        (0, _) => paint.dim(cell),
        (_, 3) if cell != "0" => paint.bad(cell),
        _ => cell.to_owned(),
    })
}

/// A service that did not say its name is not an empty cell.
fn named(service: &str) -> String {
    if service.is_empty() { "(no name)".to_owned() } else { truncate(service, NAME) }
}

/// Rate, errors, median and 99th percentile.
fn figures(counts: &Counts) -> [String; 4] {
    let errors = match counts.errors {
        0 => "0".to_owned(),
        errors => format!("{errors} ({:.1} %)", 100.0 * errors as f64 / counts.spans as f64),
    };
    let took = |nanos: Option<u64>| nanos.map_or_else(|| "-".to_owned(), duration);
    [rate(counts.rate), errors, took(counts.p50_nanos), took(counts.p99_nanos)]
}

/// How often, in the unit that suits it.
fn rate(per_second: f64) -> String {
    match per_second {
        often if often >= 1.0 => format!("{often:.1}/s"),
        seldom if seldom * 60.0 >= 1.0 => format!("{:.1}/min", seldom * 60.0),
        seldom => format!("{:.1}/h", seldom * 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(rate: f64, errors: u64) -> Counts {
        let (p50_nanos, p90_nanos) = (Some(4_200_000), Some(9_000_000));
        Counts { spans: 200, errors, rate, p50_nanos, p90_nanos, p99_nanos: Some(1_250_000_000) }
    }

    #[test]
    fn services_and_operations_are_rows_with_their_figures() {
        let service = |service: &str, rate, errors| ServiceSummary {
            service: service.into(),
            operations: 12,
            counts: counts(rate, errors),
        };
        let items = [service("clusters", 12.34, 0), service("", 0.5, 3), service("db", 0.001, 200)];
        insta::assert_snapshot!(services(&items, Paint(false)), @r"
        SERVICE    OPERATIONS  RATE      ERRORS         P50   P99
        clusters   12          12.3/s    0              4 ms  1.2 s
        (no name)  12          30.0/min  3 (1.5 %)      4 ms  1.2 s
        db         12          3.6/h     200 (100.0 %)  4 ms  1.2 s
        ");
        let operation = |name: &str, errors| OperationSummary {
            service: "clusters".into(),
            name: name.into(),
            kind: "client".into(),
            counts: counts(2.0, errors),
        };
        let items = [operation("ELBv2.RegisterTargets", 0), operation(&"x".repeat(60), 1)];
        insta::assert_snapshot!(operations(&items, Paint(false)), @r"
        SERVICE   OPERATION                                     RATE   ERRORS     P50   P99
        clusters  ELBv2.RegisterTargets                         2.0/s  0          4 ms  1.2 s
        clusters  xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…  2.0/s  1 (0.5 %)  4 ms  1.2 s
        ");
        assert!(operations(&items, Paint(true)).contains(&Paint(true).bad("1 (0.5 %)")));
    }
}
