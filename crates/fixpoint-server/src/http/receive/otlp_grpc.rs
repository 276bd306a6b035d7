//! OTLP over gRPC: the `Export` calls for spans and log lines.
//!
//! <https://opentelemetry.io/docs/specs/otlp/#otlpgrpc>. Not here: HTTP/2 (`listen.rs`). The
//! surprise: a call is taken apart here and not by tonic, which reads a message of any size into
//! memory of its own, and tells a sender whose message is too large to send it again.

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use bytes::{BufMut, BytesMut};
use fixpoint_trace::store::{Accepted, Signal};
use http_body_util::{BodyExt, Full};
use prost::Message;
use tonic::Status;

use super::{
    body::{self, Encoding, Held},
    intake::Intake,
    otlp_http::ExportResponse,
    refusal::Refusal,
};

/// What stands before a message: whether it is compressed, and its length.
const PREFIX: usize = 5;

pub(super) fn routes(intake: Intake) -> Router {
    let traces = async |State(intake): State<Intake>, request: Request| {
        answer(&intake, Signal::Traces, request).await
    };
    let logs = async |State(intake): State<Intake>, request: Request| {
        answer(&intake, Signal::Logs, request).await
    };
    Router::new()
        .route("/opentelemetry.proto.collector.trace.v1.TraceService/Export", post(traces))
        .route("/opentelemetry.proto.collector.logs.v1.LogsService/Export", post(logs))
        .fallback(async || refused(Status::unimplemented("only Export of spans and logs is here")))
        .with_state(intake)
}

async fn answer(intake: &Intake, signal: Signal, request: Request) -> Response {
    let kind = body::essence(request.headers());
    if kind != "application/grpc" && kind != "application/grpc+proto" {
        intake.refused(&Refusal::media_type(&kind, "application/grpc"));
        return StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response();
    }
    let mut answer = match take(intake, signal, request).await {
        Ok(accepted) => success(&accepted),
        Err(refusal) => {
            intake.refused(&refusal);
            refused(refusal.to_grpc())
        }
    };
    let encodings = HeaderValue::from_static("identity,gzip,zstd");
    answer.headers_mut().insert("grpc-accept-encoding", encodings);
    answer
}

async fn take(intake: &Intake, signal: Signal, request: Request) -> Result<Accepted, Refusal> {
    let (head, body) = request.into_parts();
    let encoding = Encoding::named(body::header(&head.headers, "grpc-encoding"))?;
    let mut sent = intake.read(&head, body).await?;
    let compressed = unframe(&mut sent.held)?;
    let encoding = if compressed { encoding } else { Encoding::Identity };
    intake.otlp(signal, intake.decompress(encoding, sent)?).await
}

/// Takes the one message out of a call's body; says whether it is compressed.
fn unframe(held: &mut Held) -> Result<bool, Refusal> {
    let (&[compressed, a, b, c, d], message) =
        held.bytes.split_first_chunk::<PREFIX>().ok_or(Refusal::Broken)?;
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    if message.len() != length {
        return Err(match message.len() < length {
            true => Refusal::Broken,
            false => Refusal::Malformed("there is more than one message in the call".to_owned()),
        });
    }
    held.bytes = held.bytes.slice(PREFIX..);
    match compressed {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(Refusal::Malformed(format!("{other} is no flag of a message"))),
    }
}

fn success(accepted: &Accepted) -> Response {
    let message = ExportResponse::new(accepted).encode_to_vec();
    let mut frame = BytesMut::with_capacity(PREFIX + message.len());
    frame.put_u8(0);
    // A count and a line of text.
    frame.put_u32(message.len() as u32);
    frame.put_slice(&message);
    let trailers = async {
        let ok = HeaderValue::from_static("0");
        Some(Ok(HeaderMap::from_iter([(Status::GRPC_STATUS, ok)])))
    };
    let body = Body::new(Full::new(frame.freeze()).with_trailers(trailers));
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"))], body).into_response()
}

fn refused(status: Status) -> Response {
    status.into_http::<Body>()
}
