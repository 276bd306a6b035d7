//! Takes connections on a listener and answers the requests on them: the API's and the receivers'.
//!
//! Not here: what is answered. The surprise: a connection that does not say anything is closed
//! after a while, whatever protocol it speaks, so that nobody can keep the others out by silence.

use std::{
    future, io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{Router, extract::Request};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
    time,
};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::tls::Tls;

/// More connections than this wait in the system's queue.
const MAX_CONNECTIONS: usize = 1_024;

/// How long a connection may take to begin a request, and a request's head to come.
const SILENCE: Duration = Duration::from_secs(30);

/// How long to wait when the process has run out of file descriptors.
const OUT_OF_FILES: Duration = Duration::from_secs(1);

/// Which protocol a listener speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wire {
    /// HTTP/1.1
    Http1,
    /// HTTP/2, without upgrade: what gRPC speaks.
    Http2,
}

/// Answers requests until `stopping`, and then those that are open. Dropped, ends at once.
pub(crate) async fn serve(
    listener: TcpListener,
    wire: Wire,
    tls: Option<Tls>,
    routes: Router,
    stopping: CancellationToken,
) {
    let failed = Arc::new(AtomicU64::new(0));
    let builder = builder(wire);
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut open = JoinSet::new();
    let accepting = async {
        loop {
            // The semaphore is never closed.
            let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
            let stream = accept(&listener).await;
            // Reaps what has ended, so that the set does not grow.
            while open.try_join_next().is_some() {}
            let (builder, routes) = (builder.clone(), routes.clone());
            let (stopping, tls, failed) = (stopping.clone(), tls.clone(), Arc::clone(&failed));
            open.spawn(async move {
                match tls {
                    None => talk(stream, &builder, routes, stopping).await,
                    Some(tls) => {
                        if let Some(stream) = secure(stream, wire, &tls, &failed).await {
                            talk(stream, &builder, routes, stopping).await;
                        }
                    }
                }
                drop(place);
            });
        }
    };
    tokio::select! {
        () = accepting => {}
        () = stopping.cancelled() => {}
    }
    drop(listener);
    while open.join_next().await.is_some() {}
}

fn builder(wire: Wire) -> Builder<TokioExecutor> {
    let builder = Builder::new(TokioExecutor::new());
    let mut builder = match wire {
        Wire::Http1 => builder.http1_only(),
        Wire::Http2 => builder.http2_only(),
    };
    builder.http1().timer(TokioTimer::new()).header_read_timeout(SILENCE);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(SILENCE)
        .keep_alive_timeout(SILENCE)
        .max_concurrent_streams(256);
    builder
}

async fn accept(listener: &TcpListener) -> TcpStream {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // An answer is one write; there is nothing to wait for. Where that cannot be
                // set, answers are slower and just as right.
                let _slower = stream.set_nodelay(true);
                return stream;
            }
            Err(gone)
                if matches!(
                    gone.kind(),
                    ConnectionAborted | ConnectionRefused | ConnectionReset
                ) => {}
            Err(error) => {
                tracing::warn!("a connection could not be taken: {error}");
                let _elapsed = time::timeout(OUT_OF_FILES, future::pending::<()>()).await;
            }
        }
    }
}

/// The connection with TLS on it; none if that could not be agreed on in time. The first failure is
/// logged, then the second, the fourth, the eighth: whoever knocks at every port makes no flood.
async fn secure(
    stream: TcpStream,
    wire: Wire,
    tls: &Tls,
    failed: &AtomicU64,
) -> Option<TlsStream<TcpStream>> {
    let from = stream.peer_addr();
    let error = match time::timeout(SILENCE, tls.accept(stream, wire)).await {
        Ok(Ok(stream)) => return Some(stream),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "it took too long".to_owned(),
    };
    let count = failed.fetch_add(1, Ordering::Relaxed) + 1;
    if count.is_power_of_two() {
        let from = from.map(|from| from.to_string()).unwrap_or_default();
        tracing::warn!(from, count, "a connection could not be secured: {error}");
    }
    None
}

/// One connection, from its first request to its end.
async fn talk(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    builder: &Builder<TokioExecutor>,
    routes: Router,
    stopping: CancellationToken,
) {
    let began = CancellationToken::new();
    let service = hyper::service::service_fn({
        let began = began.clone();
        move |request: Request<Incoming>| {
            began.cancel();
            routes.clone().oneshot(request)
        }
    });
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let silence = async {
        if time::timeout(SILENCE, began.cancelled()).await.is_ok() {
            future::pending::<()>().await;
        }
    };
    tokio::select! {
        // Whoever hung up knows that already.
        _broken = connection.as_mut() => return,
        () = silence => return,
        () = stopping.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    let _broken = connection.await;
}
