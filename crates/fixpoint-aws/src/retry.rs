//! Which calls the SDK may repeat by itself.
//!
//! The SDK retries whatever fails in transit. For a call that is not safe to repeat, say
//! `CreateVpc`, that is wrong: if the answer was lost *after* the effect, the second attempt makes
//! a second VPC that nobody knows of. Such a call is repeated only if AWS certainly refused it
//! (throttling, a wrong clock); any other failure goes to the caller, who looks at the world.
//!
//! The surprise: the rule is on the call's name, not in the call, so that no step can forget it;
//! and a name that is not known to be safe is not repeated.

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef,
};
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::{ConfigBag, Storable, StoreReplace};
use aws_smithy_types::retry::RetryConfig;

use crate::error::{code_of, is_throttle};

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

/// Takes the remaining attempts away from a call that must not be repeated; every client has it.
///
/// An interceptor and no retry classifier, because a classifier sees neither the request, which is
/// gone once it was sent, nor the call's config.
#[derive(Debug)]
pub(crate) struct NotTwice;

#[derive(Debug)]
struct Unrepeatable;

impl Storable for Unrepeatable {
    type Storer = StoreReplace<Self>;
}

#[dyn_dispatch_hint]
impl Intercept for NotTwice {
    fn name(&self) -> &'static str {
        "NotTwice"
    }

    fn read_after_serialization(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // A body that does not lie in memory is a stream, which no call of ours sends.
        if !is_repeatable(context.request().body().bytes().unwrap_or_default()) {
            cfg.interceptor_state().store_put(Unrepeatable);
        }
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let failed = context.output_or_error().is_none_or(|result| result.is_err());
        let refused = context.response().is_some_and(is_certain_refusal);
        if failed && !refused && cfg.load::<Unrepeatable>().is_some() {
            let once = cfg.load::<RetryConfig>().cloned().unwrap_or_else(RetryConfig::standard);
            cfg.interceptor_state().store_put(once.with_max_attempts(1));
        }
        Ok(())
    }
}

/// True if the answer says that the call had no effect: AWS blames the caller, or throttles.
fn is_certain_refusal(response: &HttpResponse) -> bool {
    response.status().is_client_error() || is_throttle(code_of(response))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ec2::{CreateVpc, DescribeVpcs, RunInstances};
    use crate::is_ambiguous;
    use crate::testing::{Attempt, Script};

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

    const VPC: &str = "<vpc><vpcId>vpc-2</vpcId></vpc>";

    /// What the SDK's own rules do here: the first attempt makes a VPC, its answer is lost, the
    /// second one makes another; the caller sees a success and never learns of the first.
    #[tokio::test]
    async fn a_creation_whose_answer_was_lost_is_not_sent_twice() {
        for lost in [Attempt::Lost, Attempt::refused(500, "InternalError"), Attempt::Hangs] {
            let script = Script::new([lost, Attempt::ok(VPC)]);
            let aws = script.aws().await;
            let error = aws.ec2.send(CreateVpc::default()).await.unwrap_err();
            assert!(is_ambiguous(&error), "{error:?}");
            assert_eq!(script.seen().len(), 1);
        }
    }

    #[tokio::test]
    async fn a_creation_that_was_throttled_is_sent_again() {
        let script = Script::new([
            Attempt::refused(503, "RequestLimitExceeded"),
            Attempt::refused(400, "Throttling"),
            Attempt::ok(VPC),
        ]);
        let made = script.aws().await.ec2.send(CreateVpc::default()).await.unwrap();
        assert_eq!(made.vpc.vpc_id, "vpc-2");
        assert_eq!(script.seen().len(), 3);
    }

    #[tokio::test]
    async fn a_creation_with_a_client_token_and_a_read_are_sent_again() {
        let lost = || [Attempt::Lost, Attempt::refused(500, "InternalError"), Attempt::ok("")];
        let script = Script::new(lost());
        let run = RunInstances { client_token: Some("idg-1".into()), ..Default::default() };
        script.aws().await.ec2.send(run).await.unwrap();
        assert_eq!(script.seen().len(), 3);
        let script = Script::new(lost());
        script.aws().await.ec2.send(DescribeVpcs::default()).await.unwrap();
        assert_eq!(script.seen().len(), 3);
    }

    #[tokio::test]
    async fn official_clients_keep_the_rule_too() {
        let script = Script::new([Attempt::Lost]);
        let role = script.aws().await.iam.create_role().role_name("r");
        let error = role.assume_role_policy_document("{}").send().await.unwrap_err();
        assert!(is_ambiguous(&error));
        assert_eq!(script.seen().len(), 1);
        let tags = "<DescribeTagsResponse><DescribeTagsResult/></DescribeTagsResponse>";
        let script = Script::new([Attempt::Lost, Attempt::Answer(200, tags.into())]);
        script.aws().await.elb.describe_tags().resource_arns("arn").send().await.unwrap();
        assert_eq!(script.seen().len(), 2);
    }
}
