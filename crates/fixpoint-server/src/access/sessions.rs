//! Browsers that are signed in: a token shown once, a session from then on.
//!
//! Not here: cookies and the page (`http/sign_in.rs`). The surprise: a session lends its token's
//! role and scope and has none of its own, so it ends with its token, whatever its own time.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Caller, Secret, Tokens, Wrong};
use crate::{
    records::{Records, Stored, decode, key, put},
    store::{Precondition, StoreError, Write},
};

/// A working day and a little more. Whoever comes back the next morning signs in again.
pub(crate) const SESSION: SignedDuration = SignedDuration::from_hours(12);

/// How many sessions that are over are cleared away when one begins.
const SWEEP: usize = 100;

/// What is kept of a session, at the hash of its secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct SessionRecord {
    /// The hash of the token that was shown.
    token: String,
    expires_at: Timestamp,
}

/// Why nobody is signed in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotSignedIn {
    #[error(transparent)]
    Wrong(#[from] Wrong),
    #[error("no secret could be drawn")]
    Random(#[from] getrandom::Error),
}

impl From<StoreError> for NotSignedIn {
    fn from(error: StoreError) -> Self {
        Self::Wrong(error.into())
    }
}

/// Reads and writes sessions. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Sessions {
    records: Records,
    tokens: Tokens,
}

impl Sessions {
    pub(crate) fn new(records: Records, tokens: Tokens) -> Self {
        Self { records, tokens }
    }

    /// Signs in whoever shows the token.
    pub(crate) async fn begin(&self, token: &str) -> Result<(Secret, Caller), NotSignedIn> {
        let caller = self.tokens.caller(token).await?;
        let token = Secret::parse(token).ok_or(Wrong::Unknown)?.hash();
        let (secret, now) = (Secret::random()?, Timestamp::now());
        let record = SessionRecord { token, expires_at: now + SESSION };
        let mut writes = vec![put(key::session(&secret.hash()), &record, Precondition::Absent)?];
        self.records
            .each(&key::session(""), |entry| {
                let over = decode::<SessionRecord>(entry)?.record.expires_at <= now;
                if over && writes.len() <= SWEEP {
                    writes.push(Write::delete(entry.key.clone(), Precondition::Any));
                }
                Ok(())
            })
            .await?;
        self.records.commit(writes).await?;
        Ok((secret, caller))
    }

    /// Whose session this is.
    pub(crate) async fn caller(&self, session: &str) -> Result<Caller, Wrong> {
        let hash = Secret::parse(session).ok_or(Wrong::Unknown)?.hash();
        let key = key::session(&hash);
        let stored = self.records.read::<SessionRecord>(&key).await?.ok_or(Wrong::Unknown)?;
        let Stored { record, .. } = stored;
        if record.expires_at <= Timestamp::now() {
            return Err(Wrong::Unknown);
        }
        let caller = self.tokens.caller_by_hash(&record.token).await?;
        Ok(caller.while_there_is(key, Some(record.expires_at)))
    }

    /// Signs out. Who is not signed in has nothing to do.
    pub(crate) async fn end(&self, session: &str) -> Result<(), StoreError> {
        let Some(secret) = Secret::parse(session) else { return Ok(()) };
        let gone = Write::delete(key::session(&secret.hash()), Precondition::Any);
        self.records.commit(vec![gone]).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use fixpoint_client::{NewToken, Role};

    use super::*;
    use crate::store::{MemoryStore, RunStore, Scan};

    async fn signed_in() -> (Arc<MemoryStore>, Sessions, String, String) {
        let store = Arc::new(MemoryStore::new());
        let records = Records::new(store.clone());
        let tokens = Tokens::new(records.clone());
        let wanted = NewToken::new("", Role::Viewer);
        let (secret, token) = tokens.create(wanted, None).await.unwrap();
        let sessions = Sessions::new(records, tokens);
        let (session, caller) = sessions.begin(&secret.reveal()).await.unwrap();
        assert_eq!(caller.token.as_deref(), Some(&*token.id));
        (store, sessions, session.reveal(), token.id)
    }

    #[tokio::test]
    async fn a_session_has_its_tokens_role_until_one_of_the_two_ends() {
        let (_, sessions, session, token) = signed_in().await;
        assert_eq!(sessions.caller(&session).await.unwrap().role(), Role::Viewer);
        assert!(sessions.caller("nonsense").await.is_err());
        sessions.tokens.revoke(&token).await.unwrap();
        assert!(matches!(sessions.caller(&session).await, Err(Wrong::Unknown)));

        let (_, sessions, session, _) = signed_in().await;
        sessions.end(&session).await.unwrap();
        assert!(matches!(sessions.caller(&session).await, Err(Wrong::Unknown)));
        sessions.end(&session).await.unwrap();
    }

    #[tokio::test]
    async fn a_session_that_is_over_is_refused_and_cleared_away() {
        let (store, sessions, session, _) = signed_in().await;
        let key = key::session(&Secret::parse(&session).unwrap().hash());
        let Stored { mut record, .. } =
            sessions.records.read::<SessionRecord>(&key).await.unwrap().unwrap();
        record.expires_at = Timestamp::now();
        store.commit(vec![put(key, &record, Precondition::Any).unwrap()]).await.unwrap();
        assert!(matches!(sessions.caller(&session).await, Err(Wrong::Unknown)));

        let wanted = NewToken::new("", Role::Viewer);
        let (other, _) = sessions.tokens.create(wanted, None).await.unwrap();
        sessions.begin(&other.reveal()).await.unwrap();
        let kept = store.list(&Scan::prefix("sessions/")).await.unwrap().entries;
        assert_eq!(kept.len(), 1);
    }
}
