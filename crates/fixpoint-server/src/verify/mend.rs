//! Whether drift is mended by itself, within the budget.
//!
//! Not here: the mending, which is a run like any other. The surprise: how many resources are
//! mended at the same time is not counted but taken: each mend has one of a few records, on the
//! condition that the run in it has ended. So the budget holds for all servers together, whatever
//! dies, and there is nothing to give back.

use fixpoint_client::Drift;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::Verifying;
use crate::{
    records::{Records, key, put},
    resource::ResourceRecord,
    store::{Precondition, StoreError, Write},
};

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// What becomes of drift.
#[derive(Debug)]
pub(super) enum Decision {
    /// The resource does not ask for more than being looked at.
    Show,
    /// It asks to be mended, and is not; why.
    Hold(String),
    /// It is mended, in this place.
    Mend(Place),
}

/// One of the places for mends that go on.
#[derive(Debug)]
pub(super) struct Place {
    at: String,
    only: Precondition,
}

/// Whose a place is.
#[derive(Debug, Serialize, Deserialize)]
struct PlaceRecord {
    run_id: String,
}

impl Place {
    /// The write that takes the place for a run.
    pub(super) fn taken_by(&self, run: &str) -> Result<Write, StoreError> {
        put(self.at.clone(), &PlaceRecord { run_id: run.to_owned() }, self.only)
    }
}

/// Drops what the budget counts no longer.
pub(super) fn forget_old(mends: &mut Vec<Timestamp>, now: Timestamp) {
    // A mend of the future says that the clock was set back; it counts.
    mends.retain(|mend| now.duration_since(*mend) < DAY);
}

/// What becomes of a resource's drift, which was mended so often within the last day.
pub(super) async fn decide(
    records: &Records,
    budget: &Verifying,
    resource: &ResourceRecord,
    drift: &Drift,
    mends: &[Timestamp],
) -> Result<Decision, StoreError> {
    if !resource.mend {
        return Ok(Decision::Show);
    }
    if drift.waits {
        let why = "there is nothing to do but to wait for the world";
        return Ok(Decision::Hold(why.to_owned()));
    }
    if mends.len() >= budget.mends_per_day as usize {
        return Ok(Decision::Hold(used_up(budget.mends_per_day, mends)));
    }
    for place in 0..budget.mends_at_once {
        let at = key::mending(place);
        let only = match records.read::<PlaceRecord>(&at).await? {
            None => Precondition::Absent,
            Some(taken) => match records.run(&taken.record.run_id).await? {
                Some(run) if !run.record.run.state.is_final() => continue,
                _ => Precondition::Version(taken.version),
            },
        };
        return Ok(Decision::Mend(Place { at, only }));
    }
    Ok(Decision::Hold(no_place(budget.mends_at_once)))
}

fn used_up(most: u32, mends: &[Timestamp]) -> String {
    let of = if most == 1 { "the one mend".to_owned() } else { format!("all {most} mends") };
    let next = mends.first().and_then(|first| first.checked_add(DAY).ok());
    match next.filter(|_| most > 0) {
        Some(next) => {
            format!("{of} of a day are used up; the next may be at {}", next.strftime("%F %T UTC"))
        }
        None => "this server mends nothing by itself (--mends-per-day 0)".to_owned(),
    }
}

fn no_place(most: u32) -> String {
    match most {
        0 => "this server mends nothing by itself (--mends-at-once 0)".to_owned(),
        1 => "another resource is being mended, and one at a time may be".to_owned(),
        most => format!("{most} other resources are being mended, as many as may be at once"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_that_is_used_up_says_when_there_is_more() {
        let at = |hour: i64| Timestamp::from_second(hour * 3_600).unwrap();
        let mut mends = vec![at(0), at(10), at(20)];
        let said = used_up(3, &mends);
        assert_eq!(
            said,
            "all 3 mends of a day are used up; the next may be at 1970-01-02 00:00:00 UTC"
        );
        forget_old(&mut mends, at(24));
        assert_eq!(mends, [at(10), at(20)]);
        // The clock was set back: what was done counts all the same.
        forget_old(&mut mends, at(5));
        assert_eq!(mends.len(), 2);
        assert!(used_up(0, &[]).contains("mends nothing"));
    }
}
