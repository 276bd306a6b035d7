//! What AWS allows: how many calls at once, and how many a second after that.
//!
//! From "Request throttling for the Amazon EC2 API" and "Request throttling for the Elastic Load
//! Balancing API" (<https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html>,
//! <https://docs.aws.amazon.com/elasticloadbalancing/latest/userguide/load-balancer-api-throttling.html>).
//! The surprise: IAM and STS document no figures, so theirs are careful guesses.

use crate::error::is_read;

/// The token bucket of a class of calls, one in each region.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Quota {
    /// What its calls do: `read`, `change`, ...
    pub(crate) class: &'static str,
    /// How many tokens it holds when full.
    pub(crate) size: f64,
    /// How many come back each second.
    pub(crate) per_second: f64,
}

/// The bucket that a call takes a token from. `service` is `EC2`, `ELBv2`, `IAM` or `STS`.
pub(crate) fn of(service: &str, action: &str) -> Quota {
    let read = is_read(action);
    let (class, size, per_second) = match (service, action) {
        ("EC2", "RunInstances") => ("run", 5.0, 2.0),
        ("EC2", _) if read => ("read", 100.0, 20.0),
        ("EC2", _) => ("change", 50.0, 5.0),
        ("ELBv2", "RegisterTargets" | "DeregisterTargets") => ("register", 20.0, 4.0),
        ("ELBv2", _) if read => ("read", 40.0, 10.0),
        ("ELBv2", _) => ("change", 20.0, 3.0),
        _ => ("any", 100.0, 20.0),
    };
    Quota { class, size, per_second }
}
