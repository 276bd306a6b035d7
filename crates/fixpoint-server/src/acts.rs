//! What operators did to a run, and what follows from all of it for where the run may go.
//!
//! Not here: what is asked (`intents/operate.rs`) and how a run obeys (`runner/`). The surprise:
//! nothing is stored but the acts themselves. Whether a run is to rest is read off them, so a server
//! that takes the run over knows as much as the one that was asked.

use fixpoint::Step;
use fixpoint_client::{Act, Actor, Verb};
use fixpoint_trace::redact;

use crate::{
    access::Caller,
    records::{Records, key, put},
    store::{Precondition, StoreError, Write},
};

/// All that was done to a run, oldest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Acts(Vec<Act>);

impl Acts {
    /// Whether somebody asked for the run's end.
    pub(crate) fn cancel(&self) -> bool {
        self.0.iter().any(|act| act.verb == Verb::Cancel)
    }

    /// The act that keeps the run from going on, if one does.
    pub(crate) fn pause(&self) -> Option<&Act> {
        let last = self.0.iter().rev().find(|act| matches!(act.verb, Verb::Pause | Verb::Resume));
        last.filter(|act| act.verb == Verb::Pause)
    }

    /// Whether the run is not to go on by itself.
    pub(crate) fn rest(&self) -> bool {
        self.cancel() || self.pause().is_some()
    }

    /// How often somebody asked for a new look at the world.
    pub(crate) fn looks(&self) -> usize {
        self.0.iter().filter(|act| matches!(act.verb, Verb::Replan | Verb::Skip)).count()
    }

    /// The acts that hold for a retry of the run, too.
    pub(crate) fn skips(&self) -> Self {
        Self(self.0.iter().filter(|act| act.verb == Verb::Skip).cloned().collect())
    }

    /// Who decided that the step is not to be run, and why; none if it is.
    pub(crate) fn skip(&self, step: &dyn Step) -> Option<String> {
        let mut skips = self.0.iter().filter(|act| act.verb == Verb::Skip).peekable();
        skips.peek()?;
        let key = step.key();
        // As the run's record shows it, which is what an operator has seen.
        let key = redact::text(&key);
        let act = skips.find(|act| {
            act.step.as_ref().is_some_and(|skipped| skipped == step.name() || *skipped == key)
        })?;
        Some(format!("{}: {}", act.by, act.reason))
    }

    /// The write that adds an act to those of a run. It fails if somebody else adds one meanwhile.
    pub(crate) fn add(&self, run: &str, act: &Act) -> Result<Write, StoreError> {
        put(key::act(run, self.0.len()), act, Precondition::Absent)
    }

    /// The writes that record the acts that a new run begins with.
    pub(crate) fn create(&self, run: &str) -> Result<Vec<Write>, StoreError> {
        let numbered = self.0.iter().enumerate();
        numbered
            .map(|(number, act)| put(key::act(run, number), act, Precondition::Absent))
            .collect()
    }

    pub(crate) fn with(mut self, act: Act) -> Self {
        self.0.push(act);
        self
    }

    pub(crate) fn into_inner(self) -> Vec<Act> {
        self.0
    }
}

impl Records {
    /// What operators did to a run.
    pub(crate) async fn acts(&self, run: &str) -> Result<Acts, StoreError> {
        let mut acts = Vec::new();
        self.each(&key::acts(run), |entry| {
            acts.push(crate::records::decode(entry)?.record);
            Ok(())
        })
        .await?;
        Ok(Acts(acts))
    }
}

impl Caller {
    /// The caller as the records and the trace name them.
    pub(crate) fn actor(&self) -> Actor {
        match &self.token {
            None => Actor { name: "anyone".to_owned(), role: None, token_id: None },
            Some(id) => Actor {
                name: if self.name.is_empty() { id.to_string() } else { self.name.to_string() },
                role: Some(self.role()),
                token_id: Some(id.to_string()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn acts(verbs: &[Verb]) -> Acts {
        let act = |verb: &Verb| Act {
            verb: *verb,
            at: Timestamp::UNIX_EPOCH,
            step: None,
            by: Caller::anyone().actor(),
            reason: String::new(),
            trace_id: None,
        };
        Acts(verbs.iter().map(act).collect())
    }

    #[test]
    fn a_run_rests_from_a_pause_to_the_next_resume_and_once_its_end_is_wanted() {
        use Verb::{Cancel, Pause, Replan, Resume, Retry};
        for (verbs, rests) in [
            (&[][..], false),
            (&[Retry, Replan], false),
            (&[Pause], true),
            (&[Pause, Resume], false),
            (&[Pause, Resume, Pause], true),
            (&[Pause, Resume, Cancel], true),
        ] {
            assert_eq!(acts(verbs).rest(), rests, "{verbs:?}");
        }
        assert_eq!(acts(&[Replan, Pause, Replan]).looks(), 2);
    }
}
