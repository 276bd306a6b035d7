//! What an application brings: a [`Kind`] of resource, and a plan for each of its states.
//!
//! Not here: how resources are stored and when they are planned. The surprise: deletion is no
//! verb of its own. A resource that is being deleted gets a plan whose goal is "nothing".

use std::sync::{Arc, Mutex};

use fixpoint::Plan;
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};

/// A kind of resource that the server provisions: the only thing an application must write.
pub trait Kind: Send + Sync + 'static {
    /// The plural name, as it stands in URLs: `clusters`.
    const NAME: &'static str;

    /// What a user may ask for. Give every field that can have one a default, and deny unknown
    /// fields: a typo is a user's mistake that the server can tell of.
    type Spec: Serialize + DeserializeOwned + JsonSchema + Clone + Send + Sync;

    /// What is wrong with a spec beyond its types: bounds, combinations, and changes from `old`
    /// that cannot be made. Empty: nothing.
    fn validate(&self, name: &str, spec: &Self::Spec, old: Option<&Self::Spec>) -> Vec<Invalid>;

    /// The plan that takes the resource to where it should be; when `resource.deleting`, to nothing.
    fn plan(&self, resource: &ResourceRef<'_, Self::Spec>, status: StatusCell) -> Box<dyn Plan>;
}

/// One mistake in a spec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// A JSON pointer, for example `/nodes`.
    pub pointer: String,
    /// What is wrong, and what would be right.
    pub detail: String,
}

/// What a plan may know of its resource.
#[derive(Debug, Clone, Copy)]
pub struct ResourceRef<'a, S> {
    /// Unique within the kind.
    pub name: &'a str,
    /// What is wanted.
    pub spec: &'a S,
    /// Counts the changes of the spec, from 1.
    pub generation: u64,
    /// True if the resource is to go.
    pub deleting: bool,
}

/// Where a plan puts what it sees of its resource: ids of what was made, addresses, counts.
/// The server stores the newest value with the resource after each `create`.
#[derive(Debug, Clone, Default)]
pub struct StatusCell(Arc<Mutex<Option<serde_json::Value>>>);

impl StatusCell {
    /// Replaces the status.
    pub fn set(&self, status: serde_json::Value) {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(status);
    }

    /// Takes what was set since the last call.
    pub fn take(&self) -> Option<serde_json::Value> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take()
    }
}
