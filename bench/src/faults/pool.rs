//! Makes trials on several threads at the same time, and hands them back in order.
//!
//! Not here: a trial. The surprise: a trial that could not be made ends them all; one missing cell
//! would make every total a lie.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    mpsc,
};

use super::trial::{self, Failure, Outcome, Past, Setting, Trial};

/// Makes all trials, `jobs` at a time; `made` is told of each as it ends, with its place, and what
/// it returns is kept.
///
/// # Errors
/// The first trial that could not be made.
pub fn make_all<T: Send>(
    trials: &[Trial],
    jobs: usize,
    setting: Setting,
    past: &Past,
    made: impl Fn(usize, Outcome) -> T + Sync,
) -> Result<Vec<T>, Failure> {
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let (ended, results) = mpsc::channel();
    let failure = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, trials.len().max(1)) {
            let ended = ended.clone();
            let (next, failed, failure, made) = (&next, &failed, &failure, &made);
            scope.spawn(move || {
                while !failed.load(Relaxed) {
                    let at = next.fetch_add(1, Relaxed);
                    let Some(trial) = trials.get(at) else { return };
                    match trial::make(trial, setting, past) {
                        // The receiver lives until all threads have ended.
                        Ok(outcome) => drop(ended.send((at, made(at, outcome)))),
                        Err(error) => {
                            failed.store(true, Relaxed);
                            let mut failure =
                                failure.lock().unwrap_or_else(PoisonError::into_inner);
                            failure.get_or_insert(error);
                        }
                    }
                }
            });
        }
    });
    drop(ended);
    if let Some(error) = failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error);
    }
    let mut all: Vec<_> = results.into_iter().collect();
    all.sort_by_key(|(at, _)| *at);
    Ok(all.into_iter().map(|(_, result)| result).collect())
}
