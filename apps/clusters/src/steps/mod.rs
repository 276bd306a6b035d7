//! The steps, in the operator's words: one struct each, with all it needs to know.
//!
//! Not here: when a step is due; that is `diff`. Every step is safe to run twice: what makes a
//! thing looks for it first, what removes a thing is content if it is gone.

mod addon;
mod balancer;
mod compute;
mod identity;
mod network;
mod security;
mod terminate;

use std::{error::Error as StdError, time::Duration};

use fixpoint::{BoxError, Chain, Context, Observed as Saw, Step, Wait};

pub use addon::*;
pub use balancer::*;
pub use compute::*;
pub use identity::*;
pub use network::*;
pub use security::*;
pub use terminate::*;

use crate::{Cluster, error::could_not};

/// How often to look for a thing after its creation failed in an unclear way. AWS shows nearly
/// everything within seconds.
const LOOKS: u32 = 5;
const BETWEEN_LOOKS: Duration = Duration::from_secs(2);

/// Makes a thing exactly once, also if it is there already and also if AWS's answer is lost, and
/// waits until it shows up among its tag's things, where the next `create` will look: a step that
/// ended before that would be planned again, and make a second thing.
///
/// `is_there` looks for it by its tags; `make` is the call that makes it and gives its id. Returns
/// the id, unless the thing was there before.
async fn create<F, Look, E>(
    cx: &Context,
    cluster: &Cluster,
    what: &str,
    is_there: F,
    make: impl Future<Output = Result<String, E>>,
) -> Result<Option<String>, BoxError>
where
    F: Fn(Cluster) -> Look + Send + Sync + 'static,
    Look: Future<Output = Result<bool, BoxError>> + Send + 'static,
    E: StdError + Send + Sync + 'static,
{
    if is_there(cluster.clone()).await? {
        tracing::info!("{what} is there already");
        return Ok(None);
    }
    let error = match make.await {
        Ok(id) => {
            tracing::info!("made {what}: {id}");
            wait_until_visible(cx, cluster, what, is_there).await?;
            return Ok(Some(id));
        }
        Err(error) => error,
    };
    // Either nobody knows whether it was made, or AWS says that something like it is there already:
    // that may be ours, made a moment ago by a run that died.
    if fixpoint_aws::is_ambiguous(&error) || is_in_the_way(&error) {
        tracing::warn!("{what} may be there already: {}; looking for it", Chain(&error));
        for _ in 0..LOOKS {
            cx.sleep(BETWEEN_LOOKS).await?;
            if is_there(cluster.clone()).await? {
                tracing::info!("{what} is there");
                return Ok(None);
            }
        }
    }
    Err(could_not(format!("create {what}"))(error))
}

/// Waits as a part of the step that runs, which then shows what it waits for.
async fn wait_until_visible<F, Look>(
    cx: &Context,
    cluster: &Cluster,
    what: &str,
    is_there: F,
) -> Result<(), BoxError>
where
    F: Fn(Cluster) -> Look + Send + Sync + 'static,
    Look: Future<Output = Result<bool, BoxError>> + Send + 'static,
{
    let cluster = cluster.clone();
    let wait = Wait::until("wait_until_visible", what, "visible by its tags", move |_| {
        let look = is_there(cluster.clone());
        async move {
            let there = look.await?;
            Ok(if there { Saw::Ready } else { Saw::NotYet("not visible yet".into()) })
        }
    });
    let wait = wait
        .every(Duration::from_secs(1))
        .backing_off_to(Duration::from_secs(5))
        .deadline(Duration::from_secs(120));
    wait.run(cx).await.map(drop)
}

/// True if AWS says that something with the same name, network or priority is there.
fn is_in_the_way(error: &(dyn StdError + 'static)) -> bool {
    fixpoint_aws::error_code(error).is_some_and(|code| {
        code.starts_with("Duplicate")
            || [".Duplicate", ".Conflict", "AlreadyExists", "InUse"]
                .iter()
                .any(|e| code.ends_with(e))
    })
}

/// Takes "it is there already" for success: what a step wants done may have been done by an
/// attempt of which nobody heard the answer.
fn unless<T, E>(result: Result<T, E>, code: &str, tried: &str) -> Result<(), BoxError>
where
    E: StdError + Send + Sync + 'static,
{
    match result {
        Ok(_) => Ok(()),
        Err(error) if fixpoint_aws::error_code(&error) == Some(code) => Ok(()),
        Err(error) => Err(could_not(tried)(error)),
    }
}
