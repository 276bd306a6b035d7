//! Connections with TLS: the API's and the receivers', and who is not talked to.

use std::{net::SocketAddr, sync::Arc};

use fixpoint_trace::{record::Recorder, store as trace_store};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsConnector;

use super::{authority::Authority, toy::Toys};
use crate::{Access, Hosts, Protocol, Receivers, Server, Tls, TlsError, store};

/// A server with the certificate, on its API's port and OTLP's by gRPC.
async fn serve(tls: Tls) -> (SocketAddr, SocketAddr) {
    let traces = Arc::new(trace_store::memory::MemoryStore::default());
    let (recorder, _) = Recorder::new(traces.clone());
    let listen = async || TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (api, grpc) = (listen().await, listen().await);
    let addresses = (api.local_addr().unwrap(), grpc.local_addr().unwrap());
    let server = Server::builder()
        .access(Access::Anyone(Hosts::default()))
        .runs(Arc::new(store::MemoryStore::new()))
        .traces(traces, recorder)
        .kind(Toys(Arc::default()))
        .receivers(Receivers::new().listen(Protocol::OtlpGrpc, grpc))
        .tls(tls)
        .build()
        .unwrap();
    tokio::spawn(server.run(api, std::future::pending()));
    addresses
}

/// Asks `/healthz` of a server that the authority signed for, showing a certificate if there is
/// one, and returns the first line of the answer and the protocol agreed on.
async fn ask(
    address: SocketAddr,
    authority: &Authority,
    shown: Option<&(String, String)>,
    protocol: &str,
) -> std::io::Result<(String, Option<Vec<u8>>)> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match shown {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    };
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    let agreed = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
    if protocol == "h2" {
        // Whether it talks to us shows when it has said something.
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await?;
        stream.read_exact(&mut [0; 9]).await?;
        return Ok((String::new(), agreed));
    }
    let request = "GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    // A server need not say that it ends.
    let read = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    if answer.is_empty() {
        return Err(read.err().unwrap_or_else(|| std::io::Error::other("no answer")));
    }
    Ok((answer.lines().next().unwrap_or_default().to_owned(), agreed))
}

#[tokio::test]
async fn api_and_receivers_speak_tls_with_a_certificate_that_can_be_replaced() {
    let (old, new) = (Authority::new(), Authority::new());
    let (certificate, key) = old.sign("localhost");
    let tls = Tls::from_pem(certificate.as_bytes(), key.as_bytes(), None).unwrap();
    let (api, grpc) = serve(tls.clone()).await;

    let (line, agreed) = ask(api, &old, None, "http/1.1").await.unwrap();
    assert_eq!((&*line, agreed.as_deref()), ("HTTP/1.1 200 OK", Some(&b"http/1.1"[..])));
    let (_, agreed) = ask(grpc, &old, None, "h2").await.unwrap();
    assert_eq!(agreed.as_deref(), Some(&b"h2"[..]));
    // In clear there is no answer.
    let mut clear = TcpStream::connect(api).await.unwrap();
    clear.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ended = clear.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP/"), "{answer:?}");

    assert!(ask(api, &new, None, "http/1.1").await.is_err());
    let (certificate, key) = new.sign("localhost");
    tls.replace(Tls::from_pem(certificate.as_bytes(), key.as_bytes(), None).unwrap());
    assert_eq!(ask(api, &new, None, "http/1.1").await.unwrap().0, "HTTP/1.1 200 OK");
    assert!(ask(api, &old, None, "http/1.1").await.is_err());
}

#[tokio::test]
async fn with_a_client_ca_only_clients_that_it_signed_for_are_talked_to() {
    let (authority, clients, other) = (Authority::new(), Authority::new(), Authority::new());
    let (certificate, key) = authority.sign("localhost");
    let ca = clients.pem();
    let tls = Tls::from_pem(certificate.as_bytes(), key.as_bytes(), Some(ca.as_bytes())).unwrap();
    let (api, grpc) = serve(tls).await;
    let (known, unknown) = (clients.sign("client.example"), other.sign("client.example"));
    for (address, protocol) in [(api, "http/1.1"), (grpc, "h2")] {
        let ask = async |shown| ask(address, &authority, shown, protocol).await;
        assert!(ask(Some(&known)).await.is_ok());
        assert!(ask(None).await.is_err());
        assert!(ask(Some(&unknown)).await.is_err());
    }
}

#[test]
fn what_cannot_be_used_is_refused_without_saying_what_is_in_a_key() {
    let authority = Authority::new();
    let (certificate, key) = authority.sign("localhost");
    let (_, foreign) = authority.sign("localhost");
    let broken = key.replace("PRIVATE KEY-----\n", "PRIVATE KEY-----\nCanary7hunter2!");
    let make = |c: &str, k: &str, ca| Tls::from_pem(c.as_bytes(), k.as_bytes(), ca);
    assert!(matches!(make("", &key, None), Err(TlsError::Missing("certificate"))));
    assert!(matches!(make(&key, &key, None), Err(TlsError::Missing("certificate"))));
    assert!(matches!(make(&certificate, "", None), Err(TlsError::Missing("private key"))));
    assert!(matches!(make(&certificate, &key, Some(b"x")), Err(TlsError::Missing("client CA"))));
    assert!(matches!(make(&certificate, &foreign, None), Err(TlsError::Unusable(_))));
    let error = make(&certificate, &broken, None).unwrap_err();
    assert!(!format!("{error:?} {}", fixpoint::Chain(&error)).contains("Canary7"), "{error:?}");
}
