//! What is known of the bucket: its manifest as it was last read, and whether it can be used.
//!
//! Not here: what is done with it (`exchange.rs`). The surprise: a bucket that fails is left alone
//! for a while, longer each time, and nothing here waits for it.

use std::{
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use super::{
    common::Common,
    manifest::{Manifest, Membership},
};
use crate::chain::chain;
use crate::store::{
    BoxError,
    bucket::{Bucket, BucketError, Connection, Version},
    file,
    segment::{Files, SegmentError},
};

/// How long a bucket that failed is left alone, at first and at most.
const PAUSE: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(60)];

/// The bucket, as this server knows it.
#[derive(Debug)]
pub(super) struct Remote {
    pub(super) connection: Arc<Connection>,
    /// Held while the manifest in the bucket is read or changed.
    known: Mutex<Known>,
    health: Mutex<Health>,
    pub(super) failures: AtomicU64,
}

/// The manifest in the bucket.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) common: Common,
    /// Which one it is; none if there is none.
    pub(super) version: Option<Version>,
    /// When it was written, in seconds by the bucket's own clock.
    pub(super) modified: i64,
    /// When it was read; none if it has to be read again before it is changed.
    pub(super) read: Option<Instant>,
    /// When segments that nobody names were last looked for.
    pub(super) swept: Option<Instant>,
}

#[derive(Debug, Default)]
struct Health {
    error: Option<String>,
    pause: Duration,
    /// Not before.
    next: Option<Instant>,
    /// Likewise for indexes that could not be fetched, though the bucket can be used.
    next_fetch: Option<Instant>,
}

impl Remote {
    pub(super) fn connect(bucket: &Bucket) -> Result<Self, BoxError> {
        Ok(Self {
            connection: Arc::new(bucket.connect()?),
            known: Mutex::default(),
            health: Mutex::default(),
            failures: AtomicU64::new(0),
        })
    }

    pub(super) fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why it cannot be used, if it could not the last time.
    pub(super) fn error(&self) -> Option<String> {
        self.health().error.clone()
    }

    /// Whether it may be asked again.
    pub(super) fn is_due(&self) -> bool {
        self.health().next.is_none_or(|next| Instant::now() >= next)
    }

    pub(super) fn may_fetch(&self) -> bool {
        self.health().next_fetch.is_none_or(|next| Instant::now() >= next)
    }

    /// What is not there now will hardly be in a moment.
    pub(super) fn fetch_later(&self) {
        self.health().next_fetch = Some(Instant::now() + PAUSE[1]);
    }

    /// Takes note of how it went, and says so when that changes.
    pub(super) fn note(&self, result: &Result<(), BoxError>) {
        let mut health = self.health();
        match result {
            Ok(()) => {
                if health.error.is_some() {
                    tracing::info!("the bucket of the trace store can be used again");
                }
                *health = Health { next_fetch: health.next_fetch, ..Health::default() };
            }
            Err(error) => {
                self.failures.fetch_add(1, Relaxed);
                if health.error.is_none() {
                    tracing::error!(
                        error = &**error,
                        "the bucket of the trace store cannot be used; segments wait here"
                    );
                }
                health.error = Some(chain(&**error));
                health.pause = (health.pause * 2).clamp(PAUSE[0], PAUSE[1]);
                // So that several servers do not come back at once.
                let pause = health.pause.mul_f64(0.75 + fastrand::f64() / 2.0);
                health.next = Some(Instant::now() + pause);
            }
        }
    }
}

/// Whether it is the bucket that failed, and not something here.
pub(super) fn is_of_bucket(error: &BoxError) -> bool {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(&**error);
    while let Some(error) = next {
        let away = matches!(error.downcast_ref(), Some(SegmentError::Away(_)));
        if away || error.is::<BucketError>() {
            return true;
        }
        next = error.source();
    }
    false
}

/// Makes the folder a part of the bucket, if one is named; what it holds will be published.
///
/// # Errors
/// If it is a part of another one, or of one that is not named.
pub(super) fn join(
    folder: &Path,
    manifest: &mut Manifest,
    bucket: Option<&Bucket>,
) -> Result<(), BoxError> {
    match (&manifest.bucket, bucket) {
        (None, None) => Ok(()),
        (Some(member), Some(bucket)) if member.name == bucket.name() => Ok(()),
        (Some(member), _) => {
            let name = &member.name;
            Err(format!("its segments lie in {name}; it cannot be used without that").into())
        }
        (None, Some(bucket)) => {
            let mut joined = manifest.clone();
            joined.bucket = Some(Membership {
                name: bucket.name().to_owned(),
                server: format!("{:016x}", fastrand::u64(..)),
                unpublished: Vec::new(),
                pins: manifest.pins.clone(),
            });
            // Numbers that were counted here were counted elsewhere as well.
            for n in 0..joined.segments.len() {
                let id = joined.number();
                let entry = &mut joined.segments[n];
                let [from, to] = [entry.id, id].map(|id| Files::of(folder, id));
                from.link(&to, entry.meta.logs > 0)?;
                entry.id = id;
                joined.bucket.iter_mut().for_each(|it| it.unpublished.push(id));
            }
            file::sync_folder(folder)?;
            joined.save(folder)?;
            // The files by their old names are swept.
            *manifest = joined;
            Ok(())
        }
    }
}
