//! S3, and what speaks like it.
//!
//! Not here: where credentials come from; whoever starts the store says it, since a library reads
//! no environment. The surprise: they are asked for anew whenever a request is signed, so that
//! those that expire can be renewed.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use object_store::{
    BackoffConfig, ClientOptions, CredentialProvider, RetryConfig,
    aws::{AmazonS3Builder, AwsCredential, S3ConditionalPut},
};

use super::Bucket;
use crate::store::{BoxError, StoreError};

/// What requests are signed with.
pub struct Keys {
    /// The access key's id.
    pub id: String,
    /// The secret access key.
    pub secret: String,
    /// The session's token, if they are of a session.
    pub token: Option<String>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Where keys come from. They are asked for often, and kept by whoever has them.
#[async_trait]
pub trait KeysSource: fmt::Debug + Send + Sync {
    /// The keys of now.
    async fn keys(&self) -> Result<Keys, BoxError>;
}

/// Where segments lie on S3, and how it is reached.
#[derive(Debug)]
pub struct S3 {
    /// The bucket, which must exist.
    pub bucket: String,
    /// What all names in it begin with, such as `production/traces`; may be empty.
    pub prefix: String,
    /// The region.
    pub region: String,
    /// Another address than that of AWS: a simulator, or another S3.
    pub endpoint_url: Option<String>,
    /// What requests are signed with.
    pub keys: Arc<dyn KeysSource>,
}

impl S3 {
    /// Nothing is asked of S3 yet.
    ///
    /// # Errors
    /// If one of them cannot be what it says, such as the URL.
    pub fn open(self) -> Result<Bucket, StoreError> {
        let Self { bucket, prefix, region, endpoint_url, keys } = self;
        let name = format!("s3://{bucket}/{prefix}");
        let client = ClientOptions::new()
            .with_connect_timeout(Duration::from_secs(5))
            .with_timeout(Duration::from_secs(60));
        // The store tries again by itself, for as long as it takes; readers are waiting meanwhile.
        let retry = RetryConfig {
            backoff: BackoffConfig::default(),
            max_retries: 3,
            retry_timeout: Duration::from_secs(20),
        };
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(bucket)
            .with_region(region)
            .with_credentials(Arc::new(Credentials(keys)))
            .with_conditional_put(S3ConditionalPut::ETagMatch)
            .with_retry(retry);
        let plain = endpoint_url.as_ref().is_some_and(|url| url.starts_with("http://"));
        builder = builder.with_client_options(client.with_allow_http(plain));
        if let Some(url) = endpoint_url {
            builder = builder.with_endpoint(url);
        }
        let store = builder.build();
        let store = store.map_err(|why| StoreError::new(format!("use {name}"), why))?;
        Ok(Bucket::new(name, Arc::new(store), &prefix))
    }
}

#[derive(Debug)]
struct Credentials(Arc<dyn KeysSource>);

#[async_trait]
impl CredentialProvider for Credentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let failed = |source| object_store::Error::Generic { store: "S3", source };
        let Keys { id, secret, token } = self.0.keys().await.map_err(failed)?;
        Ok(Arc::new(AwsCredential { key_id: id, secret_key: secret, token }))
    }
}
