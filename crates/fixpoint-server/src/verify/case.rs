//! Which resources a look is for: what is read of one before it, and whether that makes it needless.
//!
//! Not here: looking (`look.rs`). The surprise: it is read twice. Once to spare the claim of what
//! another server has looked at, and once more when nobody else can change it.

use std::time::Duration;

use fixpoint_client::Verification;
use jiff::Timestamp;

use super::{
    VerificationRecord, Verifying,
    due::{Answer, Wanted},
    is_solved, show,
};
use crate::{
    records::{Records, ResourceKey, Stored},
    resource::ResourceRecord,
    run::RunRecord,
    runner::Shared,
    store::StoreError,
};

/// A solved resource as it was read, with what is known of it.
pub(super) struct Case {
    pub(super) resource: Stored<ResourceRecord>,
    pub(super) run: RunRecord,
    pub(super) before: Option<Stored<VerificationRecord>>,
    pub(super) known: Verification,
}

impl Case {
    /// None if no run has solved it.
    async fn read(records: &Records, resource: &ResourceKey) -> Result<Option<Self>, StoreError> {
        let Some(stored) = records.resource(resource).await? else { return Ok(None) };
        let Some(Stored { record: run, .. }) = records.run(&stored.record.run_id).await? else {
            return Ok(None);
        };
        if !is_solved(&stored.record, &run.run) {
            return Ok(None);
        }
        let before = records.verification(resource).await?;
        let record = before.as_ref().map(|before| before.record.clone());
        let known = show(&stored.record, &run.run, record);
        Ok(known.map(|known| Self { resource: stored, run, before, known }))
    }

    /// Whether it was looked at already, by another server or by the run that solved it.
    fn is_known(&self, wanted: Wanted, settings: &Verifying) -> bool {
        let looked_at = self.known.looked_at;
        // A look of the future says that the clock was set back, and nothing of now.
        let Ok(since) = Duration::try_from(Timestamp::now().duration_since(looked_at)) else {
            return false;
        };
        match wanted.asked_at {
            Some(asked_at) => looked_at >= asked_at,
            // Half of the period: moments of one resource are a whole one apart.
            None => since < settings.every.unwrap_or_default() / 2,
        }
    }
}

/// Why the resource is to be looked at, if it is after all; whoever asked is told if not.
pub(super) async fn still_due(
    shared: &Shared,
    key: &ResourceKey,
) -> Result<Option<(Wanted, Case)>, StoreError> {
    let verifier = &shared.verifier;
    let Some(wanted) = verifier.due.why(key) else { return Ok(None) };
    let now = Timestamp::now();
    let case = Case::read(&shared.records, key).await?;
    let answer = match case.filter(|_| shared.kinds.contains_key(key.kind.as_str())) {
        None => Answer::NotSolved,
        Some(case) if case.is_known(wanted, &verifier.settings) => Answer::Looked(None),
        Some(case) => return Ok(Some((wanted, case))),
    };
    verifier.due.answer(key, now, &answer);
    Ok(None)
}
