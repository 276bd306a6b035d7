//! Calls about what has drifted.

use std::time::Duration;

use reqwest::Method;

use super::{Accepted, Client};
use crate::{Error, Resource, ResourcePage};

/// The server looks before it answers, and others may be looked at first.
const LOOK_TIMEOUT: Duration = Duration::from_secs(100);

impl Client {
    /// Has a solved resource looked at now: `POST /v1/{kind}/{name}/verify`. `run_id` names the run
    /// that mends it, if it is mended by itself.
    ///
    /// # Errors
    /// A [`Problem`](crate::Problem) with status 404 if there is none, 409 if a run is at it or
    /// none has solved it.
    pub async fn verify(&self, kind: &str, name: &str) -> Result<Accepted, Error> {
        let request = self.request(Method::POST, &["v1", kind, name, "verify"])?;
        self.accepted(request.timeout(LOOK_TIMEOUT)).await
    }

    /// All resources of a kind that have drifted: `GET /v1/{kind}?drifted=true`, page by page.
    ///
    /// # Errors
    /// As for any call.
    pub async fn all_drifted(&self, kind: &str) -> Result<Vec<Resource>, Error> {
        let mut items = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let request = self.request(Method::GET, &["v1", kind])?;
            let query = [("drifted", Some("true")), ("page_token", token.as_deref())];
            let page: ResourcePage = self.json(request.query(&query)).await?;
            items.extend(page.items);
            token = page.next_page_token;
            if token.is_none() {
                return Ok(items);
            }
        }
    }
}
