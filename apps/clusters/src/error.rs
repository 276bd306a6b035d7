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
        let error = fixpoint_aws::plain(error);
        let code = fixpoint_aws::error_code(&*error);
        let tried = match code.and_then(|code| taken(code).or_else(|| fixpoint_aws::hint(code))) {
            Some(hint) => format!("{} ({hint})", tried.into()),
            None => tried.into(),
        };
        if fixpoint_aws::is_permanent(&*error) {
            Permanent::because(format!("could not {tried}"), error).into()
        } else {
            CallFailed { tried, source: error }.into()
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

#[cfg(test)]
mod tests {
    use aws_credential_types::Credentials;
    use fixpoint::{Chain, Pace};
    use fixpoint_aws::sandbox::{Faults, Sandbox, SandboxOptions};
    use fixpoint_aws::{Aws, AwsOptions, ec2};

    use super::*;

    /// A sandbox in which `operation` fails like that.
    async fn failing(operation: &str, fault: serde_json::Value) -> Aws {
        let rules = serde_json::json!({"rules": [{"operation": operation, "fault": fault}]});
        let faults: Faults = serde_json::from_value(rules).unwrap();
        let options = SandboxOptions { faults, latency: false, ..SandboxOptions::default() };
        let sandbox = Sandbox::open(options).unwrap();
        let pace = Pace::times(1000.0);
        Aws::connect(AwsOptions { sandbox: Some(sandbox), pace, ..AwsOptions::default() }).await
    }

    /// The chain without the request's id, which differs.
    fn told(error: &BoxError) -> String {
        let text = Chain(&**error).to_string();
        text.split(" (request id").next().unwrap_or_default().to_owned()
    }

    #[tokio::test]
    async fn a_refusal_is_what_was_tried_the_hint_the_call_and_awss_words_each_once() {
        let denied = serde_json::json!({
            "kind": "error", "code": "AccessDenied", "status": 403, "message": "Not you.",
        });
        let aws = failing("IAM.ListRoles", denied).await;
        let error = aws.iam.list_roles().send().await.map_err(could_not("list the roles"));
        let error = error.unwrap_err();
        let hint = fixpoint_aws::hint("AccessDenied").unwrap();
        let wanted =
            format!("could not list the roles ({hint}): IAM.ListRoles: AccessDenied: Not you.");
        assert_eq!(told(&error), wanted);
        assert!(Chain(&*error).to_string().contains(" (request id "));
        assert_eq!(fixpoint_aws::error_code(&*error), Some("AccessDenied"));
        assert!(Permanent::is(&*error) && fixpoint_aws::is_permanent(&*error));
    }

    #[tokio::test]
    async fn no_clear_answer_is_only_said_of_a_creation_whose_effect_is_unknown() {
        let lost = serde_json::json!({"kind": "lost_answer"});
        let aws = failing("EC2.CreateVpc", lost.clone()).await;
        let vpc = ec2::CreateVpc { cidr_block: "10.0.0.0/16".into(), ..Default::default() };
        let error = aws.ec2.send(vpc).await.map_err(could_not("create the VPC")).unwrap_err();
        assert_eq!(
            told(&error),
            "could not create the VPC: EC2.CreateVpc got no clear answer from AWS: \
             connection reset before an answer came"
        );
        assert!(fixpoint_aws::is_ambiguous(&*error) && !Permanent::is(&*error));

        let aws = failing("ELBv2.DescribeLoadBalancers", lost).await;
        let error = aws.elb.describe_load_balancers().send().await;
        let error = error.map_err(could_not("list the load balancers")).unwrap_err();
        assert_eq!(
            told(&error),
            "could not list the load balancers: ELBv2.DescribeLoadBalancers: AWS is not \
             reachable: connection reset before an answer came"
        );
    }

    #[tokio::test]
    async fn a_creation_that_found_nobody_to_talk_to_is_not_in_doubt() {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let aws = Aws::connect(AwsOptions {
            region: Some("eu-west-1".into()),
            endpoint_url: Some(format!("http://{port}")),
            credentials: Some(Credentials::from_keys("key", "secret", None)),
            pace: Pace::times(1000.0),
            ..AwsOptions::default()
        })
        .await;
        let role = aws.iam.create_role().role_name("node").assume_role_policy_document("{}");
        let error = role.send().await.map_err(could_not("create the role")).unwrap_err();
        assert_eq!(
            told(&error),
            "could not create the role: IAM.CreateRole: AWS is not reachable: connection refused"
        );
        assert!(!fixpoint_aws::is_ambiguous(&*error));
    }
}
