//! The calls about traces: search, one trace, what many of them come to, and the store's own.
//!
//! The surprise: times are passed on as they were given. `1h` is an hour back from the server's
//! now, whose clock the spans have.

use reqwest::Method;
use serde_json::Value;

use super::Client;
use crate::{
    AttributePage, Error, FindPage, LogPage, OperationPage, PinPage, RatePage, ServicePage,
    StoreStats, Trace, TraceDiff, TracePage, Upload, Why,
};

/// Which traces to search for.
#[derive(Debug, Clone, Default)]
pub struct SearchQuery {
    /// What they must be like, in the query language. Empty: every trace.
    pub q: String,
    /// Only traces that started at or after this: a time (RFC 3339), or a length back from now
    /// (`1h`).
    pub since: Option<String>,
    /// Only traces that started before this.
    pub until: Option<String>,
    /// At most this many; the server has a default and a maximum.
    pub limit: Option<usize>,
    /// Where the page before ended.
    pub page_token: Option<String>,
}

/// Which operations to count, and when.
#[derive(Debug, Clone, Default)]
pub struct RateQuery {
    /// Only of this service.
    pub service: Option<String>,
    /// Only of this name.
    pub name: Option<String>,
    /// From this on: a time (RFC 3339), or a length back from now (`1h`).
    pub since: Option<String>,
    /// Until before this.
    pub until: Option<String>,
    /// The width of a bucket (`5m`). Only [`Client::rates`] has buckets.
    pub step: Option<String>,
}

impl Client {
    /// A trace as OTLP JSON: `GET /v1/traces/{id}`.
    ///
    /// # Errors
    /// A [`Problem`](crate::Problem) with status 404 if nothing of it is known.
    pub async fn trace_json(&self, id: &str) -> Result<Value, Error> {
        self.json(self.request(Method::GET, &["v1", "traces", id])?).await
    }

    /// Why a trace went as it did: `GET /v1/traces/{id}/why`.
    ///
    /// # Errors
    /// A [`Problem`](crate::Problem) with status 404 if nothing of it is known.
    pub async fn trace_why(&self, id: &str) -> Result<Why, Error> {
        self.json(self.request(Method::GET, &["v1", "traces", id, "why"])?).await
    }

    /// A trace as a file: `GET /v1/traces/{id}?format=`, one of `otlp`, `otlp-protobuf`, `jaeger`
    /// and `zipkin`.
    ///
    /// # Errors
    /// A [`Problem`](crate::Problem) with status 404 if nothing of it is known, 400 if there is no
    /// such format.
    pub async fn trace_file(&self, id: &str, format: &str) -> Result<Vec<u8>, Error> {
        let request = self.request(Method::GET, &["v1", "traces", id])?;
        let response = self.answer(request.query(&[("format", format)])).await?;
        let bytes = response.bytes().await.map_err(|error| self.unreachable(error))?;
        Ok(bytes.into())
    }

    /// Stores a file of traces, whichever format of the above it is of: `POST /v1/traces`.
    ///
    /// # Errors
    /// A [`Problem`](crate::Problem) with status 400 if it is of none, 413 if it is too large.
    pub async fn upload(&self, file: Vec<u8>) -> Result<Upload, Error> {
        let request = self.request(Method::POST, &["v1", "traces"])?;
        let kind = "application/octet-stream";
        self.json(request.header(reqwest::header::CONTENT_TYPE, kind).body(file)).await
    }

    /// A trace, read into spans.
    ///
    /// # Errors
    /// As for [`Client::trace_json`].
    pub async fn trace(&self, id: &str) -> Result<Trace, Error> {
        let unreadable = |source: serde_json::Error| Error::Unreadable {
            call: format!("GET /v1/traces/{id}"),
            trace_id: None,
            source: source.into(),
        };
        Trace::from_otlp(self.trace_json(id).await?).map_err(unreadable)
    }

    /// What differs between two traces, `a` being the one to go by: `GET /v1/traces/{a}/diff/{b}`.
    /// Each is the id of a trace or a run, a resource's name, or any id that occurs in a trace.
    ///
    /// # Errors
    /// A [`Problem`](crate::Problem) with status 404 if one of them is not known.
    pub async fn diff(&self, a: &str, b: &str) -> Result<TraceDiff, Error> {
        self.json(self.request(Method::GET, &["v1", "traces", a, "diff", b])?).await
    }

    /// A page of the traces that match, newest first: `GET /v1/traces`.
    ///
    /// # Errors
    /// A [`Problem`](crate::Problem) with status 400 and a place if the query is wrong.
    pub async fn search(&self, query: &SearchQuery) -> Result<TracePage, Error> {
        let request = self.request(Method::GET, &["v1", "traces"])?.query(&[
            ("q", Some(query.q.clone())),
            ("since", query.since.clone()),
            ("until", query.until.clone()),
            ("limit", query.limit.map(|limit| limit.to_string())),
            ("page_token", query.page_token.clone()),
        ]);
        self.json(request).await
    }

    /// Services, the busiest first: `GET /v1/services`. Of the query, the times count.
    ///
    /// # Errors
    /// As for any call.
    pub async fn services(&self, query: &RateQuery) -> Result<ServicePage, Error> {
        let request = self.request(Method::GET, &["v1", "services"])?;
        self.json(request.query(&[("since", &query.since), ("until", &query.until)])).await
    }

    /// Operations, the busiest first: `GET /v1/operations`.
    ///
    /// # Errors
    /// As for any call.
    pub async fn operations(&self, query: &RateQuery) -> Result<OperationPage, Error> {
        let request = self.request(Method::GET, &["v1", "operations"])?;
        let parameters = [
            ("service", &query.service),
            ("name", &query.name),
            ("since", &query.since),
            ("until", &query.until),
        ];
        self.json(request.query(&parameters)).await
    }

    /// Operations over time: `GET /v1/rates`.
    ///
    /// # Errors
    /// A [`Problem`](crate::Problem) with status 400 if there would be too many buckets.
    pub async fn rates(&self, query: &RateQuery) -> Result<RatePage, Error> {
        let request = self.request(Method::GET, &["v1", "rates"])?;
        let parameters = [
            ("service", &query.service),
            ("name", &query.name),
            ("since", &query.since),
            ("until", &query.until),
            ("step", &query.step),
        ];
        self.json(request.query(&parameters)).await
    }

    /// The names of attributes in use or, of one, its values: `GET /v1/attributes`.
    ///
    /// # Errors
    /// As for any call.
    pub async fn attributes(&self, name: Option<&str>) -> Result<AttributePage, Error> {
        let request = self.request(Method::GET, &["v1", "attributes"])?;
        self.json(request.query(&[("name", name)])).await
    }

    /// Keeps a trace past the retention: `PUT /v1/traces/{id}/pin`.
    ///
    /// # Errors
    /// A [`Problem`](crate::Problem) with status 404 if nothing of it is known.
    pub async fn pin(&self, trace_id: &str) -> Result<(), Error> {
        let request = self.request(Method::PUT, &["v1", "traces", trace_id, "pin"])?;
        self.answer(request).await.map(drop)
    }

    /// Keeps a trace no longer than others: `DELETE /v1/traces/{id}/pin`.
    ///
    /// # Errors
    /// As for any call.
    pub async fn unpin(&self, trace_id: &str) -> Result<(), Error> {
        let request = self.request(Method::DELETE, &["v1", "traces", trace_id, "pin"])?;
        self.answer(request).await.map(drop)
    }

    /// The traces that are kept past the retention: `GET /v1/pins`.
    ///
    /// # Errors
    /// As for any call.
    pub async fn pins(&self) -> Result<PinPage, Error> {
        self.json(self.request(Method::GET, &["v1", "pins"])?).await
    }

    /// What the trace store holds: `GET /v1/store`.
    ///
    /// # Errors
    /// As for any call.
    pub async fn store(&self) -> Result<StoreStats, Error> {
        self.json(self.request(Method::GET, &["v1", "store"])?).await
    }

    /// The log lines of a trace: `GET /v1/logs`.
    ///
    /// # Errors
    /// As for any call.
    pub async fn logs(&self, trace_id: &str) -> Result<LogPage, Error> {
        let request = self.request(Method::GET, &["v1", "logs"])?;
        self.json(request.query(&[("trace_id", trace_id)])).await
    }

    /// Where an id occurs, whatever it is the id of: `GET /v1/find`.
    ///
    /// # Errors
    /// As for any call.
    pub async fn find(&self, id: &str) -> Result<FindPage, Error> {
        self.json(self.request(Method::GET, &["v1", "find"])?.query(&[("q", id)])).await
    }
}
