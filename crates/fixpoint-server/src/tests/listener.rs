//! The server behind a real socket: it answers, and it stops.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    http::Request,
};
use fixpoint_trace::{
    model::{Span, SpanContext, SpanId, TraceId},
    otlp,
    record::Recorder,
    store as trace_store,
    store::TraceStore,
};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    time,
};

use super::{PATIENCE, toy::Toys};
use crate::{Access, Error, Hosts, Protocol, Receivers, Server, store};

fn server() -> crate::Builder {
    on(Arc::new(trace_store::memory::MemoryStore::default()))
}

fn on(traces: Arc<dyn TraceStore>) -> crate::Builder {
    let (recorder, _) = Recorder::new(Arc::clone(&traces));
    Server::builder()
        .access(Access::Anyone(Hosts::default()))
        .runs(Arc::new(store::MemoryStore::new()))
        .traces(traces, recorder)
}

#[tokio::test]
async fn a_server_answers_until_it_is_told_to_stop_and_lets_go_of_silent_connections() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = server().kind(Toys(Arc::default())).build().unwrap();
    let running = tokio::spawn(server.run(listener, async { drop(stopped.await) }));

    let mut silent = TcpStream::connect(address).await.unwrap();
    let mut client = TcpStream::connect(address).await.unwrap();
    let request = "GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    client.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");

    stop.send(()).unwrap();
    let ended = time::timeout(PATIENCE, running).await.expect("an end in time");
    ended.unwrap().unwrap();
    let read = time::timeout(Duration::from_secs(1), silent.read(&mut [0; 8])).await;
    assert!(matches!(read, Ok(Ok(0) | Err(_))), "{read:?}");
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_server_is_not_built_without_its_parts() {
    assert!(matches!(server().build(), Err(Error::Missing("a kind of resource"))));
    assert!(matches!(Server::builder().build(), Err(Error::Missing("a run store"))));
    let world = Arc::<super::toy::World>::default();
    for name in ["Runs", "a/b", ""] {
        let built = server().kind(Toys(world.clone())).control(name, world.clone()).build();
        assert!(matches!(built, Err(Error::BadName { .. })), "{name}");
    }
}

/// A listener for each protocol, on free ports.
async fn receivers() -> (Receivers, Vec<(Protocol, SocketAddr)>) {
    let (mut receivers, mut addresses) = (Receivers::new(), Vec::new());
    for protocol in Protocol::ALL {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        addresses.push((protocol, listener.local_addr().unwrap()));
        receivers = receivers.listen(protocol, listener);
    }
    (receivers, addresses)
}

#[tokio::test]
async fn receivers_take_spans_in_on_their_ports_until_the_server_stops() {
    let traces = Arc::new(trace_store::memory::MemoryStore::default());
    let (receivers, addresses) = receivers().await;
    let builder = on(traces.clone()).kind(Toys(Arc::default())).receivers(receivers);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = builder.build().unwrap();
    let running = tokio::spawn(server.run(listener, async { drop(stopped.await) }));

    for (protocol, address) in &addresses {
        let context = SpanContext { trace_id: TraceId::random(), span_id: SpanId::random() };
        let request = otlp::encode_spans(&[&Span::new(context, "checkout", 1_000)]);
        match protocol {
            Protocol::OtlpGrpc => assert_eq!(call(*address, &request).await, "0"),
            Protocol::OtlpHttp => {
                let answer = post(*address, "/v1/traces", "application/x-protobuf", &request).await;
                assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            }
            Protocol::Zipkin => {
                let body = format!(
                    r#"[{{"traceId": "{}", "id": "{}", "timestamp": 1, "duration": 1}}]"#,
                    context.trace_id, context.span_id
                );
                let answer = post(*address, "/api/v2/spans", "application/json", body.as_bytes());
                let answer = answer.await;
                assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
            }
        }
        assert!(traces.trace(context.trace_id).await.unwrap().is_some(), "{protocol}");
    }

    stop.send(()).unwrap();
    time::timeout(PATIENCE, running).await.expect("an end in time").unwrap().unwrap();
    for (_, address) in addresses {
        assert!(TcpStream::connect(address).await.is_err());
    }
}

/// A request by HTTP/1.1; returns the whole answer.
async fn post(address: SocketAddr, path: &str, kind: &str, body: &[u8]) -> String {
    let mut client = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: {kind}\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    client.write_all(&[head.as_bytes(), body].concat()).await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    answer
}

/// A call by HTTP/2; returns the gRPC status.
async fn call(address: SocketAddr, message: &[u8]) -> String {
    let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let executor = TokioExecutor::new();
    let handshake = hyper::client::conn::http2::handshake::<_, _, Full<Bytes>>(executor, stream);
    let (mut client, connection) = handshake.await.unwrap();
    let connection = tokio::spawn(connection);
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let frame = [&[0][..], &length, message].concat();
    let path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    let request = Request::post(format!("http://{address}{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Full::new(Bytes::from(frame)))
        .unwrap();
    let answer = client.send_request(request).await.unwrap();
    let body = Body::new(answer.into_body()).collect().await.unwrap();
    connection.abort();
    body.trailers().unwrap()["grpc-status"].to_str().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_says_nothing_is_closed_whatever_it_should_speak() {
    let (receivers, addresses) = receivers().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let api = listener.local_addr().unwrap();
    let server = server().kind(Toys(Arc::default())).receivers(receivers).build().unwrap();
    let running = tokio::spawn(server.run(listener, std::future::pending()));
    for address in addresses.into_iter().map(|(_, address)| address).chain([api]) {
        for said in ["", "POST /v1/traces HTTP/1.1\r\n", "PRI * HTTP/2.0\r\n"] {
            let mut silent = TcpStream::connect(address).await.unwrap();
            silent.write_all(said.as_bytes()).await.unwrap();
            // The clock is paused: it moves on when nobody has anything to do.
            let ended = time::timeout(Duration::from_secs(120), async {
                let mut rest = Vec::new();
                silent.read_to_end(&mut rest).await
            });
            assert!(ended.await.is_ok(), "{address} waits on after {said:?}");
        }
    }
    running.abort();
}

#[tokio::test(start_paused = true)]
async fn a_head_that_does_not_come_to_its_end_in_time_costs_its_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = server().kind(Toys(Arc::default())).build().unwrap();
    tokio::spawn(server.run(listener, std::future::pending()));
    let began = time::Instant::now();
    let mut slow = TcpStream::connect(address).await.unwrap();
    slow.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-slow: ").await.unwrap();
    let mut answer = Vec::new();
    // Time goes on by itself where nobody has anything else to do.
    let _ended = slow.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP/1.1 200"), "{answer:?}");
    assert!(began.elapsed() >= Duration::from_secs(29), "{:?}", began.elapsed());
}
