//! When each resource is looked at: once in each period, at a moment of its own.
//!
//! Not here: looking. The surprise: there is no timer for each resource, and nothing to remember.
//! The moment follows from the resource's name and the wall's clock, so that many resources are
//! spread evenly over the period, servers agree without asking each other, and one that was down
//! for a day does not come back to look at everything at once.

use std::time::{Duration, SystemTime};

use fixpoint::Chain;
use sha2::{Digest, Sha256};
use tokio::{sync::mpsc, time};

use crate::{records::ResourceKey, runner::Shared};

/// How soon to read again what could not be read.
const AGAIN: Duration = Duration::from_secs(1);

/// A server that comes this late to a period, as a part of it, still looks at what it missed; later,
/// each of those waits for its next moment.
const LATE: u32 = 20;

/// Marks each resource as due at its moment, and has it looked at, for as long as it is polled.
pub(crate) async fn keep_time(shared: &Shared, tell: &mpsc::Sender<Vec<ResourceKey>>) {
    let Some(every) = shared.verifier.settings.every.filter(|every| !every.is_zero()) else {
        return std::future::pending().await;
    };
    loop {
        let (began, into) = (time::Instant::now(), into_period(every, SystemTime::now()));
        let keys = match shared.records.resource_keys().await {
            Ok(keys) => keys,
            Err(error) => {
                tracing::warn!("what is to be verified could not be read: {}", Chain(&error));
                let _elapsed = time::timeout(AGAIN, std::future::pending::<()>()).await;
                continue;
            }
        };
        for (moment, key) in still_to_come(keys, every, into) {
            let at = began + moment.saturating_sub(into);
            let _elapsed = time::timeout_at(at, std::future::pending::<()>()).await;
            shared.verifier.due.by_clock(key.clone());
            let _stopping = tell.send(vec![key]).await;
        }
        let end = began + every.saturating_sub(into);
        let _elapsed = time::timeout_at(end, std::future::pending::<()>()).await;
    }
}

/// How far the period at hand has gone. Periods are counted from 1970, so all servers have the same.
fn into_period(every: Duration, now: SystemTime) -> Duration {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let nanos = since.as_nanos() % every.as_nanos();
    u64::try_from(nanos).map_or(Duration::ZERO, Duration::from_nanos)
}

/// The moments of this period that are not over, in order.
fn still_to_come(
    keys: Vec<ResourceKey>,
    every: Duration,
    into: Duration,
) -> Vec<(Duration, ResourceKey)> {
    let from = if into < every / LATE { Duration::ZERO } else { into };
    let moments = keys.into_iter().map(|key| (moment(&key, every), key));
    let mut moments: Vec<_> = moments.filter(|(moment, _)| *moment >= from).collect();
    moments.sort_unstable();
    moments
}

/// The resource's moment within a period.
fn moment(key: &ResourceKey, every: Duration) -> Duration {
    let digest = Sha256::digest(key.to_string());
    let part = digest.iter().take(8).fold(0_u64, |part, byte| (part << 8) | u64::from(*byte));
    let nanos = (every.as_nanos() * u128::from(part)) >> 64;
    u64::try_from(nanos).map_or(Duration::ZERO, Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_secs(600);

    fn keys() -> Vec<ResourceKey> {
        (0..1000).map(|n| ResourceKey::new("toys", format!("toy-{n}"))).collect()
    }

    #[test]
    fn a_thousand_resources_are_spread_over_the_period() {
        let moments = still_to_come(keys(), PERIOD, Duration::ZERO);
        assert_eq!(moments.len(), 1000);
        for tenth in 0..10 {
            let within = |moment: &Duration| moment.as_secs() / 60 == tenth;
            let there = moments.iter().filter(|(moment, _)| within(moment)).count();
            assert!((60..140).contains(&there), "{there} in minute {tenth}");
        }
    }

    #[test]
    fn a_server_that_starts_within_a_period_catches_up_on_nothing() {
        let half = PERIOD / 2;
        let moments = still_to_come(keys(), PERIOD, half);
        assert!((400..600).contains(&moments.len()), "{}", moments.len());
        assert!(moments.iter().all(|(moment, _)| *moment >= half));
        // One that is merely a little late misses nothing.
        assert_eq!(still_to_come(keys(), PERIOD, Duration::from_secs(1)).len(), 1000);
    }

    #[test]
    fn periods_follow_one_another() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(into_period(PERIOD, at(0)), Duration::ZERO);
        assert_eq!(into_period(PERIOD, at(1_299)), Duration::from_secs(99));
    }
}
