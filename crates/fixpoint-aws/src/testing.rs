//! A scripted AWS for this crate's own tests: each attempt gets the next answer of a list.
//!
//! Not the sandbox, which has a state. The surprise: it also captures the spans and log lines of
//! the calling test, as the recording layer of a product would see them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::{fmt, io};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use fixpoint::Pace;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

use crate::{Aws, AwsOptions};

/// What happens to an attempt.
#[derive(Debug, Clone)]
pub(crate) enum Attempt {
    /// An answer of this status and body.
    Answer(u16, String),
    /// The connection breaks, before or after the effect: who knows.
    Lost,
    /// No answer, ever.
    Hangs,
}

impl Attempt {
    /// An EC2 refusal.
    pub(crate) fn refused(status: u16, code: &str) -> Self {
        Self::Answer(
            status,
            format!(
                "<Response><Errors><Error><Code>{code}</Code><Message>said {code}</Message>\
                 </Error></Errors><RequestID>r-{code}</RequestID></Response>"
            ),
        )
    }

    /// A success.
    pub(crate) fn ok(body: &str) -> Self {
        Self::Answer(200, format!("<OkResponse><requestId>r-ok</requestId>{body}</OkResponse>"))
    }
}

/// Answers from a list, and counts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Script {
    left: Arc<Mutex<VecDeque<Attempt>>>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Script {
    pub(crate) fn new(attempts: impl IntoIterator<Item = Attempt>) -> Self {
        Self { left: Arc::new(Mutex::new(attempts.into_iter().collect())), ..Self::default() }
    }

    /// The bodies that were sent.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    /// Clients that talk to this script, with hardly any pause between attempts.
    pub(crate) async fn aws(&self) -> Aws {
        Aws::connect(AwsOptions {
            http_client: Some(SharedHttpClient::new(self.clone())),
            pace: Pace::times(1000.0),
            ..AwsOptions::default()
        })
        .await
    }
}

impl HttpClient for Script {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Script {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let body = request.body().bytes().unwrap_or_default();
        self.seen.lock().unwrap().push(String::from_utf8_lossy(body).into_owned());
        let next = self.left.lock().unwrap().pop_front().expect("one answer more");
        HttpConnectorFuture::new(async move {
            match next {
                Attempt::Answer(status, body) => {
                    let status = StatusCode::try_from(status).unwrap();
                    let mut response = HttpResponse::new(status, SdkBody::from(body));
                    if status.is_success() {
                        response.headers_mut().insert("x-amzn-requestid", "r-ok");
                    }
                    Ok(response)
                }
                Attempt::Lost => {
                    let reset = io::Error::from(io::ErrorKind::ConnectionReset);
                    Err(ConnectorError::io(reset.into()))
                }
                Attempt::Hangs => std::future::pending().await,
            }
        })
    }
}

/// The spans and log lines of a test.
#[derive(Clone, Default)]
pub(crate) struct Captured(Arc<Mutex<Vec<Seen>>>);

/// A span or a log line.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    pub(crate) id: u64,
    pub(crate) parent: u64,
    pub(crate) name: String,
    pub(crate) fields: BTreeMap<String, String>,
    pub(crate) open: bool,
}

impl Captured {
    /// Captures what this thread emits while the guard lives.
    pub(crate) fn start() -> (Self, tracing::subscriber::DefaultGuard) {
        fixpoint_trace::testing::watch_all_places();
        let this = Self::default();
        let subscriber = tracing_subscriber::registry().with(this.clone());
        (this, tracing::subscriber::set_default(subscriber))
    }

    /// Spans in the order in which they were opened.
    pub(crate) fn spans(&self) -> Vec<Seen> {
        self.0.lock().unwrap().iter().filter(|seen| seen.id != 0).cloned().collect()
    }

    /// `LEVEL message`s.
    pub(crate) fn lines(&self) -> Vec<String> {
        let all = self.0.lock().unwrap();
        let lines = all.iter().filter(|seen| seen.id == 0);
        lines.map(|line| format!("{} {}", line.name, line.fields["message"])).collect()
    }

    /// Everything, to look for secrets in.
    pub(crate) fn text(&self) -> String {
        format!("{:?}", self.0.lock().unwrap())
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Captured {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        // The SDK's own chatter is not ours to test.
        metadata.target().starts_with("fixpoint_aws")
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let parent = context.span(id).and_then(|span| Some(span.parent()?.id().into_u64()));
        let mut seen = Seen {
            id: id.into_u64(),
            parent: parent.unwrap_or_default(),
            name: attributes.metadata().name().into(),
            open: true,
            ..Seen::default()
        };
        attributes.record(&mut seen);
        self.0.lock().unwrap().push(seen);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        let mut all = self.0.lock().unwrap();
        if let Some(seen) = all.iter_mut().rev().find(|seen| seen.id == id.into_u64()) {
            values.record(seen);
        }
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut seen = Seen { name: event.metadata().level().to_string(), ..Seen::default() };
        event.record(&mut seen);
        self.0.lock().unwrap().push(seen);
    }

    fn on_close(&self, id: Id, _: Context<'_, S>) {
        let mut all = self.0.lock().unwrap();
        if let Some(seen) = all.iter_mut().rev().find(|seen| seen.id == id.into_u64()) {
            seen.open = false;
        }
    }
}

impl Visit for Seen {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.fields.insert(field.name().into(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.insert(field.name().into(), value.into());
    }
}
