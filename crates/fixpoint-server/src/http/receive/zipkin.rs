//! Zipkin v2: `POST /api/v2/spans`, in JSON and protobuf, as every Zipkin reporter sends them.
//!
//! Not here: version 1, Thrift. The surprise: Zipkin's answer to spans has no room for how many
//! were left out. Those that are not valid are counted in `/metrics`; the answer is the same.

use axum::{
    Router,
    extract::{Request, State},
    http::{StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
    routing::post,
};
use fixpoint_trace::{
    store::{Accepted, Signal},
    zipkin,
};

use super::{
    body::{self, Encoding},
    intake::Intake,
    refusal::Refusal,
};
use crate::http::{App, guard, read};

pub(super) fn routes(intake: Intake, app: &App) -> Router {
    Router::new().route("/api/v2/spans", post(spans)).with_state(intake).merge(
        read::zipkin::routes()
            .layer(middleware::from_fn_with_state(app.clone(), guard::guard))
            .with_state(app.clone()),
    )
}

async fn spans(State(intake): State<Intake>, request: Request) -> Response {
    match take(&intake, request).await {
        Ok(_) => StatusCode::ACCEPTED.into_response(),
        Err(refusal) => {
            intake.refused(&refusal);
            let mut response = (refusal.status(), refusal.to_string()).into_response();
            response.headers_mut().extend(refusal.headers());
            response
        }
    }
}

async fn take(intake: &Intake, request: Request) -> Result<Accepted, Refusal> {
    let (head, body) = request.into_parts();
    // A body of no type is refused, too: a page of another site can make a browser send that.
    let decode = match body::essence(&head.headers).as_str() {
        "application/json" => zipkin::decode,
        "application/x-protobuf" => zipkin::decode_protobuf,
        other => {
            let wanted = "application/json or application/x-protobuf";
            return Err(Refusal::media_type(other, wanted));
        }
    };
    let encoding = Encoding::named(body::header(&head.headers, header::CONTENT_ENCODING))?;
    let sent = intake.decompress(encoding, intake.read(&head, body).await?)?;
    intake.records(Signal::Traces, sent, decode).await
}
