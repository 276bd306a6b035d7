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

use fixpoint::{BoxError, Context, Observed as Saw, Steps, Wait};

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
/// then waits until it shows up among its tag's things, where the next `create` will look.
///
/// `is_there` looks for it by its tags; `make` is the call that makes it and gives its id. What
/// must be done to a new thing at once, before others build on it, is returned by `follow`.
async fn create<F, Look, E>(
    cx: &Context,
    cluster: &Cluster,
    what: &str,
    is_there: F,
    make: impl Future<Output = Result<String, E>>,
    follow: impl FnOnce(String, &mut Steps),
) -> Result<Steps, BoxError>
where
    F: Fn(Cluster) -> Look + Send + Sync + 'static,
    Look: Future<Output = Result<bool, BoxError>> + Send + 'static,
    E: StdError + Send + Sync + 'static,
{
    if is_there(cluster.clone()).await? {
        tracing::info!("{what} is there already");
        return Ok(Steps::none());
    }
    let id = match make.await {
        Ok(id) => id,
        Err(error) if fixpoint_aws::is_ambiguous(&error) => {
            tracing::warn!("nobody knows whether {what} was made: {error}; looking for it");
            for _ in 0..LOOKS {
                cx.sleep(BETWEEN_LOOKS).await?;
                if is_there(cluster.clone()).await? {
                    tracing::info!("{what} was made although its answer was lost");
                    return Ok(Steps::none());
                }
            }
            return Err(could_not(format!("create {what}"))(error));
        }
        Err(error) => return Err(could_not(format!("create {what}"))(error)),
    };
    tracing::info!("made {what}: {id}");
    let mut steps = Steps::none().with(until_visible(cluster, what, is_there));
    follow(id, &mut steps);
    Ok(steps)
}

/// For [`create`], where nothing needs to follow.
fn nothing(_: String, _: &mut Steps) {}

fn until_visible<F, Look>(cluster: &Cluster, what: &str, is_there: F) -> Wait
where
    F: Fn(Cluster) -> Look + Send + Sync + 'static,
    Look: Future<Output = Result<bool, BoxError>> + Send + 'static,
{
    let cluster = cluster.clone();
    Wait::until("wait_until_visible", what, "visible by its tags", move |_| {
        let look = is_there(cluster.clone());
        async move {
            let there = look.await?;
            Ok(if there { Saw::Ready } else { Saw::NotYet("not visible yet".into()) })
        }
    })
    .every(Duration::from_secs(1))
    .backing_off_to(Duration::from_secs(5))
    .deadline(Duration::from_secs(120))
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
