//! Token buckets, as AWS keeps them per region and class of calls.
//!
//! Not for faults by rule. The surprise: buckets fill in world time, so a sandbox that runs sixty
//! times as fast allows sixty times as many calls per second.

use std::collections::BTreeMap;

use super::clock::Time;
use super::refusal::Refusal;
use crate::limits::{Quota, quota_of};

/// The buckets by region and class: tokens left, and when that was.
#[derive(Debug, Default)]
pub(super) struct Buckets(BTreeMap<String, (f64, Time)>);

impl Buckets {
    /// Takes a token for a call, or refuses it.
    pub(super) fn take(&mut self, region: &str, operation: &str, now: Time) -> Result<(), Refusal> {
        let (service, call) = operation.split_once('.').unwrap_or(("", operation));
        let Quota { class, size, per_second } = quota_of(service, call);
        let bucket = self.0.entry(format!("{region} {service} {class}")).or_insert((size, now));
        let refilled = now.since(bucket.1) as f64 / 1000.0 * per_second;
        *bucket = ((bucket.0 + refilled).min(size), now);
        if bucket.0 < 1.0 {
            return Err(refusal(service));
        }
        bucket.0 -= 1.0;
        Ok(())
    }
}

/// Builds a service's answer to too many calls.
pub(super) fn refusal(service: &str) -> Refusal {
    if service == "EC2" {
        Refusal::new("RequestLimitExceeded", "Request limit exceeded.").with_status(503)
    } else {
        Refusal::new("Throttling", "Rate exceeded")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_runs_empty_and_fills_again() {
        let mut buckets = Buckets::default();
        let take = |buckets: &mut Buckets, ms| buckets.take("r", "EC2.RunInstances", Time(ms));
        for _ in 0..5 {
            take(&mut buckets, 0).unwrap();
        }
        assert_eq!(take(&mut buckets, 0).unwrap_err().code, "RequestLimitExceeded");
        take(&mut buckets, 500).unwrap();
        take(&mut buckets, 500).unwrap_err();
        buckets.take("r", "EC2.CreateVpc", Time(500)).unwrap();
    }
}
