//! What users may ask for: create, change, delete, run again. Each is one transaction.
//!
//! Not here: HTTP (`http/`), what operators do to a run (`operate.rs`), and doing what was asked
//! (`runner/`). The surprise: the run is
//! recorded in the same transaction as the change that it is for, so an answer that names a run
//! names one that will happen, whatever dies next.

mod operate;

use fixpoint::BoxError;
use fixpoint_client::{FieldError, OnFailure, Resource, RunState};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::{
    StatusCell,
    access::Scope,
    kinds::AnyKind,
    records::{Records, ResourceKey, Stored, key, put},
    resource::{ResourceRecord, take_mend},
    run::{Cause, RunRecord},
    runner::Wakes,
    store::{Precondition, StoreError, Version, Write},
};

pub(crate) use self::operate::Asked;

/// Takes users' wishes.
#[derive(Debug, Clone)]
pub(crate) struct Intents {
    records: Records,
    wakes: Wakes,
}

/// What became of a wish that was granted.
#[derive(Debug, PartialEq)]
pub(crate) struct Accepted {
    pub(crate) resource: Resource,
    /// The run that works on it; none if nothing had to change.
    pub(crate) run_id: Option<String>,
}

/// Why a wish was not granted. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("there is no {0}")]
    NotFound(String),
    #[error("{0} is there already")]
    Exists(ResourceKey),
    #[error("{0} is being deleted")]
    Deleting(ResourceKey),
    #[error("the generation is {found} now")]
    Stale { found: u64 },
    #[error("the spec is not valid")]
    Invalid(Vec<FieldError>),
    #[error("the idempotency key was used for another request")]
    KeyReused,
    #[error("run {0} has ended")]
    Ended(String),
    #[error("{what}")]
    NotNow { what: String, hint: String },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the resource could not be planned")]
    Unplannable(#[source] BoxError),
}

/// The generations that a request wants the resource to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum IfMatch {
    /// Any, as long as the resource is there.
    Any,
    /// One of these.
    Generations(Vec<u64>),
}

/// What the first request with an idempotency key was, and what it got.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Remembered {
    pub(crate) at: Timestamp,
    fingerprint: String,
    run_id: String,
    resource: Resource,
}

/// A resource as it would be, and the version it replaces.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) record: ResourceRecord,
    replaces: Option<Version>,
    /// False if it is what is there already.
    changes: bool,
    /// The run that is to be takes down what was made.
    rolls_back: bool,
    /// True if what stands beside the spec is to change, which takes no run.
    beside: bool,
}

impl Intents {
    pub(crate) fn new(records: Records, wakes: Wakes) -> Self {
        Self { records, wakes }
    }

    /// A new resource from `{"name": …, <spec>}`.
    pub(crate) async fn draft_create(
        &self,
        scope: &Scope,
        kind: &dyn AnyKind,
        mut body: Map<String, Value>,
    ) -> Result<Draft, Refusal> {
        let on_failure = policy(&mut body);
        let name = match body.shift_remove("name") {
            Some(Value::String(name)) => {
                let name = scope.key(kind.name(), &name).name;
                scope.name_fault(&name).map_or(Ok(name), Err)
            }
            Some(_) => Err("a text is wanted".to_owned()),
            None => Err("a name is wanted".to_owned()),
        };
        let mend = take_mend(&mut body);
        // The name's mistake and the spec's are told together where that is possible.
        let checked = kind.check(name.as_deref().unwrap_or(""), Value::Object(body), None);
        let (name, spec, mend, on_failure) = match (name, checked, mend, on_failure) {
            (Ok(name), Ok(spec), Ok(mend), Ok(on_failure)) => {
                (name, spec, mend.unwrap_or_default(), on_failure.unwrap_or_default())
            }
            (name, checked, mend, on_failure) => {
                let mut errors = checked.err().unwrap_or_default();
                errors.extend(mend.err().into_iter().chain(on_failure.err()));
                if let Err(detail) = name {
                    errors.retain(|error| error.pointer != "/name");
                    errors.insert(0, FieldError { pointer: "/name".to_owned(), detail });
                }
                return Err(Refusal::Invalid(errors));
            }
        };
        let now = Timestamp::now();
        let record = ResourceRecord {
            kind: kind.name().to_owned(),
            name,
            generation: 1,
            observed_generation: 0,
            spec,
            status: Value::Null,
            deleting: false,
            on_failure,
            rolled_back: false,
            mend,
            run_id: String::new(),
            failures: 0,
            retry_at: None,
            created_at: now,
            updated_at: now,
        };
        match self.records.resource(&record.key()).await? {
            Some(there) if there.record.deleting => Err(Refusal::Deleting(record.key())),
            Some(_) => Err(Refusal::Exists(record.key())),
            None => Ok(Draft {
                record,
                replaces: None,
                changes: true,
                beside: false,
                rolls_back: false,
            }),
        }
    }

    /// The resource with a JSON merge patch (RFC 7396) applied to its spec.
    pub(crate) async fn draft_patch(
        &self,
        scope: &Scope,
        kind: &dyn AnyKind,
        name: &str,
        mut patch: Map<String, Value>,
        only: Option<&IfMatch>,
    ) -> Result<Draft, Refusal> {
        let Stored { mut record, version } = self.existing(scope, kind, name, only).await?;
        if record.deleting {
            return Err(Refusal::Deleting(record.key()));
        }
        // The name may be repeated, as in a whole resource sent back, but not changed.
        let same = |new: Value| {
            new.as_str().is_some_and(|new| scope.key(kind.name(), new).name == record.name)
        };
        if patch.shift_remove("name").is_some_and(|new| !same(new)) {
            let detail = "a resource cannot be renamed".to_owned();
            return Err(Refusal::Invalid(vec![FieldError { pointer: "/name".to_owned(), detail }]));
        }
        let invalid = |mistake| Refusal::Invalid(vec![mistake]);
        let mend = take_mend(&mut patch).map_err(invalid)?.unwrap_or(record.mend);
        let on_failure = policy(&mut patch).map_err(invalid)?.unwrap_or(record.on_failure);
        let beside = mend != record.mend || on_failure != record.on_failure;
        (record.mend, record.on_failure) = (mend, on_failure);
        let mut spec = record.spec.clone();
        merge(&mut spec, Value::Object(patch));
        let spec = kind.check(&record.name, spec, Some(&record.spec)).map_err(Refusal::Invalid)?;
        let changes = spec != record.spec;
        if changes {
            record.spec = spec;
            record.generation += 1;
        }
        // What was taken down is not there, though it is wanted as before.
        let changes = changes || record.rolled_back;
        Ok(Draft { record, replaces: Some(version), changes, beside, rolls_back: false })
    }

    /// The resource as one that is to go.
    pub(crate) async fn draft_delete(
        &self,
        scope: &Scope,
        kind: &dyn AnyKind,
        name: &str,
        only: Option<&IfMatch>,
    ) -> Result<Draft, Refusal> {
        let Stored { mut record, version } = self.existing(scope, kind, name, only).await?;
        let changes = !record.deleting;
        if changes {
            record.deleting = true;
            record.generation += 1;
        }
        Ok(Draft { record, replaces: Some(version), changes, beside: false, rolls_back: false })
    }

    /// The resource as it is.
    pub(crate) async fn draft_same(
        &self,
        scope: &Scope,
        kind: &dyn AnyKind,
        name: &str,
    ) -> Result<Draft, Refusal> {
        let Stored { record, version } = self.existing(scope, kind, name, None).await?;
        Ok(Draft {
            record,
            replaces: Some(version),
            changes: false,
            beside: false,
            rolls_back: false,
        })
    }

    /// Creates a resource. The same `idempotency` key with the same body gets the same answer.
    pub(crate) async fn create(
        &self,
        scope: &Scope,
        kind: &dyn AnyKind,
        body: Map<String, Value>,
        idempotency: Option<&str>,
        cause: Cause,
    ) -> Result<Accepted, Refusal> {
        let fingerprint = hex::encode(Sha256::digest(Value::Object(body.clone()).to_string()));
        let memory = idempotency.map(|key| key::idempotency(kind.name(), scope, key));
        loop {
            if let Some(memory) = &memory
                && let Some(Stored { record, .. }) = self.records.read::<Remembered>(memory).await?
            {
                if record.fingerprint != fingerprint {
                    return Err(Refusal::KeyReused);
                }
                return Ok(Accepted { resource: record.resource, run_id: Some(record.run_id) });
            }
            let draft = self.draft_create(scope, kind, body.clone()).await?;
            let remember = |resource: &Resource, run_id: &str| {
                let Some(memory) = &memory else { return Ok(vec![]) };
                let remembered = Remembered {
                    at: Timestamp::now(),
                    fingerprint: fingerprint.clone(),
                    run_id: run_id.to_owned(),
                    resource: resource.clone(),
                };
                Ok(vec![put(memory.clone(), &remembered, Precondition::Absent)?])
            };
            match self.start(kind, draft, cause, remember).await {
                // Another request made it, or this one came twice at once: look again.
                Err(Refusal::Store(error)) if error.is_conflict() => {}
                result => return result,
            }
        }
    }

    /// Changes a resource's spec, and what stands beside it.
    pub(crate) async fn patch(
        &self,
        scope: &Scope,
        kind: &dyn AnyKind,
        name: &str,
        patch: Map<String, Value>,
        only: Option<&IfMatch>,
        cause: Cause,
    ) -> Result<Accepted, Refusal> {
        loop {
            let draft = self.draft_patch(scope, kind, name, patch.clone(), only).await?;
            if !draft.changes {
                if draft.beside
                    && let Some(version) = draft.replaces
                {
                    let only = Precondition::Version(version);
                    let write = put(key::resource(&draft.record.key()), &draft.record, only)?;
                    match self.records.commit(vec![write]).await {
                        Err(error) if error.is_conflict() => continue,
                        result => result?,
                    };
                }
                let resource = self.records.show(draft.record).await?;
                return Ok(Accepted { resource, run_id: None });
            }
            match self.start(kind, draft, cause, |_, _| Ok(vec![])).await {
                Err(Refusal::Store(error)) if error.is_conflict() => {}
                result => return result,
            }
        }
    }

    /// Deletes a resource, once its termination run has converged.
    pub(crate) async fn delete(
        &self,
        scope: &Scope,
        kind: &dyn AnyKind,
        name: &str,
        only: Option<&IfMatch>,
        cause: Cause,
    ) -> Result<Accepted, Refusal> {
        loop {
            let draft = self.draft_delete(scope, kind, name, only).await?;
            match self.start_unless_running(kind, draft, cause).await {
                Err(Refusal::Store(error)) if error.is_conflict() => {}
                result => return result,
            }
        }
    }

    /// Plans a resource again as it is, unless a run is at it.
    pub(crate) async fn run_again(
        &self,
        scope: &Scope,
        kind: &dyn AnyKind,
        name: &str,
        cause: Cause,
    ) -> Result<Accepted, Refusal> {
        loop {
            let draft = self.draft_same(scope, kind, name).await?;
            if let Some(Stored { record, .. }) = self.records.run(&draft.record.run_id).await?
                && record.run.state == RunState::Paused
            {
                return Err(operate::paused(&record.run.id));
            }
            match self.start_unless_running(kind, draft, cause).await {
                Err(Refusal::Store(error)) if error.is_conflict() => {}
                result => return result,
            }
        }
    }

    /// Starts a run, unless the draft changes nothing and a run is at it.
    async fn start_unless_running(
        &self,
        kind: &dyn AnyKind,
        draft: Draft,
        cause: Cause,
    ) -> Result<Accepted, Refusal> {
        if !draft.changes
            && let Some(Stored { record, .. }) = self.records.run(&draft.record.run_id).await?
            && !record.run.state.is_final()
        {
            let resource = draft.record.show(Some(&record.run), None);
            return Ok(Accepted { resource, run_id: Some(record.run.id) });
        }
        self.start(kind, draft, cause, |_, _| Ok(vec![])).await
    }

    /// Records the draft and a run for it, and wakes the runner.
    async fn start(
        &self,
        kind: &dyn AnyKind,
        draft: Draft,
        cause: Cause,
        also: impl Fn(&Resource, &str) -> Result<Vec<Write>, StoreError>,
    ) -> Result<Accepted, Refusal> {
        let Draft { mut record, replaces, rolls_back, .. } = draft;
        let of = if rolls_back { record.taken_down() } else { record.clone() };
        let plan = kind.plan(&of, StatusCell::default()).map_err(Refusal::Unplannable)?;
        let plan = plan.name().to_owned();
        let run = match rolls_back {
            true => RunRecord::rolling_back(&record, plan, cause),
            false => RunRecord::new(&record, plan, cause),
        };
        record.rolled_back = rolls_back;
        let key = record.key();
        record.run_id.clone_from(&run.run.id);
        record.failures = 0;
        record.retry_at = None;
        record.updated_at = run.run.created_at;
        let only = replaces.map_or(Precondition::Absent, Precondition::Version);
        let mut writes = run.create(&key)?;
        writes.push(put(key::resource(&key), &record, only)?);
        let resource = record.show(Some(&run.run), None);
        writes.extend(also(&resource, &run.run.id)?);
        self.records.commit(writes).await?;
        self.wakes.wake(key);
        Ok(Accepted { resource, run_id: Some(run.run.id) })
    }

    async fn existing(
        &self,
        scope: &Scope,
        kind: &dyn AnyKind,
        name: &str,
        only: Option<&IfMatch>,
    ) -> Result<Stored<ResourceRecord>, Refusal> {
        let key = scope.key(kind.name(), name);
        let stored = match scope.holds(&key) {
            true => self.records.resource(&key).await?,
            false => None,
        };
        let stored = stored.ok_or_else(|| Refusal::NotFound(key.to_string()))?;
        let found = stored.record.generation;
        match only {
            Some(IfMatch::Generations(wanted)) if !wanted.contains(&found) => {
                Err(Refusal::Stale { found })
            }
            _ => Ok(stored),
        }
    }
}

/// Takes the failure policy out of a body; none if it says nothing of it, `null` is the usual one.
fn policy(body: &mut Map<String, Value>) -> Result<Option<OnFailure>, FieldError> {
    let Some(value) = body.shift_remove("on_failure") else { return Ok(None) };
    if value.is_null() {
        return Ok(Some(OnFailure::default()));
    }
    serde_json::from_value(value).map(Some).map_err(|_| FieldError {
        pointer: "/on_failure".to_owned(),
        detail: format!("one of {} is wanted", OnFailure::ALL.map(OnFailure::as_str).join(", ")),
    })
}

/// JSON merge patch, RFC 7396 §2.
fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    if let Value::Object(target) = target {
        for (name, value) in patch {
            if value.is_null() {
                target.shift_remove(&name);
            } else {
                merge(target.entry(name).or_insert(Value::Null), value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The table of RFC 7396, appendix A.
    #[test]
    fn merge_patches_do_what_the_rfc_says() {
        for (original, patch, result) in [
            (json!({"a":"b"}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"b"}), json!({"b":"c"}), json!({"a":"b","b":"c"})),
            (json!({"a":"b"}), json!({"a":null}), json!({})),
            (json!({"a":"b","b":"c"}), json!({"a":null}), json!({"b":"c"})),
            (json!({"a":["b"]}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"c"}), json!({"a":["b"]}), json!({"a":["b"]})),
            (json!({"a":{"b":"c"}}), json!({"a":{"b":"d","c":null}}), json!({"a":{"b":"d"}})),
            (json!({"a":[{"b":"c"}]}), json!({"a":[1]}), json!({"a":[1]})),
            (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
            (json!({"a":"b"}), json!(["c"]), json!(["c"])),
            (json!({"a":"foo"}), json!(null), json!(null)),
            (json!({"a":"foo"}), json!("bar"), json!("bar")),
            (json!({"e":null}), json!({"a":1}), json!({"e":null,"a":1})),
            (json!([1, 2]), json!({"a":"b","c":null}), json!({"a":"b"})),
            (json!({}), json!({"a":{"bb":{"ccc":null}}}), json!({"a":{"bb":{}}})),
        ] {
            let mut target = original.clone();
            merge(&mut target, patch.clone());
            assert_eq!(target, result, "{original} with {patch}");
        }
    }
}
