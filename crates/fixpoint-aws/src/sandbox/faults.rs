//! Faults on demand: rules that say which calls go wrong, and how.
//!
//! Not for AWS's ordinary refusals. The surprise: a rule counts wire calls, and the SDK's retries
//! are wire calls too. Counters start anew with the process and with every new set of rules.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::dice::Dice;
use super::glob;
use super::params::Params;

/// Most fired faults that are remembered.
const REMEMBERED: usize = 1_000;

/// A set of fault rules.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// Rules, tried in order; the first that fires decides.
    pub rules: Vec<Rule>,
    /// Seed of rules with a probability.
    pub seed: u64,
    /// Whether AWS's ordinary request limits hold (token buckets, filled in world time).
    pub throttling: bool,
}

/// One rule: which calls, how often, and what happens to them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Operation, with wildcards: `ELBv2.DescribeTargetGroups`, `EC2.*`.
    pub operation: String,
    /// Parameters that a call must have: name and value on the wire, both with wildcards.
    #[serde(default, rename = "where", skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
    /// Which of the matching calls, counted from 1; all if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nth: Vec<u64>,
    /// Every matching call; the default when neither `nth` nor `probability` is given.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub every: bool,
    /// Share of the matching calls, from 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
    /// Most times that the rule fires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// What happens.
    pub fault: Fault,
}

/// What happens to a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// Answers an AWS error without effect.
    Error {
        /// AWS error code.
        code: String,
        /// HTTP status.
        #[serde(default = "default_status")]
        status: u16,
        /// Message; made up if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    },
    /// Answers that there are too many requests, without effect.
    Throttle,
    /// Never answers, without effect; the caller's time-out ends it.
    Timeout,
    /// Takes effect, then the connection is reset.
    LostAnswer,
    /// Answers as the world was some time ago.
    StaleRead {
        /// Age in world seconds; if absent, before the last change.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seconds: Option<f64>,
    },
    /// Answers a list without members, and no error.
    EmptyPage,
    /// Answers a change as if it were made, and makes none: an error that AWS swallowed. Reads are
    /// answered as they are.
    Swallowed,
    /// Takes longer.
    Slow {
        /// How many times as long.
        #[serde(default = "default_factor")]
        factor: f64,
    },
}

fn default_status() -> u16 {
    400
}

fn default_factor() -> f64 {
    10.0
}

/// A fault that happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Fired {
    /// World time, as AWS writes times.
    pub at: String,
    /// The operation that it happened to.
    pub operation: String,
    /// Request id of the answer, also if the answer was lost.
    pub request_id: String,
    /// Position of the rule, from 0.
    pub rule: usize,
    /// What happened.
    pub fault: Fault,
}

/// Rules at work: with their counters.
#[derive(Debug)]
pub(super) struct Armed {
    faults: Faults,
    dice: Dice,
    /// Matching calls and fired faults per rule.
    counts: Vec<(u64, u64)>,
    fired: Vec<Fired>,
}

impl Armed {
    /// Arms a set of rules.
    pub(super) fn new(faults: Faults) -> Self {
        let counts = vec![(0, 0); faults.rules.len()];
        Armed { dice: Dice::new(faults.seed), counts, fired: Vec::new(), faults }
    }

    /// Returns the rules.
    pub(super) fn rules(&self) -> &Faults {
        &self.faults
    }

    /// Lists the faults that happened, oldest first.
    pub(super) fn fired(&self) -> &[Fired] {
        &self.fired
    }

    /// Decides the fate of a call.
    pub(super) fn fire(
        &mut self,
        operation: &str,
        params: &Params,
        at: String,
        request_id: &str,
    ) -> Option<Fault> {
        let flat = params.flat();
        let mut fate = None;
        // All rules count the call, also those that come after the one that fires.
        let rules = self.faults.rules.iter().zip(&mut self.counts).enumerate();
        for (index, (rule, (matched, fired))) in rules {
            if !rule.matches(operation, &flat) {
                continue;
            }
            *matched += 1;
            let spent = rule.times.is_some_and(|times| *fired >= times);
            let chosen = rule.nth.is_empty() || rule.nth.contains(matched);
            let lucky = rule.probability.is_none_or(|share| self.dice.share() < share);
            if fate.is_some() || spent || !(rule.every || (chosen && lucky)) {
                continue;
            }
            *fired += 1;
            fate = Some((index, rule.fault.clone()));
        }
        let (rule, fault) = fate?;
        if self.fired.len() == REMEMBERED {
            self.fired.remove(0);
        }
        let (operation, request_id) = (operation.to_owned(), request_id.to_owned());
        self.fired.push(Fired { at, operation, request_id, rule, fault: fault.clone() });
        Some(fault)
    }
}

impl Rule {
    fn matches(&self, operation: &str, flat: &[(String, &str)]) -> bool {
        glob::matches(&self.operation, operation)
            && self.parameters.iter().all(|(name, pattern)| {
                flat.iter()
                    .any(|(path, value)| glob::matches(name, path) && glob::matches(pattern, value))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn armed(json: serde_json::Value) -> Armed {
        Armed::new(serde_json::from_value(json).unwrap())
    }

    fn fates(armed: &mut Armed, operation: &str, body: &str, calls: usize) -> Vec<bool> {
        let params = Params::parse(body.as_bytes());
        let mut fire = || armed.fire(operation, &params, String::new(), "id").is_some();
        (0..calls).map(|_| fire()).collect()
    }

    #[test]
    fn a_rule_fires_at_the_nth_matching_call_only() {
        let mut armed = armed(serde_json::json!({"rules": [{
            "operation": "ELBv2.DescribeTargetGroups",
            "where": {"LoadBalancerArn": "*umbrella*"},
            "nth": [2],
            "fault": {"kind": "empty_page"},
        }]}));
        let operation = "ELBv2.DescribeTargetGroups";
        assert_eq!(fates(&mut armed, operation, "LoadBalancerArn=a/idg/1", 3), [false; 3]);
        assert_eq!(
            fates(&mut armed, "EC2.DescribeVpcs", "LoadBalancerArn=umbrella", 3),
            [false; 3]
        );
        let body = "LoadBalancerArn=app/umbrella/1";
        assert_eq!(fates(&mut armed, operation, body, 3), [false, true, false]);
        assert_eq!(armed.fired().len(), 1);
    }

    #[test]
    fn times_bounds_a_rule_and_a_seed_repeats_its_chances() {
        let rules = serde_json::json!({"seed": 7, "rules": [{
            "operation": "EC2.*", "probability": 0.5, "times": 3, "fault": {"kind": "throttle"},
        }]});
        let first = fates(&mut armed(rules.clone()), "EC2.CreateVpc", "", 40);
        let second = fates(&mut armed(rules), "EC2.CreateVpc", "", 40);
        assert_eq!(first, second);
        assert_eq!(first.iter().filter(|fired| **fired).count(), 3);
    }

    #[test]
    fn unknown_fields_and_kinds_are_refused() {
        for rule in [
            serde_json::json!({"operation": "EC2.*", "fault": {"kind": "explode"}}),
            serde_json::json!({"operation": "EC2.*", "nht": [1], "fault": {"kind": "throttle"}}),
        ] {
            let json = serde_json::json!({"rules": [rule]});
            serde_json::from_value::<Faults>(json).unwrap_err();
        }
    }
}
