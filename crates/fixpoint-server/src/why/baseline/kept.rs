//! Keeps profiles: how many, how large, and who reads for which.
//!
//! Not here: where good ones come from (`read.rs`). The surprise: a profile is replaced and never
//! changed while somebody holds it, so an answer is of one moment, whatever is learned meanwhile.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync, time::Instant};

use super::{Good, Held, Of};

/// How many profiles are kept. The one used longest ago goes first,
const KEPT: usize = 64;

/// and so it does when together they take more bytes than this.
const MOST_BYTES: usize = 128 << 20;

/// One that was not used for so long may go for one that nobody has asked for.
const IDLE: Duration = Duration::from_secs(3600);

/// Profiles, by what they are of. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Kept(Arc<Mutex<HashMap<Of, Entry>>>);

#[derive(Debug)]
struct Entry {
    used: Instant,
    slot: Arc<Slot>,
}

/// How many profiles are kept, and what they take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Size {
    /// How many.
    pub(crate) profiles: u64,
    /// In memory, in bytes.
    pub(crate) bytes: u64,
}

impl Kept {
    fn all(&self) -> MutexGuard<'_, HashMap<Of, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The profile that somebody asks for, empty if there was none.
    pub(super) fn slot(&self, of: &Of) -> Arc<Slot> {
        let mut all = self.all();
        if all.len() >= KEPT
            && !all.contains_key(of)
            && let Some(oldest) = oldest(&all, None)
        {
            all.remove(&oldest);
        }
        used(&mut all, of)
    }

    /// The profile that one may learn for without being asked: none if all room is taken by such
    /// as are in use.
    pub(super) fn spare_slot(&self, of: &Of) -> Option<Arc<Slot>> {
        let mut all = self.all();
        if all.len() >= KEPT && !all.contains_key(of) {
            let idle = oldest(&all, None).filter(|of| all[of].used.elapsed() >= IDLE)?;
            all.remove(&idle);
        }
        Some(used(&mut all, of))
    }

    /// Whether a good one is in the profile already.
    pub(super) fn knows(&self, of: &Of, id: &str) -> bool {
        let slot = self.all().get(of).map(|entry| Arc::clone(&entry.slot));
        slot.is_some_and(|slot| slot.held().good.knows(id))
    }

    /// Lets profiles go if together they have become too large, but not this one.
    pub(super) fn trim(&self, but: &Of) {
        let mut all = self.all();
        let bytes = |all: &HashMap<Of, Entry>| -> usize {
            all.values().map(|entry| entry.slot.bytes()).sum()
        };
        while bytes(&all) > MOST_BYTES
            && let Some(oldest) = oldest(&all, Some(but))
        {
            all.remove(&oldest);
        }
    }

    pub(super) fn size(&self) -> Size {
        let all = self.all();
        let bytes: usize = all.values().map(|entry| entry.slot.bytes()).sum();
        Size { profiles: all.len() as u64, bytes: bytes as u64 }
    }
}

fn used(all: &mut HashMap<Of, Entry>, of: &Of) -> Arc<Slot> {
    let now = Instant::now();
    let entry = all.entry(of.clone()).or_insert_with(|| Entry { used: now, slot: Arc::default() });
    entry.used = now;
    Arc::clone(&entry.slot)
}

/// What was used longest ago.
fn oldest(all: &HashMap<Of, Entry>, but: Option<&Of>) -> Option<Of> {
    let others = all.iter().filter(|&(of, _)| Some(of) != but);
    others.min_by_key(|(_, entry)| entry.used).map(|(of, _)| of.clone())
}

/// A profile, and what is being done for it.
#[derive(Debug, Default)]
pub(super) struct Slot {
    /// Held by whoever reads for it, so that nothing is read twice.
    pub(super) reading: sync::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    held: Held,
    /// What is being read.
    claimed: HashSet<String>,
}

impl Slot {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The good ones as far as they have been read.
    pub(super) fn held(&self) -> Held {
        self.state().held.clone()
    }

    /// Says how many are left to be read.
    pub(super) fn left(&self, unread: usize) {
        self.state().held.unread = Some(unread);
    }

    fn bytes(&self) -> usize {
        let good = Arc::clone(&self.state().held.good);
        good.bytes()
    }

    /// Takes upon itself to read those of `ids` that nobody has read or reads.
    pub(super) fn claim<'i>(self: &Arc<Self>, ids: impl Iterator<Item = &'i str>) -> Claim {
        let mut state = self.state();
        let State { held, claimed } = &mut *state;
        let new = ids.filter(|id| !held.good.knows(id) && claimed.insert((*id).to_owned()));
        Claim { ids: new.map(str::to_owned).collect(), slot: Arc::clone(self) }
    }
}

/// What somebody has taken upon himself to read. Dropped without a result, it is left to others.
#[derive(Debug)]
pub(super) struct Claim {
    slot: Arc<Slot>,
    ids: HashSet<String>,
}

impl Claim {
    pub(super) fn has(&self, id: &str) -> bool {
        self.ids.contains(id)
    }

    /// Adds what was read.
    pub(super) fn fulfil(self, read: &Good) {
        Arc::make_mut(&mut self.slot.state().held.good).take_up(read);
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut state = self.slot.state();
        for id in &self.ids {
            state.claimed.remove(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(number: usize) -> Of {
        Of::named("shop", &format!("operation {number}"))
    }

    fn read(id: &str) -> Good {
        Good { known: HashSet::from([id.to_owned()]), ..Good::default() }
    }

    #[test]
    fn what_one_reads_nobody_else_does_unless_it_is_given_up() {
        let slot = Arc::new(Slot::default());
        let first = slot.claim(["a", "b"].into_iter());
        let second = slot.claim(["b", "c"].into_iter());
        assert_eq!((second.has("b"), second.has("c")), (false, true));
        drop(first);
        let third = slot.claim(["a", "b", "c"].into_iter());
        assert_eq!(third.ids, HashSet::from(["a".to_owned(), "b".to_owned()]));
        third.fulfil(&read("a"));
        assert!(!slot.claim(["a"].into_iter()).has("a"), "it is known");
        assert!(slot.claim(["b"].into_iter()).has("b"), "it was not read after all");
    }

    #[tokio::test(start_paused = true)]
    async fn the_profile_used_longest_ago_goes_first() {
        let kept = Kept::default();
        for number in 0..KEPT {
            kept.slot(&of(number));
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        kept.slot(&of(0));
        kept.slot(&of(KEPT));
        let all: Vec<Of> = kept.all().keys().cloned().collect();
        assert_eq!(all.len(), KEPT);
        assert!(all.contains(&of(0)) && all.contains(&of(KEPT)) && !all.contains(&of(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_asks_for_gets_no_room_of_what_is_in_use() {
        let kept = Kept::default();
        for number in 0..KEPT {
            assert!(kept.spare_slot(&of(number)).is_some());
        }
        assert!(kept.spare_slot(&of(KEPT)).is_none());
        assert!(kept.spare_slot(&of(3)).is_some(), "it has room already");
        tokio::time::advance(IDLE).await;
        kept.slot(&of(3));
        assert!(kept.spare_slot(&of(KEPT)).is_some());
        assert!(kept.all().contains_key(&of(3)));
    }

    #[tokio::test(start_paused = true)]
    async fn together_profiles_take_no_more_than_their_bound() {
        let kept = Kept::default();
        // Each is taken for a quarter of the bound by what it knows.
        let ids = |of: usize| (0..MOST_BYTES / 4 / 96).map(move |id| format!("{of} {id}"));
        for number in 0..6 {
            let slot = kept.slot(&of(number));
            let claim = slot.claim(["x"].into_iter());
            claim.fulfil(&Good { known: ids(number).collect(), ..Good::default() });
            kept.trim(&of(number));
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        let size = kept.size();
        assert!(size.profiles < 6 && size.bytes <= MOST_BYTES as u64, "{size:?}");
        assert!(kept.all().contains_key(&of(5)));
    }
}
