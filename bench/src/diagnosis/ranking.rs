//! Findings as a ranking of services, in the words that the scorer of the data takes.
//!
//! The surprise: a score here is only a place. Findings are in order already, and what stands below
//! its cause counts after all causes.

use fixpoint_trace::compare::explain::{Explanation, Finding};
use serde::Serialize;

/// What is said of a case, or of one trace of it.
#[derive(Debug, Serialize)]
pub struct Answer<'a> {
    /// The case.
    pub case: &'a str,
    /// The trace, if it is of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    /// Suspects, the first one first.
    pub ranking: Vec<Suspect>,
    /// How long the explanation took.
    pub seconds: f64,
}

/// A service, and how high it stands.
#[derive(Debug, PartialEq, Serialize)]
pub struct Suspect {
    /// Its name.
    pub service: String,
    /// More is higher; never the same twice.
    pub score: f64,
}

/// The suspects of an explanation, each once.
pub fn ranking(explanation: &Explanation) -> Vec<Suspect> {
    let mut services: Vec<&str> = Vec::new();
    let mut todo: Vec<&Finding> = explanation.findings.iter().collect();
    while !todo.is_empty() {
        for finding in &todo {
            if !services.contains(&&*finding.suspect) {
                services.push(&finding.suspect);
            }
        }
        todo = todo
            .iter()
            .flat_map(|finding| finding.because.iter().chain(&finding.consequences))
            .collect();
    }
    let count = services.len();
    let place = |(at, service): (usize, &str)| Suspect {
        service: service.to_owned(),
        score: (count - at) as f64,
    };
    services.into_iter().enumerate().map(place).collect()
}
