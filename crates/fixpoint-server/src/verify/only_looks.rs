//! Keeps code that is to look only from changing anything, whatever it calls.
//!
//! Not for steps, which are there to change things. The surprise: a plan that keeps its promise
//! never notices. It is asked at the place that no request passes by: right before it is sent.

tokio::task_local! {
    static LOOKS_ONLY: ();
}

/// Runs `work` as work that only looks, which [`may_change`] then knows.
pub(crate) async fn only_looking<T>(work: impl Future<Output = T>) -> T {
    LOOKS_ONLY.scope((), work).await
}

/// A plan that was asked what is left to do was about to do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a plan is only asked here, and must change nothing")]
pub struct OnlyLooks;

/// Whether the code that runs here may change anything. Ask it before each request to a cloud that
/// is no read: previews and verifications ask plans, and a plan with a mistake could act.
///
/// # Errors
/// If a plan is only asked here.
pub fn may_change() -> Result<(), OnlyLooks> {
    match LOOKS_ONLY.try_with(|()| ()) {
        Ok(()) => Err(OnlyLooks),
        Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_what_looks_may_not_change_anything() {
        assert_eq!(may_change(), Ok(()));
        assert_eq!(only_looking(async { may_change() }).await, Err(OnlyLooks));
        assert_eq!(may_change(), Ok(()));
    }
}
