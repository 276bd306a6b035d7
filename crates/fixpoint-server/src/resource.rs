//! A resource as it is stored: what is wanted of it, what is known of it, and when to try again.
//!
//! Not here: changing it on a user's word (`intents.rs`). The surprise: its newest run is named
//! in it, which is how a run learns that it has been superseded.

use fixpoint_client::{FieldError, OnFailure, Resource, Run};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    access::tenant_of,
    records::ResourceKey,
    verify::{self, VerificationRecord},
};

/// What is stored of a resource.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ResourceRecord {
    pub(crate) kind: String,
    pub(crate) name: String,
    /// Counts the changes of the spec, and the wish to delete, from 1.
    pub(crate) generation: u64,
    /// The newest generation that a run has taken to its fixpoint.
    pub(crate) observed_generation: u64,
    /// What is wanted, complete with defaults.
    pub(crate) spec: serde_json::Value,
    /// What the plan last saw.
    pub(crate) status: serde_json::Value,
    /// True from DELETE on.
    pub(crate) deleting: bool,
    /// What happens when a run fails for good.
    #[serde(default)]
    pub(crate) on_failure: OnFailure,
    /// What was made was taken down, or is about to be, since a run failed for good.
    #[serde(default)]
    pub(crate) rolled_back: bool,
    /// True if the server mends it by itself when it is not as wanted any more.
    #[serde(default)]
    pub(crate) mend: bool,
    /// The newest run. Any older one that has not ended is superseded.
    pub(crate) run_id: String,
    /// How many runs have failed since the last that converged or was asked for.
    pub(crate) failures: u32,
    /// When to plan again by ourselves.
    pub(crate) retry_at: Option<Timestamp>,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}

impl ResourceRecord {
    pub(crate) fn key(&self) -> ResourceKey {
        ResourceKey::new(&*self.kind, &*self.name)
    }

    /// The same with nothing wanted of it: what a run plans for that takes down what was made.
    pub(crate) fn taken_down(&self) -> Self {
        Self { deleting: true, ..self.clone() }
    }

    /// As the API shows it, with its newest run, and what is stored of the looks at it.
    pub(crate) fn show(self, run: Option<&Run>, looks: Option<VerificationRecord>) -> Resource {
        let verification = run.and_then(|run| verify::show(&self, run, looks));
        Resource {
            tenant: tenant_of(&self.name).map(str::to_owned),
            kind: self.kind,
            name: self.name,
            generation: self.generation,
            observed_generation: self.observed_generation,
            spec: self.spec,
            status: self.status,
            deleting: self.deleting,
            on_failure: self.on_failure,
            rolled_back: self.rolled_back,
            run_id: Some(self.run_id),
            run_state: run.map(|run| run.state),
            trace_id: run.map(|run| run.trace_id.clone()),
            mend: self.mend,
            verification,
            created_at: self.created_at,
            updated_at: self.updated_at,
        }
    }
}

/// Takes out of a body what stands beside the spec: whether drift is to be mended. Null is no, as
/// it is in a merge patch.
pub(crate) fn take_mend(body: &mut Map<String, Value>) -> Result<Option<bool>, FieldError> {
    match body.shift_remove("mend") {
        None => Ok(None),
        Some(Value::Null) => Ok(Some(false)),
        Some(Value::Bool(mend)) => Ok(Some(mend)),
        Some(_) => {
            let detail = "true or false is wanted".to_owned();
            Err(FieldError { pointer: "/mend".to_owned(), detail })
        }
    }
}

/// Why a text cannot be the name of anything; none if it can.
///
/// Names end up in the names and tags of cloud resources, so they are DNS labels (RFC 1123),
/// and short enough that an application can put something before and after. Of a resource's there
/// is more to say: `Scope::name_fault`.
pub(crate) fn label_fault(name: &str) -> Option<String> {
    const MAX: usize = 40;
    let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    let bytes = name.as_bytes();
    match bytes {
        [] => Some("a name is wanted".to_owned()),
        _ if bytes.len() > MAX => {
            Some(format!("it is {} bytes long; at most {MAX} are allowed", bytes.len()))
        }
        [first, .., last] | [first @ last]
            if first.is_ascii_lowercase() && *last != b'-' && bytes.iter().all(|c| inner(*c)) =>
        {
            None
        }
        _ => Some(
            "only lower-case letters, digits and hyphens are allowed, \
             a letter first, and no hyphen last"
                .to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_dns_labels() {
        for good in ["a", "idg", "acme-2", "a".repeat(40).as_str()] {
            assert_eq!(label_fault(good), None, "{good}");
        }
        for bad in ["", "A", "1a", "-a", "a-", "a_b", "a b", "ä", "a/b", "a".repeat(41).as_str()] {
            assert!(label_fault(bad).is_some(), "{bad}");
        }
    }
}
