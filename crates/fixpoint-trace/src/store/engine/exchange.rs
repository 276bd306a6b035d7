//! What goes on between this server and the bucket: sealed segments are published, those of other
//! servers become readable here, and files that nobody needs any more are removed there.
//!
//! Not here: sealing, which never waits for the bucket. The surprise: only indexes are fetched
//! ahead. Rows are fetched when they are read, and given up again, the longest unread first, when
//! they take more room here than they may.
//!
//! What a server changes in the manifest of the bucket holds from the moment that it is written,
//! if nobody else has written it since it was read; otherwise it is read again, and changed again.

use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use super::{
    Shared,
    common::Common,
    manifest::Entry,
    remote::{Known, Remote, is_of_bucket},
    split,
};
use crate::{
    model,
    store::{
        BoxError,
        bucket::{BucketError, Found},
        segment::{Files, Meta, Segment, SegmentError, number_of},
    },
};

/// The name of the manifest in the bucket.
const MANIFEST: &str = "manifest.json";
/// How often what other servers did is looked for.
const REFRESH: Duration = Duration::from_secs(10);
/// How many segments are published by one change of the manifest.
const BATCH: usize = 16;
/// How often a change is tried when others are faster.
const TRIES: usize = 16;
/// How long indexes are fetched before something else has its turn.
const FETCHING: Duration = Duration::from_secs(2);
/// How long the files of a segment that was merged stay, for servers that do not know it yet.
const GRACE: Duration = Duration::from_secs(600);
/// Files that no manifest names are left over from a crash when they are older than this; younger
/// ones may be on their way into it.
const ORPHAN: Duration = Duration::from_secs(24 * 3600);

impl Shared {
    /// A round with the bucket, if there is one and it has not just failed.
    pub(super) fn meet_bucket(&self, stop: &AtomicBool) {
        let Some(remote) = self.remote.as_ref().filter(|remote| remote.is_due()) else { return };
        let met = self.exchange(remote, stop);
        if !stop.load(Relaxed) {
            remote.note(&met);
        }
    }

    /// Reads it again, whenever it was read last, and has all of it here that should be.
    pub(super) fn catch_up(&self) -> Result<(), BoxError> {
        let Some(remote) = &self.remote else { return Ok(()) };
        let never = AtomicBool::new(false);
        remote.known().read = None;
        loop {
            let before = self.state().absent.len();
            let met = self.exchange(remote, &never);
            remote.note(&met);
            met?;
            let after = self.state().absent.len();
            if after == 0 || after == before {
                return Ok(());
            }
        }
    }

    /// Whether the bucket fails, so that what needs it is put off.
    pub(super) fn is_cut_off(&self) -> bool {
        self.remote.as_ref().is_some_and(|remote| remote.error().is_some())
    }

    /// Takes note of a bucket that failed; only what is wrong here stays an error.
    pub(super) fn excuse(&self, result: Result<(), BoxError>) -> Result<(), BoxError> {
        match (&self.remote, result) {
            (Some(remote), Err(error)) if is_of_bucket(&error) => {
                remote.note(&Err(error));
                Ok(())
            }
            (_, result) => result,
        }
    }

    fn exchange(&self, remote: &Remote, stop: &AtomicBool) -> Result<(), BoxError> {
        let _tending = self.tending.lock().unwrap_or_else(PoisonError::into_inner);
        {
            let mut known = remote.known();
            if known.read.is_none_or(|read| read.elapsed() > REFRESH) {
                self.load(remote, &mut known)?;
            }
        }
        while !stop.load(Relaxed) && self.publish(remote, stop)? {}
        self.fetch_indexes(remote, stop)?;
        self.clear_away(remote, GRACE)?;
        self.sweep(remote, ORPHAN)?;
        self.make_room()
    }

    /// Reads the manifest in the bucket.
    fn load(&self, remote: &Remote, known: &mut Known) -> Result<(), BoxError> {
        match remote.connection.read(MANIFEST, known.version.as_ref())? {
            Found::Same => {}
            Found::Nothing if self.manifest().settled().is_empty() => {
                (known.common, known.version) = (Common::default(), None);
            }
            // Whoever emptied it by mistake does not want it emptied here as well.
            Found::Nothing => {
                let why = "its manifest is gone, though segments were published there";
                return Err(BucketError::Refused(why.into()).into());
            }
            Found::Object { bytes, version, modified } => {
                known.common = Common::read(&bytes).map_err(|why| {
                    BucketError::Refused(format!("its manifest cannot be read: {why}"))
                })?;
                (known.version, known.modified) = (Some(version), modified);
            }
        }
        known.read = Some(Instant::now());
        self.install(&known.common)
    }

    /// Changes the manifest in the bucket, and what is known of it here. `change` is asked again
    /// if somebody else was faster, and says whether there is something to change.
    pub(super) fn change(
        &self,
        remote: &Remote,
        mut change: impl FnMut(&mut Common) -> Result<bool, BoxError>,
    ) -> Result<(), BoxError> {
        let mut known = remote.known();
        for _ in 0..TRIES {
            if known.read.is_none() {
                self.load(remote, &mut known)?;
            }
            let mut changed = known.common.clone();
            if !change(&mut changed)? {
                return Ok(());
            }
            let bytes = serde_json::to_vec_pretty(&changed)?;
            let written = remote.connection.replace(MANIFEST, bytes, known.version.clone());
            known.read = None;
            match written {
                Ok(version) => {
                    (known.common, known.version) = (changed, Some(version));
                    known.read = Some(Instant::now());
                    return self.install(&known.common);
                }
                Err(BucketError::Conflict) => {}
                // It may have been written all the same; the next reading will tell.
                Err(error) => return Err(error.into()),
            }
        }
        Err(BucketError::Refused("others change its manifest all the time".into()).into())
    }

    /// Has the store here consist of what is in the bucket, and of what is not there yet.
    fn install(&self, common: &Common) -> Result<(), BoxError> {
        let mut manifest = self.manifest();
        let mut changed = manifest.clone();
        let Some(member) = &mut changed.bucket else { return Ok(()) };
        let published = common.published.get(&member.server);
        if let Some(last) = member.unpublished.iter().position(|id| Some(id) == published) {
            member.unpublished.drain(..=last);
        }
        member.pins.retain(|id| !common.pins.contains(id));
        changed.pins = common.pins.union(&member.pins).copied().collect();
        let here = changed.segments.iter().filter(|entry| member.unpublished.contains(&entry.id));
        changed.segments = common.segments.iter().chain(here).cloned().collect();
        if changed != *manifest {
            changed.save(&self.folder)?;
        }
        let before = std::mem::replace(&mut *manifest, changed);

        let known = self.state().segments;
        let known: HashMap<u64, &Arc<Segment>> = known.iter().map(|it| (it.id(), it)).collect();
        let (mut segments, mut absent) = (Vec::new(), Vec::new());
        for entry in &manifest.segments {
            match known.get(&entry.id) {
                Some(segment) => segments.push(Arc::clone(segment)),
                None => match self.open_fetched(entry) {
                    Some(segment) => segments.push(segment),
                    None => absent.push(entry.id),
                },
            }
        }
        {
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            state.segments = Arc::new(segments);
            state.absent = Arc::new(absent);
            state.split = manifest.split();
            state.unread = false;
        }
        let named = |id: u64| manifest.segments.iter().any(|entry| entry.id == id);
        // Whoever reads them still has them open.
        for entry in before.segments.iter().filter(|entry| !named(entry.id)) {
            Files::of(&self.folder, entry.id).remove()?;
        }
        Ok(())
    }

    /// A segment whose index is here; none if it is not, or damaged, and then it is to be fetched
    /// once more.
    fn open_fetched(&self, entry: &Entry) -> Option<Arc<Segment>> {
        let files = Files::of(&self.folder, entry.id);
        if !files.index.exists() {
            return None;
        }
        match self.open_segment(entry.id, &entry.meta) {
            Ok(segment) => Some(segment),
            Err(error) => {
                let error: &(dyn std::error::Error + 'static) = &error;
                tracing::warn!(error, segment = entry.id, "an index cannot be read");
                // The one in the bucket may be whole.
                drop(std::fs::remove_file(&files.index));
                None
            }
        }
    }

    pub(super) fn open_segment(&self, id: u64, meta: &Meta) -> Result<Arc<Segment>, SegmentError> {
        let meta = meta.clone();
        let segment = match &self.remote {
            None => Segment::open(&self.folder, id, meta)?,
            Some(remote) => {
                Segment::open_away(&self.folder, id, meta, Arc::clone(&remote.connection))?
            }
        };
        Ok(Arc::new(segment))
    }

    /// Publishes some of the segments that are only here. Whether there were any.
    fn publish(&self, remote: &Remote, stop: &AtomicBool) -> Result<bool, BoxError> {
        let (batch, member) = {
            let manifest = self.manifest();
            let Some(member) = manifest.bucket.clone() else { return Ok(false) };
            let batch = member.unpublished.iter().take(BATCH);
            let entry = |id: &u64| manifest.segments.iter().find(|entry| entry.id == *id).cloned();
            (batch.filter_map(entry).collect::<Vec<_>>(), member)
        };
        let last = batch.last().map(|entry| entry.id);
        if last.is_none() && member.pins.is_empty() {
            return Ok(false);
        }
        for entry in &batch {
            if stop.load(Relaxed) {
                return Ok(false);
            }
            self.upload(remote, entry)?;
        }
        self.change(remote, |common| {
            if last.is_some() && common.published.get(&member.server).copied() == last {
                return Ok(false);
            }
            common.pins.extend(&member.pins);
            // What others have published meanwhile is older now, and may hold traces of ours.
            let all = self.state().segments;
            for entry in &batch {
                let at = all.iter().position(|segment| segment.id() == entry.id);
                let at = at.ok_or("a segment that was sealed is gone")?;
                let split = split::of(&all[at], &all[..at])?;
                common.segments.push(Entry { split, ..entry.clone() });
            }
            if let Some(last) = last {
                common.published.insert(member.server.clone(), last);
            }
            Ok(true)
        })?;
        Ok(true)
    }

    /// Puts the files of a segment into the bucket. They count when the manifest names it.
    fn upload(&self, remote: &Remote, entry: &Entry) -> Result<(), BoxError> {
        for path in Files::of(&self.folder, entry.id).all(entry.meta.logs > 0) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            remote.connection.upload(&name, path)?;
        }
        Ok(())
    }

    /// Puts a segment of the bucket, or none, in the place of others. False if these are not there
    /// as they were: somebody else has merged or removed them.
    pub(super) fn replace_in_bucket(
        &self,
        remote: &Remote,
        ids: &[u64],
        by: Option<&Entry>,
    ) -> Result<bool, BoxError> {
        if let Some(entry) = by {
            self.upload(remote, entry)?;
        }
        let mut replaced = false;
        self.change(remote, |common| {
            // Written, though we were not told.
            let done = by.is_some_and(|entry| common.knows(entry.id));
            let changes = !done && common.replace(ids, by);
            replaced = done || changes;
            Ok(changes)
        })?;
        Ok(replaced)
    }

    /// Fetches indexes that are not here, those of the newest segments first.
    fn fetch_indexes(&self, remote: &Remote, stop: &AtomicBool) -> Result<(), BoxError> {
        let absent = self.state().absent;
        if absent.is_empty() || !remote.may_fetch() {
            return Ok(());
        }
        let started = Instant::now();
        let mut fetched = Ok(());
        for &id in absent.iter().rev() {
            if stop.load(Relaxed) || started.elapsed() > FETCHING {
                break;
            }
            let path = Files::of(&self.folder, id).index;
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            match remote.connection.fetch(&name, &path) {
                Ok(()) => {}
                Err(BucketError::Missing) => {
                    tracing::warn!(object = name, "a segment that is named is not in the bucket");
                }
                Err(error) => {
                    fetched = Err(error);
                    break;
                }
            }
        }
        self.install(&remote.known().common)?;
        if fetched.is_ok() && self.state().absent.len() == absent.len() {
            // It may have been merged.
            remote.known().read = None;
            remote.fetch_later();
        }
        Ok(fetched?)
    }

    /// Removes files of segments that were merged or expired a while ago.
    pub(super) fn clear_away(&self, remote: &Remote, grace: Duration) -> Result<(), BoxError> {
        let grace = u64::try_from(grace.as_nanos()).unwrap_or(u64::MAX);
        let until = model::now().saturating_sub(grace);
        let removed = remote.known().common.removed.clone();
        let due: Vec<u64> = removed.iter().filter(|it| it.at <= until).map(|it| it.id).collect();
        if due.is_empty() {
            return Ok(());
        }
        for &id in &due {
            self.remove_there(remote, id)?;
        }
        self.change(remote, |common| {
            let before = common.removed.len();
            common.removed.retain(|removed| !due.contains(&removed.id));
            Ok(common.removed.len() < before)
        })
    }

    fn remove_there(&self, remote: &Remote, id: u64) -> Result<(), BoxError> {
        for path in Files::of(&self.folder, id).all(true) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            remote.connection.remove(&name)?;
        }
        Ok(())
    }

    /// Removes files that a crash left there before a manifest named them. Ages are told by the
    /// bucket's own clock: that of the last change.
    pub(super) fn sweep(&self, remote: &Remote, age: Duration) -> Result<(), BoxError> {
        if remote.known().swept.is_some_and(|swept| swept.elapsed() < age) {
            return Ok(());
        }
        for (name, modified) in remote.connection.list()? {
            let known = remote.known();
            let old = known.modified.saturating_sub(modified) > age.as_secs().cast_signed();
            let orphan = number_of(&name).is_some_and(|id| old && !known.common.knows(id));
            drop(known);
            if orphan {
                remote.connection.remove(&name)?;
            }
        }
        remote.known().swept = Some(Instant::now());
        Ok(())
    }

    /// Gives up rows that are in the bucket, too, until the others have room.
    fn make_room(&self) -> Result<(), BoxError> {
        let all = self.state().segments;
        let mut held: u64 = all.iter().map(|segment| segment.held()).sum();
        if held <= self.options.cache_bytes {
            return Ok(());
        }
        let mut published: Vec<_> = {
            let manifest = self.manifest();
            all.iter().filter(|segment| !manifest.is_unpublished(segment.id())).collect()
        };
        published.sort_by_key(|segment| segment.wanted());
        for segment in published {
            if held <= self.options.cache_bytes {
                break;
            }
            let before = segment.held();
            segment.clear()?;
            held -= before.saturating_sub(segment.held());
        }
        Ok(())
    }
}
