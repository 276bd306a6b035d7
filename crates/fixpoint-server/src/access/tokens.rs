//! The tokens that are known: made, listed, ended, and asked for with every request.
//!
//! Not here: what a token looks like (`secret.rs`). The surprise: nothing is cached. A token that
//! is revoked is refused from the next request on, on every server that shares the run store, and
//! a look into it costs microseconds beside what a request does anyway.

use fixpoint::Chain;
use fixpoint_client::{FieldError, NewToken, Role, Token};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Caller, Scope, Secret, tenant_fault};
use crate::{
    records::{Records, Stored, decode, key, put},
    store::{Precondition, StoreError, Write},
};

/// How exactly it is known when a token was last sent. A write for every request would be a lot.
const LAST_USED: SignedDuration = SignedDuration::from_secs(60);

/// How long a token's name may be.
const MAX_NAME: usize = 100;

/// How many of a hash's digits make a token's id. What they give away of a hash of 256 random bits
/// is of no use to anybody.
const ID_DIGITS: usize = 16;

/// What is kept of a token, at the hash of its secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct TokenRecord {
    name: String,
    role: Role,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    created_at: Timestamp,
    created_by: Option<String>,
    expires_at: Option<Timestamp>,
    last_used_at: Option<Timestamp>,
}

impl TokenRecord {
    pub(super) fn new(wanted: NewToken, created_by: Option<&str>) -> Self {
        let NewToken { name, role, tenant, expires_at } = wanted;
        let created_by = created_by.map(str::to_owned);
        let created_at = Timestamp::now();
        Self { name, role, tenant, created_at, created_by, expires_at, last_used_at: None }
    }

    fn has_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }

    fn show(self, hash: &str) -> Token {
        Token {
            id: id(hash),
            name: self.name,
            role: self.role,
            tenant: self.tenant,
            created_at: self.created_at,
            created_by: self.created_by,
            expires_at: self.expires_at,
            last_used_at: self.last_used_at,
        }
    }
}

/// Why a token is not accepted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Wrong {
    /// It is no token of ours, or it was revoked.
    #[error("the token is not known")]
    Unknown,
    /// Its time is over.
    #[error("the token {0} has expired")]
    Expired(String),
    /// Nobody can say.
    #[error("the token could not be looked up")]
    Store(#[from] StoreError),
}

/// Why a token is not made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotMade {
    #[error("what is asked for makes no sense")]
    Invalid(Vec<FieldError>),
    #[error("no secret could be drawn")]
    Random(#[from] getrandom::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Reads and writes tokens. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Tokens {
    records: Records,
}

impl Tokens {
    pub(crate) fn new(records: Records) -> Self {
        Self { records }
    }

    /// Makes a token; `by` is the one it is made with.
    pub(crate) async fn create(
        &self,
        wanted: NewToken,
        by: Option<&str>,
    ) -> Result<(Secret, Token), NotMade> {
        let faults = faults(&wanted, Timestamp::now());
        if !faults.is_empty() {
            return Err(NotMade::Invalid(faults));
        }
        let secret = Secret::random()?;
        let (hash, record) = (secret.hash(), TokenRecord::new(wanted, by));
        self.records.commit(vec![put(key::token(&hash), &record, Precondition::Absent)?]).await?;
        Ok((secret, record.show(&hash)))
    }

    /// All of them, from the oldest to the newest.
    pub(crate) async fn list(&self) -> Result<Vec<Token>, StoreError> {
        let mut tokens = self.starting_with("").await?;
        tokens.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        Ok(tokens)
    }

    /// Ends a token; none if there is none with this id.
    pub(crate) async fn revoke(&self, id: &str) -> Result<Option<Token>, StoreError> {
        let digits = id.strip_prefix("tok-").filter(|digits| {
            digits.len() == ID_DIGITS && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
        });
        let Some(digits) = digits else { return Ok(None) };
        let mut hash = None;
        self.records
            .each(&key::token(digits), |entry| {
                hash = entry.key.strip_prefix(&key::token("")).map(str::to_owned);
                Ok(())
            })
            .await?;
        let Some(hash) = hash else { return Ok(None) };
        let key = key::token(&hash);
        let Some(Stored { record, .. }) = self.records.read::<TokenRecord>(&key).await? else {
            return Ok(None);
        };
        // Whatever its last use has become meanwhile.
        self.records.commit(vec![Write::delete(key, Precondition::Any)]).await?;
        Ok(Some(record.show(&hash)))
    }

    /// Whose token this is.
    pub(crate) async fn caller(&self, token: &str) -> Result<Caller, Wrong> {
        let secret = Secret::parse(token).ok_or(Wrong::Unknown)?;
        self.caller_by_hash(&secret.hash()).await
    }

    /// Whose token has this hash.
    pub(crate) async fn caller_by_hash(&self, hash: &str) -> Result<Caller, Wrong> {
        let key = key::token(hash);
        let stored = self.records.read::<TokenRecord>(&key).await?.ok_or(Wrong::Unknown)?;
        let now = Timestamp::now();
        if stored.record.has_expired(now) {
            return Err(Wrong::Expired(id(hash)));
        }
        let scope = stored.record.tenant.as_deref().map_or(Scope::WHOLE, Scope::of);
        let caller = Caller::new(&id(hash), &stored.record.name, stored.record.role, scope)
            .while_there_is(key.clone(), stored.record.expires_at);
        if stored.record.last_used_at.is_none_or(|at| now.duration_since(at) > LAST_USED) {
            self.used(key, stored, now).await;
        }
        Ok(caller)
    }

    /// Writes down that a token was sent. That it cannot be written is no reason to refuse it.
    async fn used(&self, key: String, stored: Stored<TokenRecord>, now: Timestamp) {
        let record = TokenRecord { last_used_at: Some(now), ..stored.record };
        let written = match put(key, &record, Precondition::Version(stored.version)) {
            Ok(write) => self.records.commit(vec![write]).await.map(drop),
            Err(error) => Err(error),
        };
        match written {
            Err(error) if !error.is_conflict() => {
                tracing::warn!("a token's last use cannot be written down: {}", Chain(&error));
            }
            // Somebody else wrote it down, or the token was revoked just now.
            _ => {}
        }
    }

    async fn starting_with(&self, digits: &str) -> Result<Vec<Token>, StoreError> {
        let mut found = Vec::new();
        self.records
            .each(&key::token(digits), |entry| {
                let hash = entry.key.strip_prefix(&key::token("")).unwrap_or_default();
                found.push(decode::<TokenRecord>(entry)?.record.show(hash));
                Ok(())
            })
            .await?;
        Ok(found)
    }
}

pub(super) fn id(hash: &str) -> String {
    format!("tok-{}", hash.get(..ID_DIGITS).unwrap_or(hash))
}

fn faults(wanted: &NewToken, now: Timestamp) -> Vec<FieldError> {
    let mut faults = Vec::new();
    let mut fault = |pointer: &str, detail: String| {
        faults.push(FieldError { pointer: pointer.to_owned(), detail });
    };
    if wanted.name.chars().count() > MAX_NAME || wanted.name.chars().any(char::is_control) {
        fault("/name", format!("at most {MAX_NAME} characters on one line are allowed"));
    }
    if let Some(tenant) = &wanted.tenant {
        if let Some(detail) = tenant_fault(tenant) {
            fault("/tenant", detail);
        }
        if wanted.role == Role::Admin {
            fault("/role", "admin is of the whole server; a tenant's token is none".to_owned());
        }
    }
    if let Some(at) = wanted.expires_at.filter(|at| *at <= now) {
        fault("/expires_at", format!("{at} is over; a time to come is wanted"));
    }
    faults
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::{MemoryStore, RunStore, Scan};

    fn tokens() -> (Arc<MemoryStore>, Tokens) {
        let store = Arc::new(MemoryStore::new());
        (store.clone(), Tokens::new(Records::new(store)))
    }

    fn wanted(role: Role) -> NewToken {
        NewToken::new("ci", role)
    }

    #[tokio::test]
    async fn a_token_is_accepted_until_it_is_revoked_and_its_use_is_seen() {
        let (_, tokens) = tokens();
        let (secret, token) = tokens.create(wanted(Role::Operator), Some("tok-0")).await.unwrap();
        assert_eq!(tokens.list().await.unwrap(), std::slice::from_ref(&token));
        assert_eq!((token.last_used_at, token.created_by.as_deref()), (None, Some("tok-0")));

        let caller = tokens.caller(&secret.reveal()).await.unwrap();
        assert_eq!(caller.role(), Role::Operator);
        assert_eq!(caller.token.as_deref(), Some(&*token.id));
        let used = tokens.list().await.unwrap()[0].last_used_at.expect("a time of its last use");
        assert!(used >= token.created_at);
        tokens.caller(&secret.reveal()).await.unwrap();
        assert_eq!(tokens.list().await.unwrap()[0].last_used_at, Some(used), "once a minute");

        assert_eq!(tokens.revoke(&token.id).await.unwrap().map(|t| t.id), Some(token.id.clone()));
        assert!(matches!(tokens.caller(&secret.reveal()).await, Err(Wrong::Unknown)));
        assert_eq!(tokens.revoke(&token.id).await.unwrap(), None);
        assert_eq!(tokens.list().await.unwrap(), []);
    }

    #[tokio::test]
    async fn an_expired_token_is_refused_by_its_id() {
        let (store, tokens) = tokens();
        let (secret, token) = tokens.create(wanted(Role::Admin), None).await.unwrap();
        let mut record = TokenRecord::new(wanted(Role::Admin), None);
        record.expires_at = Some(Timestamp::now());
        let write = put(key::token(&secret.hash()), &record, Precondition::Any).unwrap();
        store.commit(vec![write]).await.unwrap();
        let refused = tokens.caller(&secret.reveal()).await;
        assert!(matches!(refused, Err(Wrong::Expired(id)) if id == token.id));
    }

    #[tokio::test]
    async fn the_store_holds_no_secret_and_ids_that_are_none_end_nothing() {
        let (store, tokens) = tokens();
        let (secret, token) = tokens.create(wanted(Role::Viewer), None).await.unwrap();
        for entry in store.list(&Scan::prefix("")).await.unwrap().entries {
            let held = format!("{} {}", entry.key, String::from_utf8_lossy(&entry.value));
            assert!(!held.contains(&secret.reveal()[9..73]), "{held}");
        }
        for id in ["", "tok-", "tok-/", &token.id[..12], &token.id.to_uppercase(), &secret.reveal()]
        {
            assert_eq!(tokens.revoke(id).await.unwrap(), None, "{id}");
        }
        assert_eq!(tokens.list().await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_token_that_makes_no_sense_is_not_made_and_all_of_why_is_told() {
        let (_, tokens) = tokens();
        let wrong = NewToken {
            name: "a\nb".to_owned(),
            role: Role::Admin,
            tenant: Some("A".to_owned()),
            expires_at: Some(Timestamp::UNIX_EPOCH),
        };
        match tokens.create(wrong, None).await {
            Err(NotMade::Invalid(faults)) => {
                let at: Vec<_> = faults.iter().map(|fault| &*fault.pointer).collect();
                assert_eq!(at, ["/name", "/tenant", "/role", "/expires_at"]);
            }
            other => panic!("{other:?}"),
        }
    }
}
