//! `POST /v1/traces`: a file of traces, whatever program wrote it.
//!
//! For people and scripts; programs that send as they go have the receivers. The surprise: the
//! format is found by looking at the file. The content type need only not be one that a page of
//! another site can make a browser send.

use std::collections::BTreeSet;

use axum::{
    Json, Router,
    extract::{Request, State},
    http::header,
    routing::post,
};
use fixpoint_client::Upload;
use fixpoint_trace::{
    formats,
    model::{Record, TraceId},
    store::Signal,
};

use super::{
    Limits,
    body::{self, Encoding, Room},
    intake::Intake,
    refusal::Refusal,
};
use crate::http::{App, Problem};

/// A file may be larger than what a program sends at a time; one of the largest fits in JSON.
const LIMITS: Limits = Limits { request: 64 << 20, record: 1 << 20, in_flight: 384 << 20 };

/// What a file may be said to be.
const TYPES: [&str; 4] = [
    "application/json",
    "application/x-ndjson",
    "application/x-protobuf",
    "application/octet-stream",
];

/// The route, which keeps its own room. The API's guard has asked who sends.
pub(in crate::http) fn routes(app: &App) -> Router<App> {
    let intake = Intake::new("upload", LIMITS, Room::new(LIMITS.in_flight), app);
    Router::new().route("/v1/traces", post(upload).with_state(intake))
}

async fn upload(State(intake): State<Intake>, request: Request) -> Result<Json<Upload>, Problem> {
    take(&intake, request).await.map(Json).map_err(|refusal| {
        intake.refused(&refusal);
        Problem::from(refusal)
    })
}

async fn take(intake: &Intake, request: Request) -> Result<Upload, Refusal> {
    let (head, body) = request.into_parts();
    let said = body::essence(&head.headers);
    if !TYPES.contains(&said.as_str()) {
        return Err(Refusal::media_type(&said, "application/json or application/octet-stream"));
    }
    let encoding = Encoding::named(body::header(&head.headers, header::CONTENT_ENCODING))?;
    let sent = intake.decompress(encoding, intake.read(&head, body).await?)?;
    let mut ids = BTreeSet::<TraceId>::new();
    let decode = |file: &[u8]| {
        let (_, decoded) = formats::decode_any(file)?;
        ids.extend(decoded.records.iter().filter_map(Record::trace_id));
        Ok(decoded)
    };
    let stored = intake.records(Signal::Traces, sent, decode).await?;
    Ok(Upload {
        trace_ids: ids.iter().map(ToString::to_string).collect(),
        accepted: stored.accepted,
        rejected: stored.rejected,
        message: stored.message,
    })
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let status = refusal.status();
        let mut detail = refusal.to_string();
        detail.push('.');
        Self::new(status, refusal.reason(), "Not taken in", detail)
    }
}
