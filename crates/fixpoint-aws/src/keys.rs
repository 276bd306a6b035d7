//! The keys that requests to AWS are signed with, for a client that is not ours: object storage.
//!
//! Found as the AWS command line finds them: in the environment, a profile, or the machine's role.
//! The surprise: they are kept until shortly before they expire, since whoever signs asks each time.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, SharedCredentialsProvider},
};
use tokio::sync::Mutex;

/// Keys that are renewed so soon before they expire are never refused.
const EARLY: Duration = Duration::from_secs(300);

/// Where signing keys come from, and which region is meant.
pub struct SigningKeys {
    provider: SharedCredentialsProvider,
    region: Option<String>,
    found: Mutex<Option<Credentials>>,
}

impl SigningKeys {
    /// Looks where they are; nothing is asked of AWS yet.
    ///
    /// # Errors
    /// If there is no place where they could be.
    pub async fn find() -> Result<Self, NoKeys> {
        let config = aws_config::load_defaults(aws_config::BehaviorVersion::latest()).await;
        let provider = config.credentials_provider().ok_or(NoKeys)?;
        let region = config.region().map(|region| region.as_ref().to_owned());
        Ok(Self { provider, region, found: Mutex::default() })
    }

    /// The region of the environment or the profile, if one is set.
    pub fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }

    /// Key id, secret, and the session's token if they are of a session.
    ///
    /// # Errors
    /// If there are none, or they cannot be renewed.
    pub async fn get(
        &self,
    ) -> Result<(String, String, Option<String>), Box<dyn std::error::Error + Send + Sync>> {
        let mut found = self.found.lock().await;
        let soon = SystemTime::now() + EARLY;
        let kept = found.take().filter(|it| it.expiry().is_none_or(|expiry| expiry > soon));
        let keys = match kept {
            Some(keys) => keys,
            None => self.provider.provide_credentials().await?,
        };
        let signing = (
            keys.access_key_id().to_owned(),
            keys.secret_access_key().to_owned(),
            keys.session_token().map(str::to_owned),
        );
        *found = Some(keys);
        Ok(signing)
    }
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKeys").field("region", &self.region).finish_non_exhaustive()
    }
}

/// There is no place where keys could be.
#[derive(Debug, thiserror::Error)]
#[error("no AWS credentials are set up on this machine")]
pub struct NoKeys;

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    };

    use aws_credential_types::provider::future;

    use super::*;

    #[derive(Debug)]
    struct Counting(Arc<AtomicUsize>, Duration);

    impl ProvideCredentials for Counting {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            let expiry = SystemTime::now() + self.1;
            let count = self.0.fetch_add(1, Relaxed);
            let keys = Credentials::new(count.to_string(), "planted", None, Some(expiry), "test");
            future::ProvideCredentials::ready(Ok(keys))
        }
    }

    #[tokio::test]
    async fn keys_are_asked_for_again_shortly_before_they_expire() {
        for (lives, asked) in [(Duration::from_secs(3600), 1), (Duration::from_secs(60), 3)] {
            let count = Arc::new(AtomicUsize::new(0));
            let provider = SharedCredentialsProvider::new(Counting(Arc::clone(&count), lives));
            let keys = SigningKeys { provider, region: None, found: Mutex::default() };
            for _ in 0..3 {
                keys.get().await.unwrap();
            }
            assert_eq!(count.load(Relaxed), asked);
            assert!(!format!("{keys:?}").contains("planted"));
        }
    }
}
