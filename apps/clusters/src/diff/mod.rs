//! The pure half of planning: from what is wanted and what there is to the steps due now.
//!
//! No I/O and no clock. Each look gives the steps that can be run *now*, all at once; what needs
//! their outcome is withheld until the next look. The surprise: there is no notion of "creating" or
//! "scaling" here. A new cluster, a smaller one, a half-made one and one that lost a node are the
//! same question, asked of different worlds.

mod addons;
mod balancer;
mod compute;
mod network;
mod terminate;
#[cfg(test)]
mod tests;

use fixpoint::{Step, Steps, Together};

use crate::{Cluster, observe::Observed};

pub(crate) use compute::Nodes;
pub use terminate::terminate;

/// What is due to make the cluster what its spec says.
pub fn converge(cluster: &Cluster, seen: &Observed) -> Steps {
    let mut draft = Draft::new(cluster, seen);
    network::identity(&mut draft);
    if let Some(vpc) = network::vpc(&mut draft) {
        network::network(&mut draft, &vpc);
        network::groups(&mut draft, &vpc);
        compute::nodes(&mut draft, &vpc);
        balancer::balancer(&mut draft, &vpc);
        balancer::membership(&mut draft);
        addons::addons(&mut draft, &vpc);
    }
    draft.finish()
}

/// An answer in the making.
struct Draft<'a> {
    cluster: &'a Cluster,
    seen: &'a Observed,
    due: Vec<Box<dyn Step>>,
    notes: Steps,
}

impl<'a> Draft<'a> {
    fn new(cluster: &'a Cluster, seen: &'a Observed) -> Self {
        Self { cluster, seen, due: Vec::new(), notes: Steps::none() }
    }

    fn cluster(&self) -> Cluster {
        self.cluster.clone()
    }

    fn push(&mut self, step: impl Step + 'static) {
        self.due.push(step.boxed());
    }

    fn withhold(&mut self, what: impl Into<String>, why: impl Into<String>) {
        self.notes.withhold(what, why);
    }

    fn saw(&mut self, what: impl Into<String>, value: impl Into<String>) {
        self.notes.saw(what, value);
    }

    /// Steps that are due at the same time do not depend on one another, so they run together. A
    /// step that is alone stays alone: its name then stands in the plan itself.
    fn finish(self) -> Steps {
        let Self { cluster, due, mut notes, .. } = self;
        if due.len() > 1 {
            let together = Together::new(due.into());
            notes.push(match cluster.limit() {
                Some(limit) => together.limit(limit),
                None => together,
            });
        } else {
            notes.extend(due);
        }
        notes
    }
}
