//! The typed client: one method for each call of the API.
//!
//! Not here: the calls about traces (`client/traces.rs`), following a run until it ends
//! (`follow.rs`), and what errors mean to a user, which
//! the caller knows best. The surprise: no `traceparent` is sent. A trace starts in the server,
//! where its spans are kept, so that it has one root that can be looked at.

mod acts;
mod builder;
mod tokens;
mod traces;
mod verification;
mod webhook;

use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response, Url, header};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    ApiPage, Error, FieldError, PlanPreview, Problem, Resource, ResourcePage, Run, RunFollower,
    RunPage, RunState, TraceFollower, Why, sse::Events,
};

pub use self::builder::Builder;
pub use self::traces::{RateQuery, SearchQuery};

/// Long enough for a page of runs from a busy server, short enough that nobody thinks it hangs.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Asks what a change would lead to, instead of making it.
const DRY_RUN: [(&str, &str); 1] = [("dry_run", "true")];

/// A client of one server. Cheap to clone; clones share their connections.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
}

/// A change the server has taken on: the resource as it now stands, and the run that does it.
#[derive(Debug, Clone)]
pub struct Accepted {
    /// The resource, with its new generation.
    pub resource: Resource,
    /// The run that does it; none if nothing had to change.
    pub run_id: Option<String>,
    /// The trace of the request, which goes on with the run.
    pub trace_id: Option<String>,
}

/// Which runs to list.
#[derive(Debug, Clone, Default)]
pub struct RunQuery {
    /// Only runs of this resource: `clusters/idg`.
    pub resource: Option<String>,
    /// Only runs in this state.
    pub state: Option<RunState>,
    /// At most this many; the server has a default and a maximum.
    pub limit: Option<usize>,
    /// Where the page before ended.
    pub page_token: Option<String>,
}

impl Client {
    /// A client of the server at `base`, for example `http://127.0.0.1:7171`. Connects to nothing.
    ///
    /// # Errors
    /// [`Error::Address`] if `base` is no `http` or `https` URL.
    pub fn new(base: &str) -> Result<Self, Error> {
        Self::builder(base).build()
    }

    /// A client that shows a token, or that trusts or is trusted by other certificates.
    pub fn builder(base: &str) -> Builder {
        Builder::new(base)
    }

    /// The server's address, without a slash at its end.
    pub fn base(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// Whether what is sent, a token included, can be read on the way: no TLS, and not to this
    /// machine itself.
    pub fn is_in_clear(&self) -> bool {
        let here = match self.base.host_str() {
            Some("localhost") | None => true,
            Some(host) => {
                let bare = host.trim_start_matches('[').trim_end_matches(']');
                bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
            }
        };
        self.base.scheme() == "http" && !here
    }

    /// The address of a page of the server, for people to open.
    pub fn page(&self, path: &str) -> String {
        format!("{}/{}", self.base(), path.trim_start_matches('/'))
    }

    /// Asks for a new resource: `POST /v1/{kind}`. `body` holds its name and spec, flat.
    ///
    /// # Errors
    /// A [`Problem`] with status 409 if it exists, 400 or 422 if the body is wrong.
    pub async fn create(&self, kind: &str, body: &Value) -> Result<Accepted, Error> {
        // The key makes it safe to send the request again, as a proxy or reqwest itself may do.
        let key = format!("{:016x}", idempotency_key(body));
        let request = self.request(Method::POST, &["v1", kind])?.json(body);
        self.accepted(request.header("idempotency-key", key)).await
    }

    /// Changes a resource: `PATCH /v1/{kind}/{name}` with a JSON merge patch. With `generation`,
    /// only if the resource is still at that one.
    ///
    /// # Errors
    /// A [`Problem`] with status 404 if there is none, 412 if the generation is another.
    pub async fn patch(
        &self,
        kind: &str,
        name: &str,
        patch: &Value,
        generation: Option<u64>,
    ) -> Result<Accepted, Error> {
        let mut request = self.merge_patch(kind, name, patch)?;
        if let Some(generation) = generation {
            request = request.header(header::IF_MATCH, format!("\"{generation}\""));
        }
        self.accepted(request).await
    }

    /// Asks for a resource to go: `DELETE /v1/{kind}/{name}`.
    ///
    /// # Errors
    /// A [`Problem`] with status 404 if there is none.
    pub async fn delete(&self, kind: &str, name: &str) -> Result<Accepted, Error> {
        self.accepted(self.request(Method::DELETE, &["v1", kind, name])?).await
    }

    /// How the APIs stand that plans call: `GET /v1/apis`.
    ///
    /// # Errors
    /// As for any call.
    pub async fn apis(&self) -> Result<ApiPage, Error> {
        self.json(self.request(Method::GET, &["v1", "apis"])?).await
    }

    /// One resource: `GET /v1/{kind}/{name}`.
    ///
    /// # Errors
    /// A [`Problem`] with status 404 if there is none.
    pub async fn resource(&self, kind: &str, name: &str) -> Result<Resource, Error> {
        self.json(self.request(Method::GET, &["v1", kind, name])?).await
    }

    /// A page of the resources of a kind: `GET /v1/{kind}`.
    ///
    /// # Errors
    /// As for any call.
    pub async fn resources(&self, kind: &str, token: Option<&str>) -> Result<ResourcePage, Error> {
        let request = self.request(Method::GET, &["v1", kind])?;
        self.json(request.query(&[("page_token", token)])).await
    }

    /// All resources of a kind, page by page.
    ///
    /// # Errors
    /// As for any call.
    pub async fn all_resources(&self, kind: &str) -> Result<Vec<Resource>, Error> {
        let mut items = Vec::new();
        let mut token = None;
        loop {
            let page = self.resources(kind, token.as_deref()).await?;
            items.extend(page.items);
            token = page.next_page_token;
            if token.is_none() {
                return Ok(items);
            }
        }
    }

    /// What the plan of an existing resource would do now: `GET /v1/{kind}/{name}/plan`. Changes
    /// nothing.
    ///
    /// # Errors
    /// A [`Problem`] with status 404 if there is none.
    pub async fn plan(&self, kind: &str, name: &str) -> Result<PlanPreview, Error> {
        self.json(self.request(Method::GET, &["v1", kind, name, "plan"])?).await
    }

    /// What [`Client::create`] would lead to: the same with `?dry_run=true`. Changes nothing.
    ///
    /// # Errors
    /// As for [`Client::create`].
    pub async fn plan_create(&self, kind: &str, body: &Value) -> Result<PlanPreview, Error> {
        let request = self.request(Method::POST, &["v1", kind])?.json(body);
        self.json(request.query(&DRY_RUN)).await
    }

    /// What [`Client::patch`] would lead to: the same with `?dry_run=true`. Changes nothing.
    ///
    /// # Errors
    /// As for [`Client::patch`].
    pub async fn plan_patch(
        &self,
        kind: &str,
        name: &str,
        patch: &Value,
    ) -> Result<PlanPreview, Error> {
        self.json(self.merge_patch(kind, name, patch)?.query(&DRY_RUN)).await
    }

    /// A page of runs, newest first: `GET /v1/runs`.
    ///
    /// # Errors
    /// As for any call.
    pub async fn runs(&self, query: &RunQuery) -> Result<RunPage, Error> {
        let request = self.request(Method::GET, &["v1", "runs"])?.query(&[
            ("resource", query.resource.clone()),
            ("state", query.state.map(|state| state.to_string())),
            ("limit", query.limit.map(|limit| limit.to_string())),
            ("page_token", query.page_token.clone()),
        ]);
        self.json(request).await
    }

    /// One run: `GET /v1/runs/{id}`.
    ///
    /// # Errors
    /// A [`Problem`] with status 404 if there is none.
    pub async fn run(&self, id: &str) -> Result<Run, Error> {
        self.json(self.request(Method::GET, &["v1", "runs", id])?).await
    }

    /// Why a run went as it did: `GET /v1/runs/{id}/why`.
    ///
    /// # Errors
    /// A [`Problem`] with status 404 if there is none.
    pub async fn run_why(&self, id: &str) -> Result<Why, Error> {
        self.json(self.request(Method::GET, &["v1", "runs", id, "why"])?).await
    }

    /// Follows a run until it ends: see [`RunFollower`].
    pub fn follow(&self, run_id: &str) -> RunFollower {
        RunFollower::new(self.clone(), run_id.to_owned())
    }

    /// Reads a control of a development server: `GET /dev/{name}`.
    ///
    /// # Errors
    /// A [`Problem`] with status 404 if the server has none of that name.
    pub async fn control(&self, name: &str) -> Result<Value, Error> {
        self.json(self.request(Method::GET, &["dev", name])?).await
    }

    /// Sets a control of a development server: `PUT /dev/{name}`.
    ///
    /// # Errors
    /// A [`Problem`] with status 400 or 422 if the value is wrong.
    pub async fn set_control(&self, name: &str, value: &Value) -> Result<Value, Error> {
        self.json(self.request(Method::PUT, &["dev", name])?.json(value)).await
    }

    /// Follows a trace: see [`TraceFollower`].
    pub fn follow_trace(&self, trace_id: &str) -> TraceFollower {
        TraceFollower::new(self.clone(), trace_id.to_owned())
    }

    /// The events of a run as they come: `GET /v1/runs/{id}/events`.
    pub(crate) async fn run_events(&self, id: &str) -> Result<Events, Error> {
        self.events(&["v1", "runs", id, "events"]).await
    }

    /// The events of a trace as they come: `GET /v1/traces/{id}/events`.
    pub(crate) async fn trace_events(&self, id: &str) -> Result<Events, Error> {
        self.events(&["v1", "traces", id, "events"]).await
    }

    async fn events(&self, path: &[&str]) -> Result<Events, Error> {
        let request = self
            .request(Method::GET, path)?
            .header(header::ACCEPT, "text/event-stream")
            // A stream lasts as long as what it tells of, which may wait for hours.
            .timeout(Duration::from_secs(24 * 60 * 60));
        Ok(Events::new(self.answer(request).await?.bytes_stream()))
    }

    fn request(&self, method: Method, path: &[&str]) -> Result<RequestBuilder, Error> {
        let mut url = self.base.clone();
        // Percent-encodes each segment: a name with a slash stays one segment.
        url.path_segments_mut()
            .map_err(|()| Error::Address { url: self.base().to_owned() })?
            .pop_if_empty()
            .extend(path);
        Ok(self.http.request(method, url).timeout(ANSWER_TIMEOUT))
    }

    fn merge_patch(&self, kind: &str, name: &str, patch: &Value) -> Result<RequestBuilder, Error> {
        let request = self.request(Method::PATCH, &["v1", kind, name])?;
        let request = request.header(header::CONTENT_TYPE, "application/merge-patch+json");
        Ok(request.body(patch.to_string()))
    }

    async fn accepted(&self, request: RequestBuilder) -> Result<Accepted, Error> {
        let response = self.answer(request).await?;
        let trace_id = text_header(&response, "x-trace-id");
        let location = text_header(&response, header::LOCATION.as_str());
        let resource: Resource = self.read(response).await?;
        let run_id =
            location.and_then(|location| Some(location.rsplit_once("/runs/")?.1.to_owned()));
        Ok(Accepted { resource, run_id, trace_id })
    }

    async fn json<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Error> {
        let response = self.answer(request).await?;
        self.read(response).await
    }

    /// Sends, and turns an error answer into an error.
    async fn answer(&self, request: RequestBuilder) -> Result<Response, Error> {
        let response = request.send().await.map_err(|error| self.unreachable(error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let trace_id = text_header(&response, "x-trace-id").unwrap_or_default();
        let body = response.bytes().await.map_err(|error| self.unreachable(error))?;
        // Whatever stands between us and the server (a proxy, say) answers in its own words.
        let problem = serde_json::from_slice(&body).unwrap_or_else(|_| Problem {
            kind: "about:blank".to_owned(),
            title: status.to_string(),
            status: status.as_u16(),
            detail: format!("the answer was {status}, and no problem document"),
            hint: None,
            errors: Vec::<FieldError>::new(),
            place: None,
            trace_id,
        });
        Err(Error::Problem(Box::new(problem)))
    }

    async fn read<T: DeserializeOwned>(&self, response: Response) -> Result<T, Error> {
        let trace_id = text_header(&response, "x-trace-id");
        let call = response.url().path().to_owned();
        let body = response.bytes().await.map_err(|error| self.unreachable(error))?;
        serde_json::from_slice(&body).map_err(|source| Error::Unreadable {
            call,
            trace_id,
            source: source.into(),
        })
    }

    pub(crate) fn unreachable(&self, error: reqwest::Error) -> Error {
        // Without the URL: Error::Unreachable says it already.
        Error::Unreachable { url: self.base().to_owned(), source: error.without_url().into() }
    }
}

fn text_header(response: &Response, name: &str) -> Option<String> {
    Some(response.headers().get(name)?.to_str().ok()?.to_owned())
}

/// Unique to this attempt of this caller: the standard library seeds every `RandomState` anew.
fn idempotency_key(body: &Value) -> u64 {
    use std::hash::BuildHasher;
    std::hash::RandomState::new().hash_one(body.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_must_be_an_http_url_with_a_host() {
        for wrong in ["", "127.0.0.1:7171", "ftp://x", "localhost:7171", "http://", "unix:/tmp/x"] {
            assert!(
                matches!(Client::new(wrong), Err(Error::Address { url }) if url == wrong),
                "{wrong}"
            );
        }
    }

    #[test]
    fn only_what_leaves_this_machine_without_tls_is_in_clear() {
        for (base, clear) in [
            ("http://127.0.0.1:7171", false),
            ("http://[::1]:7171", false),
            ("http://localhost", false),
            ("http://fixpoint.example.com", true),
            ("http://10.0.0.7", true),
            ("https://fixpoint.example.com", false),
        ] {
            assert_eq!(Client::new(base).unwrap().is_in_clear(), clear, "{base}");
        }
    }

    #[test]
    fn paths_are_joined_beneath_the_base_and_segments_are_encoded() {
        let client = Client::new("http://h:1/fixpoint?x=1").unwrap();
        let request = client.request(Method::GET, &["v1", "clusters", "a/b c"]).unwrap();
        assert_eq!(
            request.build().unwrap().url().as_str(),
            "http://h:1/fixpoint/v1/clusters/a%2Fb%20c"
        );
        assert_eq!(client.page("/runs/7"), "http://h:1/fixpoint/runs/7");
    }

    #[test]
    fn two_attempts_of_the_same_create_have_different_keys() {
        let body = serde_json::json!({"name": "idg"});
        assert_ne!(idempotency_key(&body), idempotency_key(&body));
    }
}
