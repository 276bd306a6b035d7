//! A notification as it is stored.
//!
//! Not here: its keys (`records.rs`). The surprise: what is to be sent is stored as text, and not made
//! anew for each attempt, so that every attempt of one `webhook-id` says the same.

use fixpoint_client::{Notification, NotificationState, WebhookEvent};
use fixpoint_trace::model::SpanContext;
use serde::{Deserialize, Serialize};

use crate::{
    records::{Records, key, put},
    store::{Precondition, StoreError, Version, Watch, Write},
};

/// What is stored of one event of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct NotificationRecord {
    #[serde(flatten)]
    pub(super) shown: Notification,
    /// `kind/name`.
    pub(super) resource: String,
    /// Where it happened.
    pub(super) link: Option<SpanContext>,
    /// What is sent; none once it is over.
    pub(super) body: Option<String>,
}

/// Which notification.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    pub(super) run: String,
    pub(super) event: WebhookEvent,
}

impl Name {
    pub(super) fn at(&self) -> String {
        key::notification(&self.run, self.event.as_str())
    }

    fn mark(&self) -> String {
        key::undelivered(&self.run, self.event.as_str())
    }

    /// Reads the key of a mark.
    pub(super) fn marked_by(key: &str) -> Option<Self> {
        let (run, event) = key.strip_prefix(key::UNDELIVERED)?.split_once('/')?;
        Some(Self { run: run.to_owned(), event: event.parse().ok()? })
    }

    /// The writes that have it told, in place of an older one.
    pub(super) fn create(&self, record: &NotificationRecord) -> Result<Vec<Write>, StoreError> {
        let mark = Write::put(self.mark(), "", Precondition::Any);
        Ok(vec![put(self.at(), record, Precondition::Any)?, mark])
    }

    /// The writes that say how it stands, if it is still the one that was read.
    pub(super) fn update(
        &self,
        record: &NotificationRecord,
        version: Version,
    ) -> Result<Vec<Write>, StoreError> {
        let mut writes = vec![put(self.at(), record, Precondition::Version(version))?];
        if record.shown.state != NotificationState::Waiting {
            writes.push(Write::delete(self.mark(), Precondition::Any));
        }
        Ok(writes)
    }
}

impl Records {
    /// What the webhook is told of a run, oldest first.
    pub(crate) async fn notifications(&self, run: &str) -> Result<Vec<Notification>, StoreError> {
        let mut found = Vec::new();
        self.each(&key::notification(run, ""), |entry| {
            found.push(crate::records::decode::<NotificationRecord>(entry)?.record.shown);
            Ok(())
        })
        .await?;
        found.sort_by_key(|notification| notification.at);
        Ok(found)
    }

    /// How many notifications are to be sent.
    pub(crate) async fn count_undelivered(&self) -> Result<u64, StoreError> {
        Ok(self.undelivered().await?.len() as u64)
    }

    pub(super) async fn undelivered(&self) -> Result<Vec<Name>, StoreError> {
        let mut found = Vec::new();
        self.each(key::UNDELIVERED, |entry| {
            found.extend(Name::marked_by(&entry.key));
            Ok(())
        })
        .await?;
        Ok(found)
    }

    /// Follows what the webhook is told of a run.
    pub(crate) fn watch_notifications(&self, run: &str) -> Watch {
        self.watch(&key::notification(run, ""))
    }

    pub(super) fn watch_undelivered(&self) -> Watch {
        self.watch(key::UNDELIVERED)
    }
}
