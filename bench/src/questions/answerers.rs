//! Who answers: a server over HTTP, or a store in this process.
//!
//! The surprise: what HTTP answers is read to its end but parsed only when it is looked into, so
//! that a measured time has no JSON parser of ours in it.

use std::{error::Error, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use fixpoint_trace::{
    model::{Trace, UnixNanos},
    otlp,
    store::{RateQuery, Rates, TracePage, TraceQuery, TraceStore},
};
use jiff::Timestamp;
use reqwest::StatusCode;

use super::{PAGE, Question};

/// Any error.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Answers questions.
#[async_trait]
pub trait Answerer: Send + Sync + std::fmt::Debug {
    /// The whole answer to a question.
    async fn ask(&self, question: &Question) -> Result<Answer, BoxError>;
}

/// An answer.
#[derive(Debug)]
pub enum Answer {
    /// A trace; none if there is none.
    Trace(Option<Trace>),
    /// A page of traces.
    Page(TracePage),
    /// Operations.
    Rates(Vec<Rates>),
    /// JSON, not yet parsed; none if there is no such thing.
    Json(Option<Bytes>),
}

impl Answer {
    /// How many spans, traces or operations it holds.
    pub fn found(&self) -> usize {
        match self {
            Self::Trace(trace) => trace.as_ref().map_or(0, |trace| trace.spans.len()),
            Self::Page(page) => page.items.len(),
            Self::Rates(rates) => rates.len(),
            Self::Json(None) => 0,
            Self::Json(Some(bytes)) => {
                let json: serde_json::Value = serde_json::from_slice(bytes).unwrap_or_default();
                match json["items"].as_array() {
                    Some(items) => items.len(),
                    None => otlp::from_json(&json).map_or(0, |trace| trace.spans.len()),
                }
            }
        }
    }

    /// The trace that was asked for, empty if there is none.
    ///
    /// # Errors
    /// If it is not in OTLP's JSON.
    pub fn trace(self) -> Result<Trace, BoxError> {
        match self {
            Self::Trace(trace) => Ok(trace.unwrap_or_default()),
            Self::Json(Some(bytes)) => Ok(otlp::from_json(&serde_json::from_slice(&bytes)?)?),
            Self::Json(None) | Self::Page(_) | Self::Rates(_) => Ok(Trace::default()),
        }
    }
}

/// A store in this process.
#[derive(Debug)]
pub struct InProcess(Arc<dyn TraceStore>);

impl InProcess {
    /// Asks the store.
    pub fn new(store: Arc<dyn TraceStore>) -> Self {
        Self(store)
    }
}

#[async_trait]
impl Answerer for InProcess {
    async fn ask(&self, question: &Question) -> Result<Answer, BoxError> {
        Ok(match question {
            Question::Trace(id) => Answer::Trace(self.0.trace(*id).await?),
            Question::Search { query, within } => {
                let query = TraceQuery {
                    filter: query.parse()?,
                    since: within.map(|within| within.0),
                    until: within.map(|within| within.1),
                    limit: PAGE,
                    ..TraceQuery::default()
                };
                let page = self.0.search(&query).await?;
                match page.partial {
                    None => Answer::Page(page),
                    Some(why) => return Err(why.into()),
                }
            }
            Question::Rates { service, within } => {
                let query = RateQuery {
                    service: Some(service.clone()),
                    since: Some(within.0),
                    until: Some(within.1),
                    // As many as a chart has room for, which is what the server asks for.
                    step: (within.1 - within.0) / 60,
                    ..RateQuery::default()
                };
                Answer::Rates(self.0.rates(&query).await?)
            }
        })
    }
}

/// A server of Fixpoint's, over HTTP.
#[derive(Debug)]
pub struct OverHttp {
    client: reqwest::Client,
    url: String,
}

impl OverHttp {
    /// The server at `http://127.0.0.1:7171`.
    ///
    /// # Errors
    /// If there can be no client.
    pub fn new(url: &str) -> Result<Self, BoxError> {
        let client = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self { client, url: url.trim_end_matches('/').to_owned() })
    }
}

#[async_trait]
impl Answerer for OverHttp {
    async fn ask(&self, question: &Question) -> Result<Answer, BoxError> {
        let get = |path: &str| self.client.get(format!("{}/v1/{path}", self.url));
        let request = match question {
            Question::Trace(id) => get(&format!("traces/{id}")),
            Question::Search { query, within } => {
                let mut request = get("traces").query(&[("q", &**query)]).query(&[("limit", PAGE)]);
                if let Some((since, until)) = within {
                    request = request.query(&[("since", time(*since)?), ("until", time(*until)?)]);
                }
                request
            }
            Question::Rates { service, within: (since, until) } => get("rates")
                .query(&[("service", &**service)])
                .query(&[("since", time(*since)?), ("until", time(*until)?)]),
        };
        let answer = request.send().await?;
        let status = answer.status();
        let body = answer.bytes().await?;
        match status {
            StatusCode::OK => Ok(Answer::Json(Some(body))),
            StatusCode::NOT_FOUND if matches!(question, Question::Trace(_)) => {
                Ok(Answer::Json(None))
            }
            _ => {
                let problem: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
                let detail = problem["detail"].as_str().unwrap_or_default();
                Err(format!("{status}: {detail}").into())
            }
        }
    }
}

fn time(nanos: UnixNanos) -> Result<String, jiff::Error> {
    Timestamp::from_nanosecond(i128::from(nanos)).map(|time| time.to_string())
}
