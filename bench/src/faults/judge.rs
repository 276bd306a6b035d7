//! Whether what came of a trial is right.
//!
//! Strict: of a run that failed, the *first* cause must be of the injected call, or its first piece
//! of evidence must name that call as where it comes from (`ELBv2.RegisterTargets` is missing
//! *because* `ELBv2.DescribeTargetGroups` answered nothing). A consequence is not right, nor is the
//! step alone, nor the call somewhere further down.
//!
//! Not here: asking. The surprise: a run that converged can be wrong, too: if something is there
//! twice in the end, or something is missing that good runs make.

use std::{collections::BTreeMap, time::Duration};

use fixpoint_client::{Cause, RunState, Why};

use super::trial::{Later, Outcome};

/// What came of a cell.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// No call was hit.
    NotHit,
    /// The run converged without help, and what is there is what good runs make.
    Converged,
    /// The run failed, and the first cause is the injected call.
    First,
    /// It failed, and the injected call is among the other causes or the consequences.
    Among,
    /// It failed, and only something else is named.
    Wrong,
    /// It failed, and no cause is named.
    Unexplained,
    /// It says that it converged, and what is there is not what good runs make.
    OtherWorld,
}

impl Verdict {
    /// Its mark in the table.
    pub fn mark(self) -> char {
        match self {
            Self::NotHit => '·',
            Self::Converged => '✓',
            Self::First => '●',
            Self::Among => '○',
            Self::Wrong => '✗',
            Self::Unexplained => '?',
            Self::OtherWorld => '!',
        }
    }

    /// True if the run did not come to its end by itself.
    pub fn is_failure(self) -> bool {
        matches!(self, Self::First | Self::Among | Self::Wrong | Self::Unexplained)
    }
}

/// A trial, judged: what the report tells of it.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Judged {
    /// Right or not.
    pub verdict: Verdict,
    /// The first run's state; one that is not final says that it hangs.
    pub state: RunState,
    /// How long it took, in seconds of world time.
    pub seconds: f64,
    /// How many calls it made.
    pub calls: usize,
    /// How often a call was hit.
    pub hits: usize,
    /// Its error, with its causes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What `why` said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<Why>,
    /// Why it said nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// How long it took to answer, in milliseconds.
    pub why_ms: f64,
    /// What the server did next.
    pub later: Later,
    /// What there is in the end, if it is not what good runs make.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub made: Option<BTreeMap<String, usize>>,
    /// The trace's id.
    pub trace_id: String,
}

impl Judged {
    /// Judges a trial in which `operation` was to go wrong; none: a good run.
    pub fn of(
        outcome: &Outcome,
        operation: Option<&str>,
        usually: &BTreeMap<String, usize>,
    ) -> Self {
        let (why, refused) = match &outcome.why {
            Some(Ok(why)) => (Some(why.clone()), None),
            Some(Err(refused)) => (None, Some(refused.clone())),
            None => (None, None),
        };
        let converged = outcome.run.state == RunState::Converged;
        let whole = outcome.made == *usually;
        let verdict = match operation {
            Some(_) if outcome.hit.is_empty() => Verdict::NotHit,
            _ if converged && whole => Verdict::Converged,
            _ if converged => Verdict::OtherWorld,
            Some(operation) => explained(why.as_ref(), operation),
            None => Verdict::Unexplained,
        };
        let error = outcome.run.error.as_ref().map(|error| {
            let parts = std::iter::once(&error.message).chain(&error.causes);
            parts.map(String::as_str).collect::<Vec<_>>().join(": ")
        });
        let calls = outcome.trace.spans.iter().filter(|span| super::usual::is_call(span)).count();
        Self {
            verdict,
            state: outcome.run.state,
            seconds: outcome.took.as_secs_f64(),
            calls,
            hits: outcome.hit.len(),
            error,
            why,
            refused,
            why_ms: millis(outcome.why_took),
            later: outcome.later,
            made: (converged && !whole).then(|| outcome.made.clone()),
            trace_id: outcome.run.trace_id.clone(),
        }
    }

    /// The cause named first.
    pub fn cause(&self) -> Option<&Cause> {
        self.why.as_ref()?.cause.as_ref()
    }
}

fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// How a failed run's answer fares, if `operation` was injected.
fn explained(why: Option<&Why>, operation: &str) -> Verdict {
    let Some(why) = why else { return Verdict::Unexplained };
    let Some(first) = &why.cause else { return Verdict::Unexplained };
    if is_of(first, operation) {
        return Verdict::First;
    }
    let mut open: Vec<&Cause> = why.others.iter().chain(&first.consequences).collect();
    while let Some(cause) = open.pop() {
        if is_of(cause, operation) {
            return Verdict::Among;
        }
        open.extend(&cause.consequences);
    }
    Verdict::Wrong
}

/// Whether a cause is of the operation, or names it first of all as where it comes from.
pub fn is_of(cause: &Cause, operation: &str) -> bool {
    cause.operation == operation
        || cause.evidence.first().is_some_and(|evidence| names(&evidence.text, operation))
}

/// Whether a text names an operation, and not only one whose name begins like it.
fn names(text: &str, operation: &str) -> bool {
    text.match_indices(operation).any(|(at, _)| {
        let next = text[at + operation.len()..].chars().next();
        let before = text[..at].chars().next_back();
        let inside = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        !inside(next) && !inside(before)
    })
}

#[cfg(test)]
mod tests {
    use fixpoint_client::{Baseline, CauseKind, Conclusion, Evidence};

    use super::*;

    fn cause(operation: &str, evidence: &[&str]) -> Cause {
        let evidence = evidence.iter().map(|text| Evidence { text: (*text).into(), span_id: None });
        Cause {
            kind: CauseKind::Missing,
            sentence: String::new(),
            service: String::new(),
            operation: operation.into(),
            step: Some("register_cluster_node_to_lb".into()),
            span_id: None,
            request_id: None,
            error_type: None,
            hint: None,
            evidence: evidence.collect(),
            consequences: Vec::new(),
        }
    }

    fn why(cause: Option<Cause>, others: Vec<Cause>) -> Why {
        Why {
            trace_id: String::new(),
            run: None,
            conclusion: Conclusion::Cause,
            sentence: String::new(),
            cause,
            others,
            baseline: Baseline { of: String::new(), good: 50, last: None },
            unknown: Vec::new(),
        }
    }

    #[test]
    fn only_the_call_itself_or_a_first_piece_of_evidence_that_names_it_is_right() {
        let verdict = |first, others| explained(Some(&why(first, others)), "EC2.DescribeVpcs");
        let call = || cause("EC2.DescribeVpcs", &[]);
        assert_eq!(verdict(Some(call()), vec![]), Verdict::First);
        let because = cause("EC2.CreateVpc", &["EC2.DescribeVpcs answered with nothing"]);
        assert_eq!(verdict(Some(because), vec![]), Verdict::First);
        let second = cause("EC2.CreateVpc", &["50 of 50", "EC2.DescribeVpcs answered nothing"]);
        assert_eq!(verdict(Some(second.clone()), vec![]), Verdict::Wrong);
        assert_eq!(verdict(Some(second.clone()), vec![call()]), Verdict::Among);
        let folded = Cause { consequences: vec![call()], ..second };
        assert_eq!(verdict(Some(folded), vec![]), Verdict::Among);
        assert_eq!(verdict(Some(cause("create", &[])), vec![]), Verdict::Wrong);
        assert_eq!(verdict(None, vec![]), Verdict::Unexplained);
    }

    #[test]
    fn a_call_is_not_named_by_one_whose_name_is_longer() {
        assert!(names("EC2.DescribeVpcs: no answer", "EC2.DescribeVpcs"));
        assert!(!names("EC2.DescribeVpcAttribute failed", "EC2.DescribeVpc"));
        assert!(names("`IAM.GetRole`", "IAM.GetRole"));
    }
}
