//! How the sandbox says no: an AWS error code, a message, and an HTTP status.
//!
//! Not for failures of the sandbox itself: those are [`super::SandboxError`]. The surprise: EC2 and
//! ELBv2 use different codes for the same mistake, so each service names its own.

use std::borrow::Cow;

/// An error answer, as AWS would word it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) code: Cow<'static, str>,
    pub(super) message: String,
}

impl Refusal {
    /// Builds a refusal with status 400, which most of AWS's errors have.
    pub(super) fn new(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Refusal { status: 400, code: code.into(), message: message.into() }
    }

    /// Changes the HTTP status.
    pub(super) fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// Builds EC2's answer to a parameter whose value makes no sense.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Refusal::new("InvalidParameterValue", message)
    }

    /// Builds EC2's answer to a parameter that must be there and is not.
    pub(super) fn missing(name: &str) -> Self {
        Refusal::new("MissingParameter", format!("The request must contain the parameter {name}"))
    }

    /// Builds EC2's answer to a deletion while something else still needs the resource.
    pub(super) fn dependency(what: &str, id: &str) -> Self {
        Refusal::new(
            "DependencyViolation",
            format!("The {what} '{id}' has dependencies and cannot be deleted."),
        )
    }

    /// Builds ELBv2's answer to bad input.
    pub(super) fn validation(message: impl Into<String>) -> Self {
        Refusal::new("ValidationError", message)
    }
}
