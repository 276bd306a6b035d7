//! Sends what is to be sent, when it is due, until it is taken or given up.
//!
//! Not here: the request (`attempt.rs`). The surprise: whose turn it is follows from the record
//! alone. Each server knows of everything that is to be sent and tries for it; the one whose write
//! that notes the attempt comes first makes it.

use std::{collections::BTreeSet, time::Duration};

use fixpoint::{Chain, Pace};
use fixpoint_client::NotificationState;
use futures_util::{StreamExt, stream::FuturesUnordered};
use jiff::Timestamp;
use tokio::time::{self, Instant};

use super::{
    Answer, Message, Outcome, Webhook,
    record::{Name, NotificationRecord},
};
use crate::{
    records::Stored,
    runner::Shared,
    store::{StoreError, Watched},
};

/// How many requests one server makes at the same time. A thousand failures have one cause, and
/// should not make the webhook the next to fail.
const AT_ONCE: usize = 8;

/// A receiver's hiccup is over in seconds.
const FIRST: Duration = Duration::from_secs(5);

/// One that was down for long should not have to wait for long.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// What nobody has taken in a day, nobody waits for any more. It is some thirty attempts.
const GIVE_UP_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// How soon to try again when the run store fails.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// Tells the webhook for as long as it is polled.
pub(crate) async fn deliver(shared: &Shared) {
    let Some(webhook) = &shared.webhook else { return std::future::pending().await };
    // From before anything is read, so that nothing falls between.
    let mut watch = shared.records.watch_undelivered();
    let mut due: BTreeSet<(Instant, Name)> = read(shared).await;
    let mut at_work = FuturesUnordered::new();
    // What fails for one for want of the store fails for all.
    let mut not_before = Instant::now();
    loop {
        let next = loop {
            let next = due.first().map(|(at, _)| not_before.max(*at));
            let room = at_work.len() < AT_ONCE;
            if !room || next.is_none_or(|next| next > Instant::now()) {
                break next.filter(|_| room);
            }
            let Some((_, name)) = due.pop_first() else { break None };
            at_work.push(async move {
                let next = one(shared, webhook, &name).await;
                (name, next)
            });
        };
        tokio::select! {
            watched = watch.next() => match watched {
                Some(Watched::Changed(change)) => {
                    let name = Name::marked_by(&change.key).filter(|_| change.value.is_some());
                    due.extend(name.map(|name| (Instant::now(), name)));
                }
                Some(Watched::Lagged) => due.extend(read(shared).await),
                // The store is closed.
                None => return std::future::pending().await,
            },
            Some((name, next)) = at_work.next() => match next {
                Ok(next) => due.extend(next.map(|after| (Instant::now() + after, name))),
                Err(error) => {
                    let Name { run, event } = &name;
                    tracing::warn!("{event} of {run} could not be looked after: {}", Chain(&error));
                    not_before = Instant::now() + STORE_PAUSE;
                    due.insert((not_before, name));
                }
            },
            () = until(next) => {}
        }
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => drop(time::timeout_at(at, std::future::pending::<()>()).await),
        None => std::future::pending().await,
    }
}

/// All that is to be sent. When, its record says.
async fn read(shared: &Shared) -> BTreeSet<(Instant, Name)> {
    loop {
        match shared.records.undelivered().await {
            Ok(names) => return names.into_iter().map(|name| (Instant::now(), name)).collect(),
            Err(error) => {
                tracing::warn!("what is to be sent could not be read: {}", Chain(&error));
                until(Some(Instant::now() + STORE_PAUSE)).await;
            }
        }
    }
}

/// Sends one notification if it is due. Returns after what time to look at it again, if at all.
async fn one(
    shared: &Shared,
    webhook: &Webhook,
    name: &Name,
) -> Result<Option<Duration>, StoreError> {
    let records = &shared.records;
    let stored = match records.read::<NotificationRecord>(&name.at()).await {
        // It does not get better; whoever can read it tells.
        Err(error @ StoreError::Corrupt { .. }) => {
            tracing::error!("{} cannot be told: {}", name.event, Chain(&error));
            return Ok(None);
        }
        stored => stored?,
    };
    let Some(Stored { mut record, version }) = stored else { return Ok(None) };
    let Some(body) = record.body.clone() else { return Ok(None) };
    let now = Timestamp::now();
    if let Some(left) = left(&record, now, shared.pace.wall(LONGEST).max(LONGEST)) {
        return Ok(Some(left));
    }
    // Longer than the answer may take, so that nobody else sends it meanwhile.
    let claim = webhook.0.patience + webhook.0.patience / 2;
    let shown = &mut record.shown;
    shown.attempts += 1;
    shown.attempted_at = Some(now);
    shown.next_attempt_at = now.checked_add(claim).ok();
    let version = match records.commit(name.update(&record, version)?).await {
        Ok(version) => version,
        // Another server makes this attempt, or there is newer news: look at it again.
        Err(error) if error.is_conflict() => return Ok(Some(Duration::ZERO)),
        Err(error) => return Err(error),
    };
    let answer = webhook
        .attempt(&Message {
            id: &record.shown.id,
            event: name.event,
            body: &body,
            before: record.shown.attempts - 1,
            run: Some(&name.run),
            resource: Some(&record.resource),
            link: record.link,
        })
        .await;
    let result = note(&mut record, &answer, shared.pace);
    shared.metrics.webhook(result);
    if result == "failed" {
        tracing::error!("{} of {}: {}", name.event, name.run, record.shown);
    }
    match records.commit(name.update(&record, version)?).await {
        Err(error) if error.is_conflict() => Ok(Some(Duration::ZERO)),
        Err(error) => Err(error),
        // At once or later, as the record says.
        Ok(_) => Ok(record.body.is_some().then_some(Duration::ZERO)),
    }
}

/// How long it is until the notification is due. An attempt further away than `longest` is not to
/// come: it says that the clock was set back.
fn left(record: &NotificationRecord, now: Timestamp, longest: Duration) -> Option<Duration> {
    let left = Duration::try_from(record.shown.next_attempt_at?.duration_since(now)).ok()?;
    (!left.is_zero() && left <= longest).then_some(left)
}

/// Writes down how an attempt went; the result in a word.
fn note(record: &mut NotificationRecord, answer: &Answer, pace: Pace) -> &'static str {
    let NotificationRecord { shown, body, .. } = record;
    shown.trace_id = answer.span.map(|span| span.trace_id.to_string());
    shown.error.clone_from(&answer.error);
    shown.next_attempt_at = match answer.outcome {
        Outcome::Delivered | Outcome::Gone => None,
        Outcome::Again(after) => {
            let delay = pace.wall(backoff(shown.attempts));
            let next = Timestamp::now().checked_add(delay.max(after.unwrap_or_default())).ok();
            let last = shown.at.checked_add(pace.wall(GIVE_UP_AFTER)).ok();
            next.filter(|next| last.is_none_or(|last| *next <= last))
        }
    };
    let (state, result) = match answer.outcome {
        Outcome::Delivered => (NotificationState::Delivered, "delivered"),
        Outcome::Again(_) if shown.next_attempt_at.is_some() => {
            (NotificationState::Waiting, "again")
        }
        Outcome::Again(_) | Outcome::Gone => (NotificationState::Failed, "failed"),
    };
    shown.state = state;
    if state != NotificationState::Waiting {
        *body = None;
    }
    result
}

/// How long to wait after so many attempts. Doubles each time; the jitter takes off up to half, so
/// that what failed together does not come back together.
fn backoff(attempts: u32) -> Duration {
    let doubled = 1_u32.checked_shl(attempts.saturating_sub(1)).unwrap_or(u32::MAX);
    FIRST.saturating_mul(doubled).min(LONGEST).mul_f64(1.0 - fastrand::f64() / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_from_seconds_to_an_hour_and_a_day_holds_some_thirty() {
        for (attempts, whole) in [(1, 5), (2, 10), (5, 80), (11, 3600), (40, 3600), (4_000, 3600)] {
            let (wait, whole) = (backoff(attempts), Duration::from_secs(whole));
            assert!(wait <= whole && wait >= whole / 2, "{attempts}: {wait:?}");
        }
        let mut at = Duration::ZERO;
        let attempts = (1..).find(|attempts| {
            at += backoff(*attempts);
            at > GIVE_UP_AFTER
        });
        assert!((25..60).contains(&attempts.unwrap()), "{attempts:?}");
    }
}
