//! Errors of looks and steps: which call failed, and what an operator can do about it.
//!
//! Not here: deciding whether to try again; that is the runner's, by the mark
//! [`Permanent`] that is put on here.

use std::error::Error as StdError;

use fixpoint::{BoxError, Permanent};

/// A call to AWS failed.
#[derive(Debug, thiserror::Error)]
#[error("could not {tried}")]
pub struct CallFailed {
    tried: String,
    #[source]
    source: BoxError,
}

/// For `map_err`: says what was tried and what may help, and marks what trying again cannot mend.
pub(crate) fn could_not<E>(tried: impl Into<String>) -> impl FnOnce(E) -> BoxError
where
    E: StdError + Send + Sync + 'static,
{
    move |error| {
        let code = fixpoint_aws::error_code(&error);
        let tried = match code.and_then(|code| taken(code).or_else(|| fixpoint_aws::hint(code))) {
            Some(hint) => format!("{} ({hint})", tried.into()),
            None => tried.into(),
        };
        if fixpoint_aws::is_permanent(&error) {
            Permanent::because(format!("could not {tried}"), error).into()
        } else {
            CallFailed { tried, source: error.into() }.into()
        }
    }
}

/// Ours would have been found by its tag, so a thing in the way is somebody else's.
fn taken(code: &str) -> Option<&'static str> {
    let taken = code.ends_with(".Duplicate")
        || code.ends_with("AlreadyExists")
        || code.starts_with("Duplicate");
    taken.then_some("something without this cluster's tags has the name: tag it or remove it")
}
