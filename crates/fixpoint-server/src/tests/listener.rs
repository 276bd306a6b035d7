//! The server behind a real socket: it answers, and it stops.

use std::{sync::Arc, time::Duration};

use fixpoint_trace::{record::Recorder, store as trace_store};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    time,
};

use super::{PATIENCE, toy::Toys};
use crate::{Error, Server, store};

fn server() -> crate::Builder {
    let traces = Arc::new(trace_store::memory::MemoryStore::default());
    let (recorder, _) = Recorder::new(traces.clone());
    Server::builder().runs(Arc::new(store::MemoryStore::new())).traces(traces, recorder)
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
    for name in ["runs", "Runs", "a/b", ""] {
        let built = server().kind(Toys(world.clone())).control(name, world.clone()).build();
        assert!(matches!(built, Err(Error::BadName { .. })), "{name}");
    }
}
