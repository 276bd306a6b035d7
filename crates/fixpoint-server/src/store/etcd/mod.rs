//! The store that several servers share: etcd, by its v3 API.
//!
//! Not here: who owns which resource (`runner/`). The surprise: a request whose answer did not come
//! may have been done. Reading again is safe; a transaction that is sent again, and is then refused
//! because of what its own first sending wrote, is told from one that somebody else was faster
//! with (`txn.rs`).
//!
//! | file | what |
//! | --- | --- |
//! | `members.rs` | which member is asked, for how long, and what its errors mean |
//! | `txn.rs` | transactions as etcd wants them |
//! | `listen.rs` | watching, across broken connections and compactions |
//! | `newest.rs` | listing from the end |
//! | `lease.rs` | keeping a lease |
//! | `spans.rs` | what the trace says of each request |

mod lease;
mod listen;
mod members;
mod newest;
mod spans;
#[cfg(test)]
mod tests;
mod txn;

use std::{
    fmt,
    ops::Bound,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use etcd_client::{GetOptions, GetResponse, KeyValue, LeaseGrantOptions, SortOrder, SortTarget};
use tokio::{sync::mpsc, task::JoinSet};
use tracing::Instrument;

use self::{members::Members, txn::Verdict};
use super::{
    Entry, Lease, Listing, RunStore, Scan, StoreError, Version, Watch, Write, check,
    watch::WATCH_BUFFER,
};

/// How many entries are fetched at once: of a few kilobytes each, an answer of some hundred.
const CHUNK: usize = 200;

/// Where etcd is, and how it is talked to.
#[derive(Clone, Default)]
pub struct EtcdOptions {
    /// The members: `http://host:port` or `https://host:port`. One that can be reached is enough.
    pub endpoints: Vec<String>,
    /// What all keys begin with, without the slash at its end.
    pub prefix: String,
    /// The name and the password to sign in with.
    pub user: Option<(String, String)>,
    /// The certificates, in PEM, one of which must have signed the members'. The system's, if none.
    pub ca: Option<Vec<u8>>,
    /// The certificate and the private key, in PEM, that this process shows.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
}

impl fmt::Debug for EtcdOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { endpoints, prefix, user, .. } = self;
        let user = user.as_ref().map(|(name, _)| name);
        f.debug_struct("EtcdOptions")
            .field("endpoints", endpoints)
            .field("prefix", prefix)
            .field("user", &user)
            .finish_non_exhaustive()
    }
}

/// Keeps everything in etcd. Cheap to clone.
#[derive(Debug, Clone)]
pub struct EtcdStore {
    members: Arc<Members>,
    hints: Arc<newest::Hints>,
}

impl EtcdStore {
    /// Opens the store, and asks it something to know that it is there.
    ///
    /// # Errors
    /// If no member answers within ten seconds, or one refuses.
    pub async fn open(options: EtcdOptions) -> Result<Self, StoreError> {
        let members = Arc::new(Members::new(options)?);
        let store = Self { members, hints: Arc::default() };
        store.get("servers").await?;
        Ok(store)
    }

    async fn range(
        &self,
        what: &'static str,
        key: Vec<u8>,
        options: GetOptions,
    ) -> Result<GetResponse, StoreError> {
        let ask = |client: etcd_client::Client| {
            let (key, options) = (key.clone(), options.clone());
            let mut kv = client.kv_client().max_decoding_message_size(members::MAX_ANSWER);
            async move { kv.get(key, Some(options)).await }
        };
        let answer = self.members.ask(what, ask).await?;
        self.members.saw(answer.header());
        Ok(answer)
    }

    fn entry(&self, found: &KeyValue) -> Result<Entry, StoreError> {
        let key = self.members.strip(found.key())?;
        Ok(Entry {
            key,
            value: Bytes::copy_from_slice(found.value()),
            version: version(found.mod_revision()),
        })
    }
}

/// etcd counts revisions from 1 in a signed number.
fn version(revision: i64) -> Version {
    Version::try_from(revision).unwrap_or_default()
}

#[async_trait]
impl RunStore for EtcdStore {
    async fn get(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        let span = spans::open("get", key, &self.members);
        let asked = self.range("read", self.members.key(key), GetOptions::new());
        let answer = spans::close(&span, asked.instrument(span.clone()).await)?;
        answer.kvs().first().map(|found| self.entry(found)).transpose()
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<Version, StoreError> {
        check(&writes)?;
        let span = spans::of_writes(&writes, &self.members);
        let sent = AtomicU32::new(0);
        let ask = |client: etcd_client::Client| {
            let again = sent.fetch_add(1, Relaxed) > 0;
            let request = txn::request(&writes, &self.members, again, !span.is_disabled());
            let mut kv = client.kv_client().max_decoding_message_size(members::MAX_ANSWER);
            async move { Ok((kv.txn(request).await?, again)) }
        };
        let answered = self.members.ask("commit", ask).instrument(span.clone()).await;
        let (answer, again) = spans::close(&span, answered)?;
        self.members.saw(answer.header());
        let result = match txn::verdict(&writes, &answer, again) {
            Verdict::Done { at, before } => {
                spans::changes(&span, &writes, &before);
                Ok(at)
            }
            Verdict::Conflict(key) => Err(StoreError::Conflict { key }),
        };
        spans::close(&span, result)
    }

    /// All of one page is read at one revision, in pieces that one answer can hold.
    async fn list(&self, scan: &Scan) -> Result<Listing, StoreError> {
        let span = spans::open("range", &scan.prefix, &self.members);
        let listing = self.read_page(scan).instrument(span.clone()).await;
        spans::close(&span, listing)
    }

    fn watch(&self, prefix: &str) -> Watch {
        let (tell, heard) = mpsc::channel(WATCH_BUFFER);
        let listener = listen::Listener {
            members: Arc::clone(&self.members),
            prefix: prefix.to_owned(),
            from: self.members.next_revision(),
            tell,
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(listener.run());
        Watch::there(heard, tasks)
    }

    async fn lease(&self, life: Duration) -> Result<Box<dyn Lease>, StoreError> {
        let seconds = life.as_secs_f64().ceil().max(1.0);
        #[allow(clippy::cast_possible_truncation, reason = "leases live for seconds")]
        let seconds = seconds as i64;
        let span = spans::open("lease_grant", "", &self.members);
        let asked = Instant::now();
        let ask = |client: etcd_client::Client| async move {
            client.lease_client().grant(seconds, Some(LeaseGrantOptions::new())).await
        };
        let granted = self.members.ask("take a lease", ask).instrument(span.clone()).await;
        let granted = spans::close(&span, granted)?;
        Ok(Box::new(lease::Kept::new(Arc::clone(&self.members), granted.id(), life, asked)))
    }
}

impl EtcdStore {
    async fn read_page(&self, scan: &Scan) -> Result<Listing, StoreError> {
        let (start, end) = scan.bounds();
        // Keys are text, which has no zero byte, so the next key after one is that with a zero.
        let after = |key: &str| [&self.members.key(key)[..], &[0]].concat();
        let mut start = match &start {
            Bound::Included(key) => self.members.key(key),
            Bound::Excluded(key) => after(key),
            Bound::Unbounded => self.members.key(""),
        };
        let mut end = match &end {
            Bound::Included(key) => after(key),
            Bound::Excluded(key) => self.members.key(key),
            // A scan always ends somewhere.
            Bound::Unbounded => self.members.key(""),
        };
        let wanted = scan.limit + 1;
        let (mut entries, mut revision) = (Vec::new(), 0);
        while entries.len() < wanted && start < end {
            let piece = CHUNK.min(wanted - entries.len());
            let from = match scan.descending {
                false => start.clone(),
                true => self.last(&start, &end, piece).await?,
            };
            let mut options = GetOptions::new()
                .with_range(end.clone())
                .with_limit(i64::try_from(piece).unwrap_or(i64::MAX))
                .with_revision(revision);
            if scan.descending {
                options = options.with_sort(SortTarget::Key, SortOrder::Descend);
            }
            let answer = self.range("list", from.clone(), options).await?;
            if revision == 0 {
                revision = answer.header().map_or(0, etcd_client::ResponseHeader::revision);
            }
            for found in answer.kvs() {
                entries.push(self.entry(found)?);
            }
            let at_end = !answer.more() && from == start;
            match (answer.kvs().last(), scan.descending) {
                _ if at_end => break,
                (Some(last), false) => start = [last.key(), &[0]].concat(),
                (Some(last), true) if answer.more() => end = last.key().to_vec(),
                // Nothing more is there from that key on; what is before it comes next.
                (_, true) => end = from,
                (None, false) => break,
            }
        }
        Ok(Listing::page(entries, scan.limit))
    }
}
