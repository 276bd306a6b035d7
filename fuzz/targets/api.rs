//! Bodies and addresses of the API, sent to a server over a connection: each is answered, and none
//! with an error of the server's own.
//!
//! Not here: what sensible requests do. Nothing is stored: what could be is sent as a dry run. The
//! first byte says which request it is; the rest is its body, or the end of its address.
#![no_main]

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

use clusters::Clusters;
use fixpoint_aws::{
    Aws, AwsOptions,
    sandbox::{Sandbox, SandboxOptions},
};
use fixpoint_server::{Access, Hosts, Server, store::MemoryStore};
use fixpoint_trace::{record::Recorder, store::memory};
use libfuzzer_sys::fuzz_target;

static SERVER: LazyLock<SocketAddr> = LazyLock::new(|| {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a listener");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let sandbox = SandboxOptions { latency: false, ..SandboxOptions::default() };
            let sandbox = Some(Sandbox::open(sandbox).expect("a sandbox"));
            let aws = Aws::connect(AwsOptions { sandbox, ..AwsOptions::default() }).await;
            let traces = Arc::new(memory::MemoryStore::default());
            let (recorder, _writer) = Recorder::new(traces.clone());
            let server = Server::builder()
                .kind(Clusters::new(aws))
                .access(Access::Anyone(Hosts::default()))
                .runs(Arc::new(MemoryStore::new()))
                .traces(traces, recorder)
                .build()
                .expect("a server");
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            server.run(listener, std::future::pending()).await.expect("a server that works");
        });
    });
    address
});

static CONNECTION: Mutex<Option<TcpStream>> = Mutex::new(None);

const JSON: &str = "application/json";

/// Method, address, and the type of the body; without one the rest belongs to the address.
const REQUESTS: [(&str, &str, Option<&str>); 12] = [
    ("POST", "/v1/clusters?dry_run=true", Some(JSON)),
    ("PUT", "/v1/clusters/idg?dry_run=true", Some(JSON)),
    ("PATCH", "/v1/clusters/idg?dry_run=true", Some("application/merge-patch+json")),
    ("POST", "/v1/traces", Some(JSON)),
    ("POST", "/v1/tokens", Some(JSON)),
    ("GET", "/v1/traces?q=", None),
    ("GET", "/v1/find?id=", None),
    ("GET", "/v1/runs/", None),
    ("GET", "/api/traces?", None),
    ("GET", "/api/v2/traces?", None),
    ("GET", "/traces?q=", None),
    ("GET", "/", None),
];

fuzz_target!(|input: &[u8]| {
    let Some((which, rest)) = input.split_first() else { return };
    let (method, address, kind) = REQUESTS[usize::from(*which) % REQUESTS.len()];
    let mut request = Vec::new();
    match kind {
        Some(kind) => {
            let head = format!(
                "{method} {address} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {kind}\r\n\
                 content-length: {}\r\n\r\n",
                rest.len()
            );
            request.extend(head.into_bytes());
            request.extend(rest);
        }
        None => {
            request.extend(format!("{method} {address}").into_bytes());
            // What no client sends unescaped ends the address; hyper refuses the rest by itself.
            rest.iter().for_each(|byte| request.extend(format!("%{byte:02x}").into_bytes()));
            request.extend(b" HTTP/1.1\r\nhost: localhost\r\n\r\n");
        }
    }
    let status = ask(&request);
    assert!((200..500).contains(&status), "{status} to {}", String::from_utf8_lossy(&request));
});

/// Sends a request over the connection that is open, or a new one; returns the answer's status.
fn ask(request: &[u8]) -> u16 {
    let mut connection = CONNECTION.lock().expect("no panic before");
    let mut stream = connection.take().unwrap_or_else(connect);
    stream.write_all(request).expect("the server reads");
    let mut answer = Vec::new();
    let mut part = [0; 16_384];
    let (head, length) = loop {
        let read = read(&mut stream, &mut part);
        assert!(read > 0, "no answer to {}", String::from_utf8_lossy(request));
        answer.extend(&part[..read]);
        let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        break (
            head.clone(),
            length.and_then(|length| Some(end + 4 + length.parse::<usize>().ok()?)),
        );
    };
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    // An answer whose end is not known, or that closes the connection, is not read on.
    if let (Some(length), false) = (length, head.contains("connection: close")) {
        while answer.len() < length {
            let read = read(&mut stream, &mut part);
            assert!(read > 0, "an answer that breaks off");
            answer.extend(&part[..read]);
        }
        *connection = Some(stream);
    }
    status
}

/// Reads on after the fuzzer's own timer, which interrupts it every second.
fn read(stream: &mut TcpStream, part: &mut [u8]) -> usize {
    loop {
        match stream.read(part) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            read => return read.expect("an answer in time"),
        }
    }
}

fn connect() -> TcpStream {
    for _ in 0..100 {
        if let Ok(stream) = TcpStream::connect(*SERVER) {
            stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
            return stream;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("the server is not there");
}
