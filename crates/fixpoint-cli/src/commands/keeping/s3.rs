//! Where traces lie on S3: `s3://BUCKET/PREFIX`.
//!
//! Not here: what lies there. The surprise: a build without the feature `s3` knows the flag, and
//! says what it lacks.

use std::str::FromStr;

use fixpoint_trace::store::bucket::Bucket;

use crate::error::{CliError, Result};

/// A bucket, and what all names in it begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    bucket: String,
    prefix: String,
}

impl FromStr for Place {
    type Err = &'static str;

    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        let place = text.strip_prefix("s3://").ok_or("s3://BUCKET/PREFIX is wanted")?;
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        let known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
        if bucket.len() < 3 || !bucket.chars().all(known) {
            return Err("a bucket's name has 3 letters or more, small ones, digits, - and .");
        }
        let prefix = prefix.trim_matches('/');
        if prefix.contains("//") || prefix.contains(['?', '#', '%']) {
            return Err("the prefix is a path, such as production/traces");
        }
        Ok(Self { bucket: bucket.into(), prefix: prefix.into() })
    }
}

impl Place {
    #[cfg(feature = "s3")]
    pub(super) async fn open(&self, endpoint_url: Option<String>) -> Result<Bucket> {
        use std::sync::Arc;

        use fixpoint_aws::SigningKeys;
        use fixpoint_trace::store::bucket::S3;

        let keys = SigningKeys::find().await.map_err(|why| {
            CliError::usage_because("S3 cannot be used", why)
                .hint("set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
        })?;
        let region = keys.region().ok_or_else(|| {
            CliError::usage("the region of the bucket is not known").hint("set AWS_REGION")
        })?;
        let s3 = S3 {
            bucket: self.bucket.clone(),
            prefix: self.prefix.clone(),
            region: region.to_owned(),
            endpoint_url,
            keys: Arc::new(Chain(keys)),
        };
        s3.open().map_err(|why| CliError::usage_because("S3 cannot be used", why))
    }

    #[cfg(not(feature = "s3"))]
    #[allow(clippy::unused_async, reason = "with the feature it has something to wait for")]
    pub(super) async fn open(&self, _endpoint_url: Option<String>) -> Result<Bucket> {
        let Self { bucket, prefix } = self;
        Err(CliError::usage(format!("s3://{bucket}/{prefix}: this build knows no S3"))
            .hint("build it with `cargo build --release --features s3`"))
    }
}

/// Keys of the ordinary credential chain.
#[cfg(feature = "s3")]
#[derive(Debug)]
struct Chain(fixpoint_aws::SigningKeys);

#[cfg(feature = "s3")]
#[async_trait::async_trait]
impl fixpoint_trace::store::bucket::KeysSource for Chain {
    async fn keys(
        &self,
    ) -> std::result::Result<
        fixpoint_trace::store::bucket::Keys,
        Box<dyn std::error::Error + Send + Sync>,
    > {
        let (id, secret, token) = self.0.get().await?;
        Ok(fixpoint_trace::store::bucket::Keys { id, secret, token })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_bucket_and_a_prefix() {
        for (text, bucket, prefix) in [
            ("s3://traces", "traces", ""),
            ("s3://traces/", "traces", ""),
            ("s3://my-traces.eu/production/eu/", "my-traces.eu", "production/eu"),
        ] {
            let place = Place { bucket: bucket.into(), prefix: prefix.into() };
            assert_eq!(text.parse(), Ok(place), "{text}");
        }
        for text in ["", "traces", "s3:/traces", "s3://", "s3://ab", "s3://A_B/x", "s3://abc/a//b"]
        {
            assert!(text.parse::<Place>().is_err(), "{text}");
        }
        assert!("s3://abc/?x=1".parse::<Place>().is_err());
    }
}
