//! Records every call of AWS as a span: what was asked, what was answered, each attempt.
//!
//! Not here: where spans go (`fixpoint-trace`). It is an interceptor on every client that
//! [`Aws`](crate::Aws) makes, so a step cannot go round it. The surprises: spans are never
//! *entered*, they lie in the call's config bag, since the SDK runs hooks, not scopes; and a call
//! that its caller drops runs no hook at all, so a drop guard says that it was cancelled.
//!
//! | span | opened | closed |
//! | --- | --- | --- |
//! | `EC2.CreateVpc` | when the request is written | when the last attempt is over |
//! | `attempt` | before each attempt | after it; the pause before the next lies outside |

mod cap;
mod form;
mod secrets;
mod spans;
#[cfg(test)]
mod tests;
mod xml;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef,
};
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::retries::RequestAttempts;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use aws_types::region::Region;

use spans::{Answer, AttemptSpan, CallSpan};

/// Opens a span for each call and each of its attempts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CallRecorder;

#[dyn_dispatch_hint]
impl Intercept for CallRecorder {
    fn name(&self) -> &'static str {
        "CallRecorder"
    }

    fn read_after_serialization(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Some(metadata) = cfg.load::<Metadata>() else { return Ok(()) };
        let region = cfg.load::<Region>().map_or("", AsRef::as_ref);
        let body = context.request().body().bytes();
        let call = CallSpan::open(service(metadata.service()), metadata.name(), region, body);
        cfg.interceptor_state().store_put(call);
        Ok(())
    }

    fn read_before_attempt(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let number = cfg.load::<RequestAttempts>().map_or(1, |attempts| attempts.attempts());
        if let Some(call) = cfg.load::<CallSpan>() {
            let attempt = call.attempt(number);
            cfg.interceptor_state().store_put(attempt);
        }
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let (Some(call), Some(attempt)) = (cfg.load::<CallSpan>(), cfg.load::<AttemptSpan>()) {
            let answer = Answer::of(context);
            attempt.close(&answer);
            call.had(answer);
            cfg.interceptor_state().unset::<AttemptSpan>();
        }
        Ok(())
    }

    fn read_after_execution(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(call) = cfg.load::<CallSpan>() {
            call.close(context);
            cfg.interceptor_state().unset::<CallSpan>();
        }
        Ok(())
    }
}

/// The short names that operators use.
fn service(sdk: &str) -> &str {
    match sdk {
        "Elastic Load Balancing v2" => "ELBv2",
        other => other,
    }
}
