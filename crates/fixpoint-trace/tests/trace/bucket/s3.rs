//! The same on S3 itself, or what stands in for it.
//!
//! `scripts/test` starts moto and sets `FIXPOINT_MOTO_URL`; without it there is nothing to talk to.

use std::sync::Arc;

use async_trait::async_trait;
use fixpoint_trace::store::bucket::{Keys, KeysSource, S3};

use super::*;

#[derive(Debug)]
struct Planted;

const SECRET: &str = "planted-secret";

#[async_trait]
impl KeysSource for Planted {
    async fn keys(&self) -> Result<Keys, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Keys { id: "AKIATEST".into(), secret: SECRET.into(), token: Some(SECRET.into()) })
    }
}

fn s3(url: &str, bucket: &str) -> Options {
    let bucket = S3 {
        bucket: bucket.into(),
        prefix: "some/where".into(),
        region: "eu-west-1".into(),
        endpoint_url: Some(url.into()),
        keys: Arc::new(Planted),
    };
    Options { bucket: Some(bucket.open().unwrap()), ..sharing(memory(), 40) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs moto server: FIXPOINT_MOTO_URL=http://127.0.0.1:PORT, see scripts/test"]
async fn several_servers_share_a_bucket_of_s3() {
    let url = std::env::var("FIXPOINT_MOTO_URL").expect("FIXPOINT_MOTO_URL is not set");
    let name = format!("traces-{:08x}", fastrand::u32(..));
    let made = reqwest::Client::new().put(format!("{url}/{name}")).send().await.unwrap();
    assert!(made.status().is_success(), "{made:?}");
    let options = Options { cache_bytes: 0, ..s3(&url, &name) };
    let folders: [TempDir; 3] = std::array::from_fn(|_| tempfile::tempdir().unwrap());
    let [first, second] = [0, 1].map(|n| Engine::open(folders[n].path(), options.clone()).unwrap());
    let writers = [&first, &second].map(|store| {
        let store = store.clone();
        tokio::spawn(async move {
            let mut known = Vec::new();
            for _ in 0..10 {
                store_some(&store, 8, &mut known).await;
                store.settle().await.unwrap();
            }
            known
        })
    });
    let mut known = Vec::new();
    for writer in writers {
        known.extend(writer.await.unwrap());
    }
    let new = Engine::open(folders[2].path(), options).unwrap();
    for store in [&first, &second, &new, &first] {
        store.settle().await.unwrap();
    }
    for store in [&first, &second, &new] {
        assert_has(store, &known, "on S3").await;
        assert_eq!(bucket_of(store).await.error, None);
    }
}

#[tokio::test]
#[ignore = "needs moto server: FIXPOINT_MOTO_URL=http://127.0.0.1:PORT, see scripts/test"]
async fn a_bucket_that_does_not_exist_is_told_without_a_secret() {
    let url = std::env::var("FIXPOINT_MOTO_URL").expect("FIXPOINT_MOTO_URL is not set");
    let folder = tempfile::tempdir().unwrap();
    let options = s3(&url, "nobody-made-this-one");
    assert!(!format!("{options:?}").contains(SECRET));
    let store = Engine::open(folder.path(), options).unwrap();
    store_some(&store, 20, &mut Vec::new()).await;
    let error = store.settle().await.unwrap_err();
    let told = format!("{error:?}");
    assert!(told.contains("NoSuchBucket") && !told.contains(SECRET), "{told}");
}
