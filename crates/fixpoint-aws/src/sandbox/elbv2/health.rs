//! Settings of health checks.
//!
//! Not for the state of targets. The surprise: AWS refuses a time-out that is not shorter than the
//! interval.

use serde::{Deserialize, Serialize};

use crate::sandbox::params::Params;
use crate::sandbox::refusal::Refusal;
use crate::sandbox::xml::Xml;

/// How a target group checks its targets; times in seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Health {
    protocol: String,
    port: String,
    path: String,
    interval: i64,
    timeout: i64,
    healthy: i64,
    unhealthy: i64,
    matcher: String,
}

impl Health {
    /// Reads the settings of a request.
    pub(super) fn read(params: &Params, protocol: &str) -> Result<Self, Refusal> {
        let text = |name: &str, default: &str| params.text(name).unwrap_or(default).to_owned();
        let number = |name: &str, default: i64, low: i64, high: i64| {
            let value = params.number(name)?.unwrap_or(default);
            if (low..=high).contains(&value) {
                return Ok(value);
            }
            Err(Refusal::validation(format!("{name} '{value}' must be between {low} and {high}")))
        };
        let health = Health {
            protocol: text("HealthCheckProtocol", protocol),
            port: text("HealthCheckPort", "traffic-port"),
            path: text("HealthCheckPath", "/"),
            interval: number("HealthCheckIntervalSeconds", 30, 5, 300)?,
            timeout: number("HealthCheckTimeoutSeconds", 5, 2, 120)?,
            healthy: number("HealthyThresholdCount", 5, 2, 10)?,
            unhealthy: number("UnhealthyThresholdCount", 2, 2, 10)?,
            matcher: text("Matcher.HttpCode", "200"),
        };
        if health.timeout >= health.interval {
            return Err(Refusal::validation(
                "Health check timeout must be smaller than the interval",
            ));
        }
        if !health.path.starts_with('/') {
            return Err(Refusal::validation("Health check path must begin with a '/' character"));
        }
        Ok(health)
    }

    /// Tells how long a good target takes to count as healthy, in milliseconds.
    pub(super) fn until_healthy(&self) -> i64 {
        self.interval * self.healthy * 1000
    }

    /// Tells the port that is checked, given the target's own.
    pub(super) fn port(&self, target: i64) -> String {
        if self.port == "traffic-port" { target.to_string() } else { self.port.clone() }
    }

    /// Writes the settings into a target group.
    pub(super) fn write(&self, xml: &mut Xml) {
        xml.text("HealthCheckProtocol", &self.protocol)
            .text("HealthCheckPort", &self.port)
            .text("HealthCheckEnabled", true)
            .text("HealthCheckIntervalSeconds", self.interval)
            .text("HealthCheckTimeoutSeconds", self.timeout)
            .text("HealthyThresholdCount", self.healthy)
            .text("UnhealthyThresholdCount", self.unhealthy)
            .text("HealthCheckPath", &self.path)
            .node("Matcher", |xml| {
                xml.text("HttpCode", &self.matcher);
            });
    }
}
