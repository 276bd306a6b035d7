//! Which calls the SDK may repeat by itself.
//!
//! The SDK retries whatever fails in transit. For a call that is not safe to repeat, say
//! `CreateVpc`, that is wrong: if the answer was lost *after* the effect, the second attempt makes
//! a second VPC that nobody knows of. Such a call is repeated only if AWS certainly refused it
//! (throttling, a wrong clock); any other failure goes to the caller, who looks at the world.
//!
//! The surprise: the rule is on the call's name, not in the call, so that no step can forget it;
//! and a name that is not known to be safe is not repeated.

use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;
use aws_smithy_runtime_api::client::retries::classifiers::{
    ClassifyRetry, RetryAction, RetryClassifierPriority, RetryReason,
};
use aws_smithy_types::retry::ErrorKind;

/// Verbs that reach one and the same state however often they come.
const REPEATABLE_VERBS: &[&str] = &[
    "Delete",
    "Deregister",
    "Describe",
    "Detach",
    "Disassociate",
    "Get",
    "List",
    "Modify",
    "Put",
    "Register",
    "Remove",
    "Revoke",
    "Set",
    "Terminate",
];

/// Calls of other verbs that are safe all the same: tagging sets the same value; ELBv2 documents
/// these creations as idempotent (the same name and settings give what exists).
const REPEATABLE_CALLS: &[&str] = &[
    "AddTags",
    "CreateListener",
    "CreateLoadBalancer",
    "CreateTags",
    "CreateTargetGroup",
    "TagInstanceProfile",
    "TagRole",
];

/// True if the request may be sent again when nobody knows whether it had its effect.
///
/// `form` is the body in the Query protocol, which EC2, ELBv2, IAM and STS speak. A client token
/// makes any call repeatable.
pub fn is_repeatable(form: &[u8]) -> bool {
    let mut repeatable = false;
    for (name, value) in form_urlencoded::parse(form) {
        match &*name {
            "ClientToken" if !value.is_empty() => return true,
            "Action" => {
                repeatable = REPEATABLE_CALLS.contains(&&*value)
                    || REPEATABLE_VERBS.iter().any(|verb| value.starts_with(verb));
            }
            _ => {}
        }
    }
    repeatable
}

/// Forbids the SDK to repeat what is not repeatable; every client has it.
#[derive(Debug)]
pub(crate) struct NotTwice;

impl ClassifyRetry for NotTwice {
    fn name(&self) -> &'static str {
        "NotTwice"
    }

    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        self.classify_retry_v2(context, &RetryAction::NoActionIndicated)
    }

    fn classify_retry_v2(&self, context: &InterceptorContext, so_far: &RetryAction) -> RetryAction {
        let RetryAction::RetryIndicated(RetryReason::RetryableError { kind, .. }) = so_far else {
            return RetryAction::NoActionIndicated;
        };
        let certainly_refused = matches!(kind, ErrorKind::ThrottlingError | ErrorKind::ClientError);
        // A body that cannot be read is a stream, which no call of ours sends.
        let form = context.request().and_then(|request| request.body().bytes()).unwrap_or_default();
        if certainly_refused || is_repeatable(form) {
            RetryAction::NoActionIndicated
        } else {
            RetryAction::RetryForbidden
        }
    }

    /// After all of the SDK's own, whose verdict is judged here.
    fn priority(&self) -> RetryClassifierPriority {
        RetryClassifierPriority::run_after(RetryClassifierPriority::transient_error_classifier())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn creations_without_a_token_are_not_repeatable_and_unknown_calls_neither() {
        for action in [
            "CreateVpc",
            "CreateSubnet",
            "CreateInternetGateway",
            "CreateSecurityGroup",
            "CreateKeyPair",
            "ImportKeyPair",
            "CreateRouteTable",
            "CreateRoute",
            "AssociateRouteTable",
            "AttachInternetGateway",
            "AuthorizeSecurityGroupIngress",
            "AuthorizeSecurityGroupEgress",
            "RunInstances",
            "CreateRule",
            "CreateRole",
            "CreateInstanceProfile",
            "AddRoleToInstanceProfile",
            "FrobnicateEverything",
        ] {
            assert!(!is_repeatable(format!("Action={action}&Version=1").as_bytes()), "{action}");
        }
    }

    #[test]
    fn reads_deletions_and_settings_are_repeatable() {
        for action in ["DescribeVpcs", "DeleteVpc", "PutRolePolicy", "CreateTags", "AddTags"] {
            assert!(is_repeatable(format!("Action={action}&Version=1").as_bytes()), "{action}");
        }
    }

    #[test]
    fn a_client_token_makes_a_creation_repeatable_but_an_empty_one_does_not() {
        assert!(is_repeatable(b"Action=RunInstances&ClientToken=idg-1"));
        assert!(!is_repeatable(b"Action=RunInstances&ClientToken="));
    }
}
