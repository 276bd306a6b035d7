//! Listens to etcd's changes, across broken connections.
//!
//! Not here: the end at which they come out (`store/watch.rs`). The surprise: what etcd has
//! compacted away cannot be told any more. The watcher hears that it missed something, as one does
//! that was too slow, and reads again.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use etcd_client::{EventType, WatchOptions, WatchResponse};
use tokio::sync::mpsc::{self, error::TrySendError};

use super::{
    super::watch::{Change, Watched},
    members::{ATTEMPT, Failure, Members, rest},
    version,
};

/// How long to wait before a connection that broke is made again.
const PAUSE: Duration = Duration::from_millis(200);

/// Tells of every change under a prefix, from a revision on.
pub(super) struct Listener {
    pub(super) members: Arc<Members>,
    pub(super) prefix: String,
    /// The first revision that was not told yet.
    pub(super) from: i64,
    pub(super) tell: mpsc::Sender<Watched>,
}

impl Listener {
    /// Listens until nobody wants to hear any more.
    pub(super) async fn run(mut self) {
        let (mut failing, mut signed_in) = (false, false);
        loop {
            let refused = match self.follow(&mut failing).await {
                Ok(()) | Err(Failure::LeaseLost) => false,
                Err(Failure::Passing(error)) => {
                    self.note(&mut failing, &*error);
                    false
                }
                Err(Failure::Refused(error) | Failure::Untrusted(error)) => {
                    self.note(&mut failing, &*error);
                    true
                }
            };
            if self.tell.is_closed() {
                return;
            }
            // It may merely have forgotten who this is.
            signed_in = refused && !signed_in && self.members.sign_in().await.is_ok();
            match (signed_in, refused) {
                (true, _) => {}
                (false, true) => rest(ATTEMPT).await,
                (false, false) => rest(PAUSE.mul_f64(0.5 + fastrand::f64())).await,
            }
        }
    }

    fn note(&self, failing: &mut bool, error: &(dyn std::error::Error + 'static)) {
        // Said once, not for every try.
        if !std::mem::replace(failing, true) {
            tracing::warn!(error, "changes under {} are not heard of", self.prefix);
        }
    }

    /// Listens on one connection for as long as it lasts.
    async fn follow(&mut self, failing: &mut bool) -> Result<(), Failure> {
        let key = self.members.key(&self.prefix);
        let options =
            WatchOptions::new().with_prefix().with_progress_notify().with_start_revision(self.from);
        let watch = async |client: etcd_client::Client| {
            let mut client = client.watch_client();
            client = client.max_decoding_message_size(super::members::MAX_ANSWER);
            client.watch(key, Some(options)).await
        };
        let mut stream = self.members.ask_once(ATTEMPT, watch).await?;
        loop {
            let heard = tokio::select! {
                heard = stream.message() => heard,
                () = self.tell.closed() => return Ok(()),
            };
            let heard = match heard {
                Ok(Some(heard)) => heard,
                Ok(None) => return Ok(()),
                Err(error) => return Err(Failure::Passing(error.into())),
            };
            if heard.canceled() {
                if heard.compact_revision() > 0 {
                    self.from = heard.compact_revision();
                    self.missed().await;
                    return Ok(());
                }
                return Err(Failure::Refused(heard.cancel_reason().into()));
            }
            if std::mem::take(failing) {
                tracing::info!("changes under {} are heard of again", self.prefix);
            }
            self.pass_on(&heard).await;
        }
    }

    async fn pass_on(&mut self, heard: &WatchResponse) {
        for event in heard.events() {
            let Some(found) = event.kv() else { continue };
            self.from = self.from.max(found.mod_revision() + 1);
            let Ok(key) = self.members.strip(found.key()) else { continue };
            let value = match event.event_type() {
                EventType::Put => Some(Bytes::copy_from_slice(found.value())),
                EventType::Delete => None,
            };
            let change = Change { key, value, version: version(found.mod_revision()) };
            if let Err(TrySendError::Full(_)) = self.tell.try_send(Watched::Changed(change)) {
                return self.missed().await;
            }
        }
        // Nothing but a word of how far etcd is: all before was told.
        if heard.events().is_empty()
            && !heard.created()
            && let Some(header) = heard.header()
        {
            self.from = self.from.max(header.revision() + 1);
        }
    }

    /// Has the watcher read again, as soon as it has time.
    async fn missed(&self) {
        let _gone = self.tell.send(Watched::Lagged).await;
    }
}
