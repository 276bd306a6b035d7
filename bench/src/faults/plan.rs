//! The cells of the matrix: which calls, which faults, and which of a call's occurrences.
//!
//! | occurrence | hits | why |
//! | --- | --- | --- |
//! | first | the first call | a passing fault, where the plan looks or makes something for the first time |
//! | later | one in the middle, if there are three or more | the same within a step, or in a wait |
//! | every | all calls | a fault that stays: the run cannot go on as it should |
//!
//! Not here: what is right. The surprise: a rule counts attempts, and the SDK makes four of a call
//! that is throttled or meets a broken AWS. A single call of those two faults is hit so often that
//! one call fails for good, whatever else is under way.

use fixpoint_aws::sandbox::{Fault, Faults, Rule};

use super::usual::{Call, Usual};

/// How often the SDK tries.
const ATTEMPTS: u64 = 4;

/// What goes wrong: a column.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, clap::ValueEnum, serde::Serialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Column {
    /// Refused for lack of a permission.
    Refused,
    /// Refused: AWS does not know the thing. Callers take that for "there is none", or for an error.
    NotFound,
    /// AWS breaks, beyond the retries.
    Broken,
    /// Throttled, beyond the retries.
    Throttled,
    /// Takes effect, and the answer is lost.
    Lost,
    /// Never answers.
    Silent,
    /// A read answers as the world was before its last change.
    Stale,
    /// A read answers a list without members.
    Empty,
    /// A change is answered and not made.
    Swallowed,
    /// Takes ten times as long.
    Slow,
}

impl Column {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Refused,
        Self::NotFound,
        Self::Broken,
        Self::Throttled,
        Self::Lost,
        Self::Silent,
        Self::Stale,
        Self::Empty,
        Self::Swallowed,
        Self::Slow,
    ];

    /// The column's head.
    pub fn title(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::NotFound => "not found",
            Self::Broken => "broken",
            Self::Throttled => "throttled",
            Self::Lost => "lost",
            Self::Silent => "silent",
            Self::Stale => "stale",
            Self::Empty => "empty",
            Self::Swallowed => "swallowed",
            Self::Slow => "slow",
        }
    }

    /// Whether it can happen to such a call.
    fn fits(self, call: &Call) -> bool {
        match self {
            Self::Stale | Self::Empty => call.is_read(),
            Self::Swallowed => !call.is_read(),
            _ => true,
        }
    }

    /// How many attempts must be hit for one call to be hit for good: if `at_once` calls are under
    /// way, three attempts of each and one more.
    fn hits(self, at_once: u64) -> u64 {
        match self {
            Self::Broken | Self::Throttled => at_once.max(1) * (ATTEMPTS - 1) + 1,
            _ => 1,
        }
    }

    /// The fault, in the service's own words.
    fn fault(self, operation: &str) -> Fault {
        let (ec2, iam) = (operation.starts_with("EC2."), operation.starts_with("IAM."));
        let error = |code: &str, status, message: &str| Fault::Error {
            code: code.to_owned(),
            status,
            message: Some(message.to_owned()),
        };
        match self {
            Self::Refused if ec2 => error(
                "UnauthorizedOperation",
                403,
                "You are not authorized to perform this operation.",
            ),
            Self::Refused => {
                error("AccessDenied", 403, "User is not authorized to perform this operation.")
            }
            Self::NotFound if ec2 => {
                error("InvalidID.NotFound", 400, "The ID in the request does not exist.")
            }
            Self::NotFound if iam => error("NoSuchEntity", 404, "The entity cannot be found."),
            Self::NotFound => error("LoadBalancerNotFound", 400, "The thing cannot be found."),
            Self::Broken if ec2 => error("InternalError", 500, "An internal error has occurred."),
            Self::Broken => error("InternalFailure", 500, "An internal failure has occurred."),
            Self::Throttled => Fault::Throttle,
            Self::Lost => Fault::LostAnswer,
            Self::Silent => Fault::Timeout,
            Self::Stale => Fault::StaleRead { seconds: None },
            Self::Empty => Fault::EmptyPage,
            Self::Swallowed => Fault::Swallowed,
            Self::Slow => Fault::Slow { factor: 10.0 },
        }
    }
}

/// Which occurrence of a call is hit.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, clap::ValueEnum, serde::Serialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Occurrence {
    /// The first.
    First,
    /// One in the middle.
    Later,
    /// All.
    Every,
}

impl Occurrence {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::First, Self::Later, Self::Every];
}

/// A cell: one fault that happens to one call.
#[derive(Debug, Clone)]
pub struct Cell {
    /// The row.
    pub call: Call,
    /// The column.
    pub column: Column,
    /// Which of the row's calls.
    pub occurrence: Occurrence,
}

impl Cell {
    /// The rule that makes it happen.
    pub fn faults(&self) -> Faults {
        let Call { operation, parameter, times, at_once } = &self.call;
        let hits = self.column.hits(*at_once);
        let nth = match self.occurrence {
            Occurrence::First => (1..=hits).collect(),
            Occurrence::Later => (times / 2 + 1..times / 2 + 1 + hits).collect(),
            Occurrence::Every => Vec::new(),
        };
        let rule = Rule {
            operation: operation.clone(),
            parameters: parameter.iter().map(|name| (name.clone(), "*".to_owned())).collect(),
            every: nth.is_empty(),
            nth,
            probability: None,
            times: None,
            fault: self.column.fault(operation),
        };
        Faults { rules: vec![rule], ..Faults::default() }
    }
}

/// All cells of some columns and occurrences; `only` are the operations wanted, all if empty.
pub fn cells(
    usual: &Usual,
    columns: &[Column],
    occurrences: &[Occurrence],
    only: &[String],
) -> Vec<Cell> {
    let wanted = |call: &&Call| only.is_empty() || only.contains(&call.operation);
    let mut cells = Vec::new();
    for call in usual.calls.iter().filter(wanted) {
        for column in columns.iter().copied().filter(|column| column.fits(call)) {
            for occurrence in occurrences.iter().copied() {
                if occurrence != Occurrence::Later || call.times >= 3 {
                    cells.push(Cell { call: call.clone(), column, occurrence });
                }
            }
        }
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(operation: &str, times: u64, at_once: u64) -> Call {
        Call { operation: operation.into(), parameter: None, times, at_once }
    }

    fn usual(calls: &[Call]) -> Usual {
        Usual { calls: calls.to_vec(), made: Default::default() }
    }

    #[test]
    fn a_passing_throttle_is_hit_until_one_of_the_calls_under_way_must_have_failed() {
        let cell =
            |column, occurrence| Cell { call: call("EC2.CreateSubnet", 5, 2), column, occurrence };
        let nth = |column, occurrence| cell(column, occurrence).faults().rules[0].nth.clone();
        assert_eq!(nth(Column::Throttled, Occurrence::First), [1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(nth(Column::Lost, Occurrence::First), [1]);
        assert_eq!(nth(Column::Lost, Occurrence::Later), [3]);
        let every = cell(Column::Lost, Occurrence::Every).faults();
        assert!(every.rules[0].every && every.rules[0].nth.is_empty());
    }

    #[test]
    fn reads_are_not_swallowed_changes_not_stale_and_two_calls_have_no_middle() {
        let usual = usual(&[call("EC2.DescribeVpcs", 9, 1), call("EC2.CreateVpc", 1, 1)]);
        let columns = [Column::Empty, Column::Swallowed];
        let all = cells(&usual, &columns, &Occurrence::ALL, &[]);
        let read = all.iter().filter(|cell| cell.call.is_read());
        assert!(read.clone().all(|cell| cell.column == Column::Empty));
        assert_eq!((read.count(), all.len()), (3, 5));
        let only = cells(&usual, &columns, &Occurrence::ALL, &["EC2.CreateVpc".into()]);
        assert_eq!(only.len(), 2);
    }

    #[test]
    fn a_rows_parameter_is_what_its_rule_asks_for() {
        let mut call = call("ELBv2.DescribeTargetGroups", 1, 1);
        call.parameter = Some("LoadBalancerArn".into());
        let cell = Cell { call, column: Column::Empty, occurrence: Occurrence::Every };
        let json = serde_json::to_value(cell.faults()).unwrap();
        assert_eq!(json["rules"][0]["where"]["LoadBalancerArn"], "*");
    }
}
