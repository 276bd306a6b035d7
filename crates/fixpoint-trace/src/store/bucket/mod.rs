//! Object storage, as far as the store needs it: whole files in and out, and one small object that
//! is replaced only if nobody else has replaced it.
//!
//! Not here: what lies there and when (`engine/exchange.rs`). The surprise: the calls of a
//! connection block, and may be made on any thread, also where async tasks run, since a thread
//! of its own does the talking.

mod connection;
#[cfg(feature = "s3")]
mod s3;

use std::{error::Error, fmt, io, sync::Arc};

/// Which one of several writings of an object.
pub(super) use object_store::UpdateVersion as Version;
use object_store::{ObjectStore, path::Path};

pub(super) use self::connection::{Connection, Found, PART_OF_A_FILE};
#[cfg(feature = "s3")]
pub use self::s3::{Keys, KeysSource, S3};

/// Where sealed segments lie, for as many servers as share them.
#[derive(Clone)]
pub struct Bucket {
    /// What it is called in messages, and in the folder of whoever uses it; no secret is in it.
    name: String,
    store: Arc<dyn ObjectStore>,
    prefix: Path,
}

impl Bucket {
    /// A part of an object store: what lies under the prefix. The name is for people, and must be
    /// the same at the next start.
    pub fn new(name: impl Into<String>, store: Arc<dyn ObjectStore>, prefix: &str) -> Self {
        Self { name: name.into(), store, prefix: Path::from(prefix) }
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn connect(&self) -> io::Result<Connection> {
        Connection::start(self.clone())
    }

    fn path(&self, name: &str) -> Path {
        self.prefix.clone().join(name)
    }
}

impl fmt::Debug for Bucket {
    // Not the client: nobody knows what it shows of its credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bucket").field(&self.name).finish()
    }
}

/// The bucket did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum BucketError {
    /// Somebody else has replaced the object.
    #[error("somebody else has written it meanwhile")]
    Conflict,
    #[error("it is not in the bucket")]
    Missing,
    /// The bucket cannot be reached, or refuses.
    #[error("{0}")]
    Refused(String),
    /// A file on this side.
    #[error("a file could not be read or written here")]
    Io(#[from] io::Error),
    #[error("the store is being closed")]
    Closing,
}

impl From<object_store::Error> for BucketError {
    fn from(error: object_store::Error) -> Self {
        match error {
            object_store::Error::Precondition { .. }
            | object_store::Error::AlreadyExists { .. } => Self::Conflict,
            object_store::Error::NotFound { .. } => match said(&error) {
                said if said.contains("NoSuchBucket") => Self::Refused(said),
                _ => Self::Missing,
            },
            other => Self::Refused(said(&other)),
        }
    }
}

/// An error in a line. Of what the other side answered only its code and message are told: the
/// rest may repeat what we sent, a session's token among it.
fn said(error: &object_store::Error) -> String {
    let (mut text, mut next) = (String::new(), Some(error as &dyn Error));
    while let Some(error) = next {
        let said = error.to_string();
        // Most of them repeat what is beneath them.
        if !text.contains(&said) {
            text = if text.is_empty() { said } else { format!("{text}: {said}") };
        }
        next = error.source();
    }
    let element = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        rest.split_once(&format!("</{name}>")).map(|(content, _)| content.to_owned())
    };
    match element("Code") {
        Some(code) => format!("it answers {code}: {}", element("Message").unwrap_or_default()),
        None => text.split("<?xml").next().unwrap_or_default().trim_end().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_told_without_what_it_repeats_of_the_request() {
        let body = "Error performing PUT: 403: <?xml version=\"1.0\"?><Error><Code>SignatureDoesNotMatch\
                    </Code><Message>It differs</Message><CanonicalRequest>x-amz-security-token:planted\
                    </CanonicalRequest></Error>";
        let error = object_store::Error::Generic { store: "S3", source: body.into() };
        let told = BucketError::from(error).to_string();
        assert_eq!(told, "it answers SignatureDoesNotMatch: It differs");
    }

    #[test]
    fn a_bucket_shows_its_name_only() {
        let store = Arc::new(object_store::memory::InMemory::new());
        let bucket = Bucket::new("s3://traces/here", store, "here");
        assert_eq!(format!("{bucket:?}"), "Bucket(\"s3://traces/here\")");
    }
}
