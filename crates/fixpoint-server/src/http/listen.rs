//! Takes connections on a listener and answers the requests on them: the API's and the receivers'.
//!
//! Not here: what is answered. The surprise: a connection that does not say anything is closed
//! after a while, whatever protocol it speaks, so that nobody can keep the others out by silence; and
//! once there are too many, those on which nothing is asked make room for those who wait.

use std::{
    future, io,
    sync::{
        Arc, Mutex, PoisonError,
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
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time,
};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::tls::Tls;

/// More connections than this wait in the system's queue.
const MAX_CONNECTIONS: usize = 1_024;

/// A connection on which nothing was asked for so long makes room when others wait for it.
const IDLE: Duration = Duration::from_secs(1);

/// How often those that are idle are told that others wait.
const CROWDED: Duration = Duration::from_millis(250);

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
    serve_at_most(MAX_CONNECTIONS, listener, wire, tls, routes, stopping).await;
}

async fn serve_at_most(
    connections: usize,
    listener: TcpListener,
    wire: Wire,
    tls: Option<Tls>,
    routes: Router,
    stopping: CancellationToken,
) {
    let failed = Arc::new(AtomicU64::new(0));
    let builder = builder(wire);
    let room = Room { places: Arc::new(Semaphore::new(connections)), crowded: Arc::default() };
    let mut open = JoinSet::new();
    let accepting = async {
        loop {
            let stream = accept(&listener).await;
            let Some(place) = room.place().await else { return };
            // Reaps what has ended, so that the set does not grow.
            while open.try_join_next().is_some() {}
            let (builder, routes) = (builder.clone(), routes.clone());
            let (stopping, tls, failed) = (stopping.clone(), tls.clone(), Arc::clone(&failed));
            let crowded = Arc::clone(&room.crowded);
            open.spawn(async move {
                match tls {
                    None => talk(stream, &builder, routes, stopping, &crowded).await,
                    Some(tls) => {
                        if let Some(stream) = secure(stream, wire, &tls, &failed).await {
                            talk(stream, &builder, routes, stopping, &crowded).await;
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

/// For how many connections there is room.
struct Room {
    places: Arc<Semaphore>,
    /// Somebody waits for a place.
    crowded: Arc<Notify>,
}

impl Room {
    /// A place, once there is one. None if there will never be one again.
    async fn place(&self) -> Option<OwnedSemaphorePermit> {
        loop {
            let place = Arc::clone(&self.places).acquire_owned();
            if let Ok(place) = time::timeout(CROWDED, place).await {
                return place.ok();
            }
            self.crowded.notify_waiters();
        }
    }
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
    crowded: &Notify,
) {
    let began = CancellationToken::new();
    let asked = Arc::new(Mutex::new(time::Instant::now()));
    let last = || *asked.lock().unwrap_or_else(PoisonError::into_inner);
    let service = hyper::service::service_fn({
        let (began, asked) = (began.clone(), Arc::clone(&asked));
        move |request: Request<Incoming>| {
            began.cancel();
            *asked.lock().unwrap_or_else(PoisonError::into_inner) = time::Instant::now();
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
    let mut silence = std::pin::pin!(silence);
    loop {
        tokio::select! {
            // Whoever hung up knows that already.
            _broken = connection.as_mut() => return,
            () = silence.as_mut() => return,
            () = stopping.cancelled() => break,
            () = crowded.notified() => if last().elapsed() >= IDLE { break },
        }
    }
    // What is still being answered is answered, however long that takes.
    connection.as_mut().graceful_shutdown();
    let _broken = connection.await;
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// A connection on which `path` was asked for. It stays open.
    async fn ask(address: std::net::SocketAddr, path: &str) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    /// What comes until there is `end`.
    async fn answer(stream: &mut TcpStream, end: &str) -> String {
        let mut answer = Vec::new();
        let reading = async {
            while !String::from_utf8_lossy(&answer).contains(end) {
                assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0, "closed");
            }
        };
        time::timeout(SILENCE / 3, reading).await.expect("an answer in time");
        String::from_utf8(answer).unwrap()
    }

    #[tokio::test]
    async fn idle_connections_make_room_for_those_who_wait_and_busy_ones_are_not_cut_off() {
        let slow = || async {
            let _elapsed = time::timeout(IDLE * 3, future::pending::<()>()).await;
            "slow answer"
        };
        let routes = Router::new().route("/quick", get(|| async { "quick answer" }));
        let routes = routes.route("/slow", get(slow));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let serving = serve_at_most(2, listener, Wire::Http1, None, routes, stop.clone());
        let serving = tokio::spawn(serving);
        let mut busy = ask(address, "/slow").await;
        let mut idle = ask(address, "/quick").await;
        answer(&mut idle, "quick answer").await;
        let mut third = ask(address, "/quick").await;
        answer(&mut third, "quick answer").await;
        assert_eq!(idle.read(&mut [0; 8]).await.unwrap(), 0, "it was told to go");
        answer(&mut busy, "slow answer").await;
        stop.cancel();
        serving.await.unwrap();
    }
}
