//! What an operator can do about AWS's error codes.
//!
//! Not for programs, which ask [`is_permanent`](crate::is_permanent) and its like. The surprise:
//! most codes have no hint; one that only repeats the code would be worse than none.

use crate::error::is_throttle;

/// What the operator can do about an error code, where there is a known remedy.
pub fn hint(code: &str) -> Option<&'static str> {
    Some(match code {
        "InsufficientInstanceCapacity" | "InsufficientHostCapacity" => {
            "AWS is out of this instance type in this zone: try another zone or type, or wait"
        }
        "InstanceLimitExceeded" | "VcpuLimitExceeded" => {
            "the account's limit of running vCPUs is reached: end instances or ask for more in \
             Service Quotas (EC2, \"Running On-Demand instances\")"
        }
        "VpcLimitExceeded"
        | "InternetGatewayLimitExceeded"
        | "SubnetLimitExceeded"
        | "RouteTableLimitExceeded"
        | "SecurityGroupLimitExceeded"
        | "RulesPerSecurityGroupLimitExceeded"
        | "SecurityGroupsPerInterfaceLimitExceeded" => {
            "a limit of the region is reached: delete what is unused or ask for more in Service \
             Quotas (Amazon VPC)"
        }
        "TooManyLoadBalancers"
        | "TooManyTargetGroups"
        | "TooManyListeners"
        | "TooManyRules"
        | "TooManyTargets"
        | "TooManyRegistrationsForTargetId" => {
            "a limit of load balancing is reached: delete what is unused or ask for more in \
             Service Quotas (Elastic Load Balancing)"
        }
        "VolumeLimitExceeded" | "MaxIOPSLimitExceeded" => {
            "the account's storage limit is reached: ask for more in Service Quotas (Amazon EBS)"
        }
        "LimitExceeded" => {
            "a limit of the account is reached: see Service Quotas for the service that was called"
        }
        "UnauthorizedOperation" | "AccessDenied" | "AccessDeniedException" => {
            "these credentials may not make this call: add the action to their IAM policy, and \
             check the organisation's service control policies"
        }
        "AuthFailure"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "SignatureDoesNotMatch" => {
            "AWS does not accept these credentials: check AWS_PROFILE, the keys, and the clock"
        }
        "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" => {
            "the credentials have expired: log in again"
        }
        "OptInRequired" => "the account is not signed up for this service or region: enable it",
        "PendingVerification" => "AWS still verifies the account for this region: wait up to 4 h",
        code if is_throttle(Some(code)) => {
            "AWS throttles these calls: run fewer clusters at once, or ask for a higher rate"
        }
        "InvalidAMIID.NotFound" | "InvalidAMIID.Unavailable" => {
            "the machine image is not in this region or was withdrawn: choose another image"
        }
        "InvalidKeyPair.NotFound" => "the key pair is not in this region: create or import it",
        "DependencyViolation" | "ResourceInUse" => {
            "something still uses this resource; often a network interface that AWS removes \
             within minutes"
        }
        "IdempotentParameterMismatch" => {
            "an earlier call with the same client token asked for something else: the spec \
             changed while the resource was being made"
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use aws_runtime::retries::classifiers::THROTTLING_ERRORS;

    use super::*;

    #[test]
    fn every_throttling_code_has_a_hint_and_an_unknown_code_has_none() {
        for code in THROTTLING_ERRORS {
            assert!(hint(code).is_some(), "{code}");
        }
        assert_eq!(hint("NeverHeardOf"), None);
    }
}
