//! The answer to why, as the pages show it.
//!
//! Not here: the answer (`crate::why`). The surprise: colours say how sure it is, not how bad.

use fixpoint_client::{Conclusion, Why};

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
        let count = cause.map_or(0, |cause| cause.consequences.len());
        if count == 1 { "1 consequence".to_owned() } else { format!("{count} consequences") }
    }

    pub(super) fn others(&self) -> String {
        match self.why.others.len() {
            1 => "1 other unusual thing".to_owned(),
            count => format!("{count} other unusual things"),
        }
    }

    pub(super) fn compared(&self) -> String {
        let what = if self.why.run.is_some() { "run" } else { "trace" };
        match self.why.baseline.good {
            1 => format!("1 good {what}"),
            count => format!("{count} good {what}s"),
        }
    }
}
