//! The calls by which operators act on runs.

use reqwest::Method;

use super::Client;
use crate::{ActRequest, Error, Run, SkipRequest, Verb};

impl Client {
    /// Acts on a run: `POST /v1/runs/{id}/{verb}`. Answers with the run that goes on because of it:
    /// the same, or a new one.
    ///
    /// # Errors
    /// A [`Problem`](crate::Problem) with status 404 if there is no such run, 409 if it is in no state
    /// for that.
    pub async fn act(&self, run_id: &str, verb: Verb, why: &ActRequest) -> Result<Run, Error> {
        let request = self.request(Method::POST, &["v1", "runs", run_id, verb.as_str()])?;
        self.json(request.json(why)).await
    }

    /// Leaves out a step of a run: `POST /v1/runs/{id}/skip`. Answers as [`Client::act`] does.
    ///
    /// # Errors
    /// As for [`Client::act`], and one with status 422 if the run has no such step.
    pub async fn skip(&self, run_id: &str, skip: &SkipRequest) -> Result<Run, Error> {
        let request = self.request(Method::POST, &["v1", "runs", run_id, Verb::Skip.as_str()])?;
        self.json(request.json(skip)).await
    }
}
