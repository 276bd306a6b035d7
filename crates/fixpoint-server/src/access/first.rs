//! The first token, with which all others are made.
//!
//! Not here: where its secret is put, which the binary decides. The surprise: the secret is put
//! there before it counts. A server that dies in between leaves a file that opens nothing, and not
//! an administrator that nobody can be.

use std::{io, sync::Arc};

use fixpoint_client::{NewToken, Role};

use super::{Secret, tokens::TokenRecord};
use crate::{
    records::{key, put},
    store::{Precondition, RunStore, StoreError, Write},
};

/// Why the first token was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FirstTokenError {
    /// The system gave no random bytes.
    #[error("no secret could be drawn")]
    Random(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The secret could not be put where it was to be put.
    #[error("the token could not be handed over")]
    Keep(#[from] io::Error),
    /// The run store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes an administrator's token in a store that never had one, or in any with `anew`. `keep` puts
/// its secret where only the operator can read it. Returns the token's id if it was made; of
/// several servers that start at once on one store, one makes it.
///
/// # Errors
/// If a secret cannot be drawn or kept, or the store fails; no token was made then.
pub async fn first_token(
    store: &Arc<dyn RunStore>,
    anew: bool,
    keep: impl FnOnce(&str) -> io::Result<()>,
) -> Result<Option<String>, FirstTokenError> {
    if !anew && store.get(key::FIRST_TOKEN).await?.is_some() {
        return Ok(None);
    }
    let secret = Secret::random().map_err(|error| FirstTokenError::Random(error.into()))?;
    keep(&secret.reveal())?;
    let wanted = NewToken::new("first", Role::Admin);
    let record = TokenRecord::new(wanted, None);
    let hash = secret.hash();
    let mark = if anew { Precondition::Any } else { Precondition::Absent };
    let writes = vec![
        put(key::token(&hash), &record, Precondition::Absent)?,
        Write::put(key::FIRST_TOKEN, "", mark),
    ];
    match store.commit(writes).await {
        Ok(_) => Ok(Some(super::tokens::id(&hash))),
        Err(error) if error.is_conflict() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{access::Tokens, records::Records, store::MemoryStore};

    #[tokio::test]
    async fn a_store_gets_one_first_token_and_another_when_asked() {
        let store: Arc<dyn RunStore> = Arc::new(MemoryStore::new());
        let mut kept = String::new();
        let mut make = async |anew| {
            let made = first_token(&store, anew, |secret| {
                secret.clone_into(&mut kept);
                Ok(())
            });
            (made.await.unwrap(), std::mem::take(&mut kept))
        };
        let tokens = Tokens::new(Records::new(Arc::clone(&store)));
        let (id, secret) = make(false).await;
        let caller = tokens.caller(&secret).await.unwrap();
        assert_eq!((caller.role(), caller.token.as_deref()), (Role::Admin, id.as_deref()));
        assert_eq!(make(false).await, (None, String::new()));
        tokens.revoke(&id.unwrap()).await.unwrap();
        assert_eq!(make(false).await, (None, String::new()), "not for a store that is only empty");
        let (again, other) = make(true).await;
        assert!(again.is_some() && tokens.caller(&other).await.is_ok());
        assert!(tokens.caller(&secret).await.is_err());
    }

    #[tokio::test]
    async fn a_secret_that_cannot_be_kept_makes_no_token() {
        let store: Arc<dyn RunStore> = Arc::new(MemoryStore::new());
        let refused = first_token(&store, false, |_| Err(io::Error::other("read-only"))).await;
        assert!(matches!(refused, Err(FirstTokenError::Keep(_))));
        let tokens = Tokens::new(Records::new(Arc::clone(&store)));
        assert_eq!(tokens.list().await.unwrap(), []);
        assert!(store.get(key::FIRST_TOKEN).await.unwrap().is_none());
    }
}
