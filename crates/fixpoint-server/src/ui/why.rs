//! The answer to why, as the pages show it.
//!
//! Not here: the answer (`crate::why`). The surprise: colours say how sure it is, not how bad.

use fixpoint_client::{Conclusion, Why};

use crate::why::many;

/// An answer, with how it is said.
#[derive(Debug, Clone)]
pub(crate) struct WhyView {
    /// As the API gives it.
    pub(crate) why: Why,
}

impl WhyView {
    /// The view of an answer.
    pub(crate) fn new(why: Why) -> Self {
        Self { why }
    }

    pub(super) fn title(&self) -> &'static str {
        match self.why.conclusion {
            Conclusion::Cause => "What went wrong first",
            Conclusion::NothingDiffers => "Nothing differs",
            Conclusion::Unknown => "The cause is not known",
        }
    }

    pub(super) fn tone(&self) -> &'static str {
        match self.why.conclusion {
            Conclusion::Cause => "sure",
            Conclusion::NothingDiffers => "sure",
            Conclusion::Unknown => "unsure",
        }
    }

    pub(super) fn follows(&self) -> String {
        let cause = self.why.cause.as_ref();
        many(cause.map_or(0, |cause| cause.consequences.len()) as u64, "consequence")
    }

    pub(super) fn others(&self) -> String {
        many(self.why.others.len() as u64, "other unusual thing")
    }

    pub(super) fn compared(&self) -> String {
        let what = if self.why.run.is_some() { "run" } else { "trace" };
        many(self.why.baseline.good, &format!("good {what}"))
    }
}
