//! The pages of traces and operations, as a browser asks for them.
//!
//! Not how they look (`ui/`). The traces are put into the store as a sender's would be, under a
//! service of their own, since the requests leave traces too.

use std::collections::BTreeSet;

use fixpoint_trace::model::{Status, TraceId};

use super::{
    Answer, Harness,
    search::{MILLI, MINUTE, now, span},
};

const ABSENT: &str = r#"missing("ELBv2.RegisterTargets") after "ELBv2.DescribeTargetGroups""#;

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |mut out, part| {
        out.push(char::from(u8::from_str_radix(&part[..2], 16).unwrap()));
        out.push_str(&part[2..]);
        out
    })
}

/// The traces that the page lists, newest first.
fn listed(page: &Answer) -> Vec<String> {
    assert_eq!(page.status, 200, "{page:?}");
    let rows = page.text.split("data-trace-row=\"").skip(1);
    rows.map(|row| row.split('"').next().unwrap().to_owned()).collect()
}

/// How many dots the picture has.
fn dots(page: &Answer) -> usize {
    page.text.matches("data-dot=\"").count()
}

/// The address that a link leads to.
fn link(page: &Answer, text: &str) -> Option<String> {
    let before = page.text.split(&format!("\">{text}</a>")).next()?;
    let found = before.len() < page.text.len();
    let href = before.rsplit("href=\"").next()?;
    // The templates escape what joins parameters.
    found.then(|| href.replace("&#38;", "&"))
}

impl Harness {
    /// The page of the traces that match.
    async fn page_of(&self, q: &str) -> Answer {
        self.get(&format!("/traces?q={}", encoded(q))).await
    }
}

#[tokio::test]
async fn the_call_that_never_came_is_on_the_page() {
    let server = Harness::new();
    let [good, bad] = [TraceId::random(), TraceId::random()];
    let start = now() - MINUTE;
    let mut swallowed = span(bad, "clusters", "ELBv2.DescribeTargetGroups", start, 5);
    swallowed.status = Status::Error("no answer".to_owned());
    let asked = span(good, "clusters", "ELBv2.DescribeTargetGroups", start, 5);
    let registered = span(good, "clusters", "ELBv2.RegisterTargets", start + MILLI, 5);
    server.keep(vec![swallowed, asked, registered]).await;
    let page = server.page_of(ABSENT).await;
    assert_eq!(listed(&page), [bad.to_string()]);
    assert_eq!(dots(&page), 1);
    for part in ["1 trace, all that match", "rect class=\"failed\"", "1 min ago"] {
        assert!(page.text.contains(part), "{part}: {}", page.text);
    }
}

#[tokio::test]
async fn pages_of_traces_lose_nothing_and_repeat_nothing() {
    let server = Harness::new();
    let start = now() - 2 * MINUTE;
    let traces: Vec<_> = (0..120).map(|_| TraceId::random()).collect();
    let spans = traces.iter().zip(0..);
    server.keep(spans.map(|(id, n)| span(*id, "shop", "buy", start + n % 7, 5)).collect()).await;

    let mut found = Vec::new();
    let mut page = server.get(&format!("/traces?q={}&since=1h", encoded("service = shop"))).await;
    assert_eq!(dots(&page), 120);
    assert!(page.text.contains("120 traces match; the newest 50 are listed"), "{}", page.text);
    let mut sizes = Vec::new();
    loop {
        sizes.push(listed(&page).len());
        found.extend(listed(&page));
        let Some(next) = link(&page, "Older traces") else { break };
        page = server.get(&next).await;
    }
    assert_eq!(sizes, [50, 50, 20]);
    assert!(page.text.contains("There are no older ones that match."));
    let expected: BTreeSet<_> = traces.iter().map(ToString::to_string).collect();
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected);
}

#[tokio::test]
async fn a_filter_becomes_part_of_the_query_and_of_the_address() {
    let server = Harness::new();
    let q = encoded("service = shop and error");
    for (set, expected) in [
        ("service=cart", r#"/traces?q=status = error and service = "cart"&since=1h"#),
        ("service=", "/traces?q=status = error&since=1h"),
        (
            "min=1.5s&max=2m",
            r#"/traces?q=service = "shop" and status = error and trace.duration >= 1.5s and trace.duration <= 2m&since=1h"#,
        ),
        (
            "errors=1",
            r#"/traces?q=service = "shop" and status = error and trace.errors > 0&since=1h"#,
        ),
        (
            "from=2026-05-04T03:00&to=",
            "/traces?q=service = shop and error&since=2026-05-04T03:00:00Z",
        ),
    ] {
        let answer = server.get(&format!("/traces?q={q}&since=1h&{set}")).await;
        assert_eq!(answer.status, 303, "{set}: {answer:?}");
        assert_eq!(decoded(answer.header("location")), expected, "{set}");
    }
    let refused = server.get(&format!("/traces?q={q}&min=long")).await;
    assert_eq!(refused.status, 400);
    assert!(refused.text.contains("not a length of time"), "{}", refused.text);
}

#[tokio::test]
async fn a_mistake_is_shown_beneath_the_box_with_its_place() {
    let server = Harness::new();
    let page = server.page_of("error and kind = serer").await;
    assert_eq!(page.status, 400);
    for part in
        ["error and kind = serer\n                 ^^^^^", "did you mean", "What one can ask"]
    {
        assert!(page.text.contains(part), "{part}: {}", page.text);
    }
}

#[tokio::test]
async fn one_box_takes_ids_and_queries() {
    let server = Harness::new();
    let id = TraceId::random();
    let mut bought = span(id, "shop", "buy", now() - MINUTE, 5);
    bought.attributes.insert("aws.request_id".to_owned(), "4f2b9c1e-77aa".into());
    server.keep(vec![bought]).await;
    for (text, expected) in [
        ("", "/traces".to_owned()),
        ("error", "/traces?q=error".to_owned()),
        ("service = shop", "/traces?q=service = shop".to_owned()),
        ("service = ", "/traces?q=service =".to_owned()),
        ("buy", "/traces?q=buy".to_owned()),
        (&id.to_string(), format!("/traces/{id}")),
        ("4f2b9c1e-77aa", format!("/traces/{id}?find=4f2b9c1e-77aa")),
    ] {
        let answer = server.get(&format!("/search?q={}", encoded(text))).await;
        assert_eq!(answer.status, 303, "{text}: {answer:?}");
        assert_eq!(decoded(answer.header("location")), expected, "{text}");
    }
    let nothing = server.get("/search?q=i-0f3a9c2be41d7a003").await;
    assert!(nothing.text.contains("Nothing found for"), "{}", nothing.text);
}

#[tokio::test]
async fn operations_lead_to_their_traces() {
    let server = Harness::new();
    let start = now() - 3 * MINUTE;
    let traces: Vec<_> = (0..4).map(|_| TraceId::random()).collect();
    let mut spans: Vec<_> = traces.iter().map(|id| span(*id, "shop", "buy", start, 5)).collect();
    spans[3].status = Status::Error("sold out".to_owned());
    spans.push(span(TraceId::random(), "cart", "fill", start, 700));
    server.keep(spans).await;

    let page = server.get("/operations?since=15m").await;
    assert!(page.text.contains("700 ms") || page.text.contains("ms</td>"), "{}", page.text);
    assert_eq!(listed(&server.get(&link(&page, "buy").unwrap()).await).len(), 4);
    let errors = page.text.split("class=\"error-line\" href=\"").nth(1).unwrap();
    let errors = errors.split('"').next().unwrap().replace("&#38;", "&");
    assert_eq!(listed(&server.get(&errors).await), [traces[3].to_string()]);

    let narrowed = server.get("/operations?since=15m&service=cart&sort=p99").await;
    assert!(link(&narrowed, "fill").is_some() && link(&narrowed, "buy").is_none());
    assert!(link(&narrowed, "shop").is_some(), "the other services are still named");
    let none = server.get("/operations?since=15m&service=nobody").await;
    assert!(none.text.contains("No span has ended in this while in nobody"), "{}", none.text);
}
