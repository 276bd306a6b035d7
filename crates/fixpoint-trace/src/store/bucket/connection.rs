//! A bucket in use: calls that block, and the thread that does the talking.
//!
//! Large files go in parts, so that no single request takes long, and memory holds one part. The
//! surprise: [`close`](Connection::close) ends calls that are on their way, so that a server that
//! stops does not wait for a network.

use std::{
    fs::{self, File},
    io::{Read, Write},
    path::{Path as FilePath, PathBuf},
    sync::{Mutex, PoisonError, mpsc},
    thread::JoinHandle,
};

use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutMode, PutPayload};
use tokio::{runtime, sync::watch};

use super::{Bucket, BucketError, Version};

/// How much of a file goes in one request.
const PART: usize = 16 << 20;

/// A bucket that can be talked to.
#[derive(Debug)]
pub(in super::super) struct Connection {
    bucket: Bucket,
    handle: runtime::Handle,
    closed: watch::Sender<bool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What was found of a small object.
#[derive(Debug)]
pub(in super::super) enum Found {
    /// It is as it was known.
    Same,
    Nothing,
    Object {
        bytes: Bytes,
        version: Version,
        modified: i64,
    },
}

impl Connection {
    pub(super) fn start(bucket: Bucket) -> std::io::Result<Self> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (closed, mut closing) = watch::channel(false);
        let thread =
            std::thread::Builder::new().name("fixpoint-bucket".into()).spawn(move || {
                // The sender's end is as good a reason.
                runtime.block_on(async { drop(closing.wait_for(|closed| *closed).await) });
            })?;
        Ok(Self { bucket, handle, closed, thread: Mutex::new(Some(thread)) })
    }

    /// Ends what is on its way; from now on there are only errors.
    pub(in super::super) fn close(&self) {
        self.closed.send_replace(true);
    }

    /// Does it on the connection's own thread, and returns when it is done.
    fn call<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, BucketError>> + Send + 'static,
    ) -> Result<T, BucketError> {
        if *self.closed.borrow() {
            return Err(BucketError::Closing);
        }
        let (done, result) = mpsc::sync_channel(1);
        // The task drops its end when it is done, or when the runtime ends.
        self.handle.spawn(async move { drop(done.send(work.await)) });
        result.recv().unwrap_or(Err(BucketError::Closing))
    }

    /// Writes an object from a file.
    pub(in super::super) fn upload(&self, name: &str, from: &FilePath) -> Result<(), BucketError> {
        let (store, path, from) =
            (self.bucket.store.clone(), self.bucket.path(name), from.to_owned());
        self.call(async move {
            let mut file = File::open(from)?;
            if file.metadata()?.len() <= PART as u64 {
                store.put(&path, part(&mut file)?).await?;
                return Ok(());
            }
            let mut upload = store.put_multipart(&path).await?;
            let sent = async {
                loop {
                    let part = part(&mut file)?;
                    if part.content_length() == 0 {
                        upload.complete().await?;
                        return Ok(());
                    }
                    upload.put_part(part).await?;
                }
            };
            let sent = sent.await;
            if sent.is_err() {
                // Parts that stay behind cost money; why it failed is what counts.
                drop(upload.abort().await);
            }
            sent
        })
    }

    /// Writes a file from an object. It has its name only once it is whole.
    pub(in super::super) fn fetch(&self, name: &str, to: &FilePath) -> Result<(), BucketError> {
        let (store, path, to) = (self.bucket.store.clone(), self.bucket.path(name), to.to_owned());
        self.call(async move {
            let mut part = to.clone().into_os_string();
            part.push(PART_OF_A_FILE);
            let part = PathBuf::from(part);
            let fetched = async {
                let mut file = File::create(&part)?;
                let (mut at, mut size, mut e_tag) = (0, None, None);
                while size.is_none_or(|size| at < size) {
                    let range = GetRange::Bounded(at..at + PART as u64);
                    let options = GetOptions {
                        range: Some(range),
                        if_match: e_tag.clone(),
                        ..GetOptions::default()
                    };
                    let found = store.get_opts(&path, options).await?;
                    (size, e_tag) = (Some(found.meta.size), found.meta.e_tag.clone());
                    let bytes = found.bytes().await?;
                    if bytes.is_empty() {
                        return Err(BucketError::Refused("it sent nothing".into()));
                    }
                    file.write_all(&bytes)?;
                    at += bytes.len() as u64;
                }
                file.sync_all()?;
                Ok(fs::rename(&part, &to)?)
            };
            let fetched = fetched.await;
            if fetched.is_err() {
                // It may not even be there.
                drop(fs::remove_file(&part));
            }
            fetched
        })
    }

    /// Reads a small object, unless it is still the one that is known.
    pub(in super::super) fn read(
        &self,
        name: &str,
        known: Option<&Version>,
    ) -> Result<Found, BucketError> {
        let (store, path) = (self.bucket.store.clone(), self.bucket.path(name));
        let if_none_match = known.and_then(|known| known.e_tag.clone());
        self.call(async move {
            let options = GetOptions { if_none_match, ..GetOptions::default() };
            let found = match store.get_opts(&path, options).await {
                Ok(found) => found,
                Err(object_store::Error::NotModified { .. }) => return Ok(Found::Same),
                Err(error) => match BucketError::from(error) {
                    BucketError::Missing => return Ok(Found::Nothing),
                    other => return Err(other),
                },
            };
            let version =
                Version { e_tag: found.meta.e_tag.clone(), version: found.meta.version.clone() };
            let modified = found.meta.last_modified.timestamp();
            Ok(Found::Object { bytes: found.bytes().await?, version, modified })
        })
    }

    /// Writes a small object in the place of the one that is known, or of none.
    pub(in super::super) fn replace(
        &self,
        name: &str,
        bytes: Vec<u8>,
        known: Option<Version>,
    ) -> Result<Version, BucketError> {
        let (store, path) = (self.bucket.store.clone(), self.bucket.path(name));
        let mode = known.map_or(PutMode::Create, PutMode::Update);
        self.call(async move { Ok(store.put_opts(&path, bytes.into(), mode.into()).await?.into()) })
    }

    /// Removes an object, if it is there.
    pub(in super::super) fn remove(&self, name: &str) -> Result<(), BucketError> {
        let (store, path) = (self.bucket.store.clone(), self.bucket.path(name));
        self.call(async move {
            match store.delete(&path).await {
                Err(object_store::Error::NotFound { .. }) | Ok(()) => Ok(()),
                Err(error) => Err(error.into()),
            }
        })
    }

    /// The names of all objects, and when each was written (seconds since 1970, by its own clock).
    pub(in super::super) fn list(&self) -> Result<Vec<(String, i64)>, BucketError> {
        let (store, prefix) = (self.bucket.store.clone(), self.bucket.prefix.clone());
        self.call(async move {
            let found = store.list(Some(&prefix)).map_ok(|object| {
                let name = object.location.filename().unwrap_or_default().to_owned();
                (name, object.last_modified.timestamp())
            });
            Ok(found.try_collect().await?)
        })
    }
}

/// A file that is being fetched has its name and this.
pub(in super::super) const PART_OF_A_FILE: &str = ".part";

/// The next part of the file; an empty one at its end.
fn part(file: &mut File) -> std::io::Result<PutPayload> {
    let mut bytes = Vec::new();
    file.take(PART as u64).read_to_end(&mut bytes)?;
    Ok(bytes.into())
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.close();
        let thread = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A panic in it was told when it happened.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::memory::InMemory;

    use super::*;

    #[test]
    fn files_larger_than_a_request_come_back_as_they_were() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(InMemory::new());
        let connection = Bucket::new("test", store, "").connect().unwrap();
        let [from, to] = ["from", "to"].map(|name| folder.path().join(name));
        for size in [1, PART - 1, PART, PART + 1, 2 * PART, 2 * PART + 5] {
            let bytes: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
            fs::write(&from, &bytes).unwrap();
            connection.upload("file", &from).unwrap();
            connection.fetch("file", &to).unwrap();
            assert!(fs::read(&to).unwrap() == bytes, "{size} bytes");
        }
        assert_eq!(connection.list().unwrap().len(), 1);
        let missing = connection.fetch("other", &to);
        assert!(matches!(missing, Err(BucketError::Missing)), "{missing:?}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing half is left");
    }

    #[test]
    fn an_object_is_replaced_only_by_whoever_has_read_it() {
        let store = Arc::new(InMemory::new());
        let connection = Bucket::new("test", store, "a/b").connect().unwrap();
        assert!(matches!(connection.read("m", None).unwrap(), Found::Nothing));
        let first = connection.replace("m", b"1".to_vec(), None).unwrap();
        let again = connection.replace("m", b"2".to_vec(), None);
        assert!(matches!(again, Err(BucketError::Conflict)), "{again:?}");
        assert!(matches!(connection.read("m", Some(&first)).unwrap(), Found::Same));
        connection.replace("m", b"3".to_vec(), Some(first.clone())).unwrap();
        let late = connection.replace("m", b"4".to_vec(), Some(first)).unwrap_err();
        assert!(matches!(late, BucketError::Conflict), "{late:?}");
        let Found::Object { bytes, .. } = connection.read("m", None).unwrap() else { panic!() };
        assert_eq!(&*bytes, b"3");
    }

    #[test]
    fn calls_can_be_made_where_async_tasks_run_and_end_when_it_is_closed() {
        let runtime = runtime::Builder::new_current_thread().build().unwrap();
        let connection = Bucket::new("test", Arc::new(InMemory::new()), "").connect().unwrap();
        runtime.block_on(async {
            connection.replace("m", b"1".to_vec(), None).unwrap();
            std::thread::scope(|scope| {
                let waiting = scope.spawn(|| {
                    let never = std::future::pending::<Result<(), BucketError>>();
                    connection.call(never)
                });
                connection.close();
                assert!(matches!(waiting.join().unwrap(), Err(BucketError::Closing)));
            });
        });
    }
}
