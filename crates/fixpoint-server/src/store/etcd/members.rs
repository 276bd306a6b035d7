//! The members of the cluster: which is asked, for how long, and what its errors mean.
//!
//! Not here: what is asked. The surprise: no load is balanced. One member is asked for as long as
//! it answers, and the next one when it does not, so that a member that died costs each server one
//! failed request and not a third of all.

use std::{
    fmt,
    future::pending,
    sync::atomic::{AtomicI64, AtomicUsize, Ordering::Relaxed},
    time::{Duration, Instant},
};

use etcd_client::{Certificate, Client, ConnectOptions, Error, Identity, TlsOptions};
use tokio::{sync::OnceCell, time};
use tonic::Code;

use super::{super::StoreError, EtcdOptions};

/// How long one member may take. An election takes etcd about one second.
pub(super) const ATTEMPT: Duration = Duration::from_secs(2);

/// After how long without an answer of any member a request has failed. Long enough for a cluster
/// to lose its leader and elect another twice.
const PATIENCE: Duration = Duration::from_secs(8);

/// How long to wait when all members were asked in vain: this at first, and twice as long each time.
const PAUSE: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// A connection over which nothing comes for so long is given up.
const SILENCE: Duration = Duration::from_secs(3);

/// The most that one answer may hold.
pub(super) const MAX_ANSWER: usize = 64 << 20;

/// The members, and what is known of them.
pub(super) struct Members {
    members: Vec<Member>,
    connect: ConnectOptions,
    /// Which one is asked.
    current: AtomicUsize,
    /// What every key begins with.
    prefix: String,
    /// The newest revision that any answer told of.
    seen: AtomicI64,
}

struct Member {
    endpoint: String,
    client: OnceCell<Client>,
}

impl fmt::Debug for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Members").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl Members {
    pub(super) fn new(options: EtcdOptions) -> Result<Self, StoreError> {
        let EtcdOptions { endpoints, prefix, user, ca, identity } = options;
        if endpoints.is_empty() {
            return Err(StoreError::engine("be opened", "no member of etcd was named"));
        }
        let mut connect = ConnectOptions::new()
            .with_connect_timeout(ATTEMPT)
            .with_keep_alive(SILENCE, SILENCE)
            .with_keep_alive_while_idle(true)
            .with_require_leader(true);
        if let Some((name, password)) = user {
            connect = connect.with_user(name, password).with_auto_token_refresh(true);
        }
        if endpoints.iter().any(|endpoint| endpoint.starts_with("https://")) {
            let mut tls = TlsOptions::new();
            tls = match ca {
                Some(pem) => tls.ca_certificate(Certificate::from_pem(pem)),
                None => tls.with_native_roots(),
            };
            if let Some((certificate, key)) = identity {
                tls = tls.identity(Identity::from_pem(certificate, key));
            }
            connect = connect.with_tls(tls);
        }
        // Servers begin with different members.
        let first = fastrand::usize(..endpoints.len());
        let member = |endpoint| Member { endpoint, client: OnceCell::new() };
        Ok(Self {
            members: endpoints.into_iter().map(member).collect(),
            connect,
            current: AtomicUsize::new(first),
            prefix: format!("{}/", prefix.trim_end_matches('/')),
            seen: AtomicI64::new(0),
        })
    }

    /// A key as etcd has it.
    pub(super) fn key(&self, key: &str) -> Vec<u8> {
        [self.prefix.as_bytes(), key.as_bytes()].concat()
    }

    /// A key of etcd's as this store has it.
    pub(super) fn strip(&self, key: &[u8]) -> Result<String, StoreError> {
        let stripped = key.strip_prefix(self.prefix.as_bytes());
        let text = stripped.and_then(|key| std::str::from_utf8(key).ok());
        text.map(str::to_owned).ok_or_else(|| StoreError::Corrupt {
            key: String::from_utf8_lossy(key).into_owned(),
            source: "it is not a key of ours".into(),
        })
    }

    /// What every key begins with.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The member that is asked now: host and port.
    pub(super) fn address(&self) -> (&str, Option<u16>) {
        let endpoint = &self.members[self.current.load(Relaxed)].endpoint;
        let address = endpoint.split_once("://").map_or(&**endpoint, |(_, address)| address);
        match address.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().ok()),
            None => (address, None),
        }
    }

    /// Notes how new an answer is.
    pub(super) fn saw(&self, header: Option<&etcd_client::ResponseHeader>) {
        if let Some(header) = header {
            self.seen.fetch_max(header.revision(), Relaxed);
        }
    }

    /// The first revision that nobody here has seen.
    pub(super) fn next_revision(&self) -> i64 {
        self.seen.load(Relaxed) + 1
    }

    /// Asks one member, once, with whatever comes of it.
    pub(super) async fn ask_once<T, F: Future<Output = Result<T, Error>>>(
        &self,
        at_most: Duration,
        question: impl FnOnce(Client) -> F,
    ) -> Result<T, Failure> {
        let at = self.current.load(Relaxed);
        let member = &self.members[at];
        let asking = async {
            let connecting = || Client::connect([&member.endpoint], Some(self.connect.clone()));
            let client = member.client.get_or_try_init(connecting).await?;
            question(client.clone()).await
        };
        let failure = match time::timeout(at_most, asking).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => Failure::of(error),
            Err(_elapsed) => Failure::Passing(format!("no answer within {at_most:?}").into()),
        };
        if let Failure::Passing(_) | Failure::Untrusted(_) = failure {
            self.move_on(at);
        }
        Err(failure)
    }

    /// Has etcd told anew who this is; requests do that by themselves, watches do not.
    pub(super) async fn sign_in(&self) -> Result<(), Failure> {
        self.ask_once(ATTEMPT, async move |client: Client| client.refresh_token().await).await
    }

    /// Asks the members in turn until one answers, for as long as there is hope.
    pub(super) async fn ask<T, F: Future<Output = Result<T, Error>>>(
        &self,
        what: &'static str,
        question: impl Fn(Client) -> F,
    ) -> Result<T, StoreError> {
        let until = Instant::now() + PATIENCE;
        let (mut tried, mut untrusted, mut pause) = (0, 0, PAUSE);
        loop {
            let source = match self.ask_once(ATTEMPT, &question).await {
                Ok(answer) => return Ok(answer),
                Err(Failure::LeaseLost) => return Err(StoreError::LeaseLost),
                Err(Failure::Refused(source)) => return Err(StoreError::Engine { what, source }),
                Err(Failure::Untrusted(source)) => {
                    untrusted += 1;
                    if untrusted == self.members.len() {
                        return Err(StoreError::Engine { what, source });
                    }
                    source
                }
                Err(Failure::Passing(source)) => {
                    untrusted = 0;
                    source
                }
            };
            tried += 1;
            if Instant::now() + pause > until {
                return Err(StoreError::Unreachable { what, whom: self.named(), source });
            }
            if tried % self.members.len() == 0 {
                rest(pause.mul_f64(0.5 + fastrand::f64())).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
    }

    /// Has the next member asked, unless somebody else has seen to that.
    fn move_on(&self, from: usize) {
        let next = (from + 1) % self.members.len();
        let _moved = self.current.compare_exchange(from, next, Relaxed, Relaxed);
    }

    fn named(&self) -> String {
        let endpoints = self.members.iter().map(|member| &*member.endpoint);
        format!("etcd at {}", endpoints.collect::<Vec<_>>().join(", "))
    }
}

/// Waits.
pub(super) async fn rest(pause: Duration) {
    let _elapsed = time::timeout(pause, pending::<()>()).await;
}

type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why a member did not do what it was asked.
#[derive(Debug)]
pub(super) enum Failure {
    /// Another member may, or the same one later.
    Passing(Source),
    /// It and this process do not trust each other. One that is set up otherwise may.
    Untrusted(Source),
    /// It would not help to ask again.
    Refused(Source),
    /// The lease that was named is not there.
    LeaseLost,
}

/// etcd refused, with what can be done about it.
#[derive(Debug, thiserror::Error)]
#[error("etcd says: {said}{hint}")]
struct Refused {
    said: String,
    hint: &'static str,
}

impl Failure {
    fn of(error: Error) -> Self {
        let status = match &error {
            Error::GRpcStatus(status) => status,
            Error::LeaseKeepAliveError(_) => return Self::LeaseLost,
            // Nothing was sent yet: what was given is none.
            Error::TransportError(_) => {
                let hint = "; PEM is wanted of --etcd-ca, --etcd-cert and --etcd-key";
                return Self::Refused(
                    Refused { said: told(error.to_string(), &error), hint }.into(),
                );
            }
            Error::IoError(_) | Error::WatchError(_) => return Self::Passing(error.into()),
            _ => return Self::Refused(error.into()),
        };
        let (code, said) = (status.code(), status.message());
        let hint = match code {
            Code::NotFound if said.contains("lease") => return Self::LeaseLost,
            Code::ResourceExhausted if said.contains("space") => {
                "; compact and defragment it, then disarm the alarm: etcdctl alarm disarm"
            }
            Code::PermissionDenied => "; the user needs the role to read and write the prefix",
            Code::Unauthenticated => SIGN_IN,
            Code::InvalidArgument if said.contains("user name is empty") => SIGN_IN,
            Code::InvalidArgument if said.contains("authentication failed") => {
                "; --etcd-user and FIXPOINT_ETCD_PASSWORD must be those that etcd knows"
            }
            Code::FailedPrecondition if said.contains("authentication is not enabled") => {
                "; it knows no users: leave --etcd-user away"
            }
            // Users or roles were changed in this very moment.
            Code::InvalidArgument if said.contains("revision of auth store is old") => {
                return Self::Passing(error.into());
            }
            Code::Unavailable
            | Code::DeadlineExceeded
            | Code::Cancelled
            | Code::Aborted
            | Code::Unknown
            | Code::Internal
            | Code::ResourceExhausted => {
                let said = told(said.to_owned(), status);
                return match distrust(&said) {
                    Some(hint) => Self::Untrusted(Refused { said, hint }.into()),
                    None => Self::Passing(said.into()),
                };
            }
            _ => "",
        };
        Self::Refused(Refused { said: said.to_owned(), hint }.into())
    }
}

const SIGN_IN: &str = "; give --etcd-user and FIXPOINT_ETCD_PASSWORD";

/// What can be done, if no connection was made since one side does not trust the other.
fn distrust(said: &str) -> Option<&'static str> {
    let alert = |names: &[&str]| names.iter().any(|name| said.contains(name));
    if said.contains("invalid peer certificate") {
        Some("; --etcd-ca names the authority that signed its certificate")
    } else if alert(&["CertificateRequired", "BadCertificate", "UnknownCA", "HandshakeFailure"]) {
        Some("; show it a certificate that it trusts, with --etcd-cert and --etcd-key")
    } else {
        None
    }
}

/// What was said, with the causes that tonic only hints at: "connection refused".
fn told(said: String, error: &(dyn std::error::Error + 'static)) -> String {
    let (mut said, mut next) = (said, error.source());
    while let Some(cause) = next {
        let text = cause.to_string();
        if !said.contains(&text) {
            said = format!("{said}: {text}");
        }
        next = cause.source();
    }
    said
}
