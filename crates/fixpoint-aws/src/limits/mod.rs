//! Keeps calls within what AWS allows an account, and away from an API that does not answer.
//!
//! All clients of one [`Aws`](crate::Aws) share these limits: a token bucket for each region and
//! class of calls (`quota.rs`), with a queue, and a circuit breaker for each region's API. Whoever
//! must wait says so in the trace. Not for other programs on the same account; [`Share`] leaves
//! room for them. The surprise: what belongs to which bucket is read from the request's signature,
//! which names region and service also where all go to one address.

mod breaker;
mod bucket;
mod quota;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef,
};
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::{ConfigBag, Storable, StoreReplace};
use fixpoint::Pace;

pub use breaker::Circuit;
pub(crate) use breaker::NoAnswers;
pub(crate) use quota::{Quota, of as quota_of};

use breaker::Breaker;
use bucket::Bucket;

use crate::error::{code_of, is_read, is_throttle};
use crate::failure::is_timeout;

/// How long a call waits for an API that does not answer, in world time.
const PATIENCE: Duration = Duration::from_secs(120);

/// How much of AWS's quotas may be used: others may share the account.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share(f64);

/// A share is more than 0, and at most 1 of what AWS documents, unless AWS has raised it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no share of AWS's quotas: it takes a number above 0, for example 0.5")]
pub struct NotAShare(String);

impl Default for Share {
    /// All of what AWS documents.
    fn default() -> Self {
        Self(1.0)
    }
}

impl FromStr for Share {
    type Err = NotAShare;

    fn from_str(text: &str) -> Result<Self, NotAShare> {
        match text.trim().parse::<f64>() {
            Ok(share) if share.is_finite() && share > 0.0 => Ok(Self(share)),
            _ => Err(NotAShare(text.to_owned())),
        }
    }
}

/// The limits that calls keep. Cheap to clone; clones share them.
#[derive(Debug, Clone)]
pub struct Limits(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    pace: Pace,
    share: Share,
    apis: Mutex<BTreeMap<(&'static str, String), Arc<Api>>>,
}

/// One service in one region.
#[derive(Debug)]
struct Api {
    /// `EC2 in eu-west-1`
    name: String,
    breaker: Breaker,
    buckets: Mutex<BTreeMap<&'static str, Arc<Bucket>>>,
}

/// How an API stands, for whoever watches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiState {
    /// `EC2 in eu-west-1`
    pub api: String,
    /// Whether calls are sent.
    pub circuit: Circuit,
    /// How many attempts in a row got no answer.
    pub unanswered: u32,
    /// How many calls wait for their turn, by class: `read`, `change`, ...
    pub waiting: BTreeMap<&'static str, usize>,
}

impl Limits {
    pub(crate) fn new(pace: Pace, share: Share) -> Self {
        Self(Arc::new(Shared { pace, share, apis: Mutex::default() }))
    }

    /// How the APIs stand that have been called so far.
    pub fn state(&self) -> Vec<ApiState> {
        let apis: Vec<_> =
            self.0.apis.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        apis.iter().map(|api| api.state()).collect()
    }

    /// Returns when the request may be sent.
    pub(crate) async fn turn(&self, addressee: &Addressee) -> Result<(), NoAnswers> {
        let (api, bucket) = self.of(addressee);
        let (name, class, pace) = (&api.name, bucket.class(), self.0.pace);
        let held = |failures| {
            tracing::warn!(
                "held back: {name} has not answered {failures} attempts in a row; one call at a \
                 time tries whether it does again"
            );
        };
        api.breaker.pass(name, pace, PATIENCE, held).await?;
        let queued = |before: usize| match before {
            0 => tracing::info!("queued: next, waits for the {class} bucket of {name} to fill"),
            _ => tracing::info!("queued: {before} before it wait for the {class} bucket of {name}"),
        };
        bucket.take(pace, queued).await;
        Ok(())
    }

    fn of(&self, to: &Addressee) -> (Arc<Api>, Arc<Bucket>) {
        let api = {
            let mut apis = self.0.apis.lock().unwrap_or_else(PoisonError::into_inner);
            let api = apis.entry((to.service, to.region.clone())).or_insert_with(|| {
                let name = format!("{} in {}", to.service, to.region);
                Arc::new(Api { name, breaker: Breaker::default(), buckets: Mutex::default() })
            });
            Arc::clone(api)
        };
        let bucket = api.bucket(quota_of(to.service, &to.action), self.0.share);
        (api, bucket)
    }

    /// Learns from what became of an attempt.
    fn learn(&self, to: &Addressee, outcome: &Outcome) {
        let (api, bucket) = self.of(to);
        match outcome {
            Outcome::Answered => api.breaker.answered(),
            Outcome::Throttled => {
                api.breaker.answered();
                bucket.drain();
            }
            Outcome::Unanswered(why) => {
                if api.breaker.unanswered(self.0.pace, why) {
                    tracing::error!("{} does not answer ({why}): calls are held back", api.name);
                }
            }
        }
    }
}

impl Api {
    fn bucket(&self, mut quota: Quota, share: Share) -> Arc<Bucket> {
        quota.size = (quota.size * share.0).max(1.0);
        quota.per_second *= share.0;
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets.entry(quota.class).or_insert_with(|| Arc::new(Bucket::full(quota)));
        Arc::clone(bucket)
    }

    fn state(&self) -> ApiState {
        let (circuit, unanswered) = self.breaker.circuit();
        let buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = buckets.iter().map(|(class, bucket)| (*class, bucket.waiting())).collect();
        ApiState { api: self.name.clone(), circuit, unanswered, waiting }
    }
}

/// Which API a request is for, and what it asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Addressee {
    service: &'static str,
    region: String,
    action: String,
}

impl Storable for Addressee {
    type Storer = StoreReplace<Self>;
}

impl Addressee {
    /// None if the request is not signed, or for no service that has limits.
    pub(crate) fn of(request: &HttpRequest) -> Option<Self> {
        // "AWS4-HMAC-SHA256 Credential=AKID/20261126/eu-west-1/ec2/aws4_request, ..."
        let signature = request.headers().get("authorization")?;
        let scope = signature.split_once("Credential=")?.1.split(',').next()?;
        let mut parts = scope.rsplit('/').skip(1);
        let service = match parts.next()? {
            "ec2" => "EC2",
            "elasticloadbalancing" => "ELBv2",
            "iam" => "IAM",
            "sts" => "STS",
            _ => return None,
        };
        let region = parts.next()?.to_owned();
        let form = request.body().bytes()?;
        let action =
            form_urlencoded::parse(form).find(|(name, _)| name == "Action")?.1.into_owned();
        Some(Self { service, region, action })
    }

    /// Whether it changes nothing.
    pub(crate) fn is_read(&self) -> bool {
        is_read(&self.action)
    }
}

/// What became of an attempt.
#[derive(Debug)]
enum Outcome {
    Answered,
    Throttled,
    Unanswered(&'static str),
}

impl Outcome {
    fn of(context: &FinalizerInterceptorContextRef<'_>) -> Option<Self> {
        let error = context.output_or_error()?.err();
        let connector = error.and_then(|error| error.as_connector_error());
        // Not sent: it says nothing of AWS.
        if connector.is_some_and(|error| error.is_user()) {
            return None;
        }
        if error.is_some_and(is_timeout) {
            return Some(Self::Unanswered("timeout"));
        }
        if connector.is_some() {
            return Some(Self::Unanswered("connection"));
        }
        let response = context.response()?;
        if is_throttle(code_of(response)) {
            return Some(Self::Throttled);
        }
        Some(match response.status().is_server_error() {
            true => Self::Unanswered("an error of AWS's own"),
            false => Self::Answered,
        })
    }
}

/// Tells the limits what became of each attempt; every client has it.
#[derive(Debug)]
pub(crate) struct Learner(pub(crate) Limits);

#[dyn_dispatch_hint]
impl Intercept for Learner {
    fn name(&self) -> &'static str {
        "Learner"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // Once it was sent, the request is gone.
        if let Some(to) = Addressee::of(context.request()) {
            cfg.interceptor_state().store_put(to);
        }
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(to) = cfg.load::<Addressee>()
            && let Some(outcome) = Outcome::of(context)
        {
            self.0.learn(to, &outcome);
        }
        Ok(())
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests;
