//! An object store in memory on which things go wrong as a test wants it.

use std::{
    fmt,
    ops::Range,
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream, stream::BoxStream};
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    Result, memory::InMemory, path::Path,
};

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    Get,
    /// A file of a segment.
    Put,
    /// The manifest.
    Commit,
}

/// What becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Done,
    /// Nothing is done.
    Refused,
    /// It is done, and the answer is lost; of what is read half is sent.
    Unheard,
}

type Rule = Box<dyn FnMut(Call) -> Fate + Send>;

pub(super) struct Shaky {
    pub(super) inner: InMemory,
    rule: Mutex<Rule>,
}

impl Shaky {
    pub(super) fn new(rule: impl FnMut(Call) -> Fate + Send + 'static) -> Self {
        Self { inner: InMemory::new(), rule: Mutex::new(Box::new(rule)) }
    }

    pub(super) fn set(&self, rule: impl FnMut(Call) -> Fate + Send + 'static) {
        *self.rule.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(rule);
    }

    fn fate(&self, call: Call) -> Fate {
        self.rule.lock().unwrap_or_else(PoisonError::into_inner)(call)
    }
}

fn lost() -> Error {
    Error::Generic { store: "shaky", source: "the connection was lost".into() }
}

impl fmt::Debug for Shaky {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shaky")
    }
}

impl fmt::Display for Shaky {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("shaky")
    }
}

#[async_trait]
impl ObjectStore for Shaky {
    async fn put_opts(
        &self,
        at: &Path,
        bytes: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let call = if options.mode == PutMode::Overwrite { Call::Put } else { Call::Commit };
        match self.fate(call) {
            Fate::Done => self.inner.put_opts(at, bytes, options).await,
            Fate::Refused => Err(lost()),
            Fate::Unheard => self.inner.put_opts(at, bytes, options).await.and(Err(lost())),
        }
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(at, options).await
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        match self.fate(Call::Get) {
            Fate::Done => self.inner.get_opts(at, options).await,
            Fate::Refused => Err(lost()),
            Fate::Unheard => {
                let mut found = self.inner.get_opts(at, options).await?;
                let Range { start, end } = found.range;
                let half = Bytes::from(vec![7; ((end - start) / 2) as usize]);
                let stream = stream::iter([Ok(half), Err(lost())]).boxed();
                found.payload = GetResultPayload::Stream(stream);
                Ok(found)
            }
        }
    }

    fn delete_stream(
        &self,
        at: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(at)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
