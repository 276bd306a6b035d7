//! What was found, check by check.

use std::error::Error as StdError;
use std::fmt::Display;
use std::time::{Duration, Instant};

use fixpoint_aws::error_code;

/// One check: what AWS documents, and what the backend did.
#[derive(Debug, Clone)]
pub(crate) struct Finding {
    pub(crate) id: &'static str,
    pub(crate) wanted: String,
    pub(crate) got: String,
}

/// The findings of one flow, in order.
#[derive(Debug)]
pub(crate) struct Journal {
    pub(crate) findings: Vec<Finding>,
    poll: Duration,
    patience: Duration,
}

impl Journal {
    /// Looks every `poll`, and at most for `patience`, whether a state has come; on the wall.
    pub(crate) fn new(poll: Duration, patience: Duration) -> Self {
        Self { findings: Vec::new(), poll, patience }
    }

    /// `got` should be `wanted`.
    pub(crate) fn is(&mut self, id: &'static str, wanted: impl Display, got: impl Display) {
        assert!(self.findings.iter().all(|f| f.id != id), "the id {id:?} is used twice");
        self.findings.push(Finding { id, wanted: wanted.to_string(), got: got.to_string() });
    }

    /// The call should succeed.
    pub(crate) fn ok<T, E: StdError + 'static>(
        &mut self,
        id: &'static str,
        result: Result<T, E>,
    ) -> Option<T> {
        self.is(id, "ok", outcome(&result));
        result.ok()
    }

    /// The call must succeed, or the flow cannot go on.
    pub(crate) fn need<T, E: StdError + 'static>(
        &mut self,
        id: &'static str,
        result: Result<T, E>,
    ) -> T {
        self.is(id, "ok", outcome(&result));
        result.unwrap_or_else(|error| panic!("{id}: {error}: {error:?}"))
    }

    /// The call should be refused with `code`.
    pub(crate) fn refused<T, E: StdError + 'static>(
        &mut self,
        id: &'static str,
        code: &str,
        result: Result<T, E>,
    ) {
        self.is(id, code, outcome(&result));
    }

    /// `look` should come to see `wanted`; what it saw first or in between does not count.
    pub(crate) async fn becomes<F: Future<Output = String>>(
        &mut self,
        id: &'static str,
        wanted: impl Display,
        look: impl Fn() -> F,
    ) {
        let (wanted, start) = (wanted.to_string(), Instant::now());
        let mut got = look().await;
        while got != wanted && start.elapsed() < self.patience {
            pause(self.poll).await;
            got = look().await;
        }
        self.is(id, wanted, got);
    }

    /// Repeats a call that AWS refuses while things are too new or still in use, until it is not
    /// refused so any more; then it should succeed.
    pub(crate) async fn soon<T, E: StdError + 'static, F: Future<Output = Result<T, E>>>(
        &mut self,
        id: &'static str,
        call: impl Fn() -> F,
    ) -> Option<T> {
        const NOT_YET: &[&str] = &["DependencyViolation", "ResourceInUse", "InvalidParameterValue"];
        let start = Instant::now();
        loop {
            let result = call().await;
            let not_yet = result
                .as_ref()
                .err()
                .and_then(|error| error_code(error))
                .is_some_and(|code| NOT_YET.contains(&code) || code.ends_with("NotFound"));
            if !not_yet || start.elapsed() > self.patience {
                return self.ok(id, result);
            }
            pause(self.poll).await;
        }
    }
}

/// Wall time, in a test: there is no run to be cancelled.
async fn pause(time: Duration) {
    let _ = tokio::time::timeout(time, std::future::pending::<()>()).await;
}

/// `ok`, or AWS's error code.
pub(crate) fn outcome<T, E: StdError + 'static>(result: &Result<T, E>) -> String {
    match result {
        Ok(_) => "ok".into(),
        Err(error) => error_code(error).unwrap_or("no code").to_owned(),
    }
}
