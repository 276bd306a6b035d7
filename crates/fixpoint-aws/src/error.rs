//! What AWS's errors mean for a plan: gone, refused for good, or nobody knows.
//!
//! Not here: retrying. The surprise: the functions take any error, an SDK's or a [`BoxError`]
//! that has one among its causes, since that is what a step holds.
//!
//! [`BoxError`]: fixpoint::BoxError

use std::error::Error as StdError;
use std::fmt;

use aws_runtime::retries::classifiers::THROTTLING_ERRORS;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_types::request_id::RequestId;
use fixpoint::BoxError;

/// A call that failed.
#[derive(Debug)]
pub struct Error {
    call: Option<&'static str>,
    end: End,
    code: Option<String>,
    message: Option<String>,
    request_id: Option<String>,
    source: Option<BoxError>,
}

/// How a failed call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// It never left: nothing happened.
    NotSent,
    /// AWS said no: nothing happened.
    Refused,
    /// It may have happened.
    Unknown,
}

impl Error {
    /// AWS's error code: `VpcLimitExceeded`.
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// AWS's words.
    pub fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }

    /// What AWS's support asks for.
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// Names the call, `CreateVpc`, for messages.
    pub(crate) fn of(mut self, call: &'static str) -> Self {
        self.call = Some(call);
        self
    }

    /// A call that could not be written down.
    pub(crate) fn not_sent(source: impl Into<BoxError>) -> Self {
        Self { source: Some(source.into()), ..Self::ended(End::NotSent) }
    }

    /// A call whose answer makes no sense.
    pub(crate) fn unclear(source: impl Into<BoxError>) -> Self {
        Self { source: Some(source.into()), ..Self::ended(End::Unknown) }
    }

    fn ended(end: End) -> Self {
        Self { call: None, end, code: None, message: None, request_id: None, source: None }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.call.unwrap_or("the call"))?;
        f.write_str(match self.end {
            End::NotSent => " could not be sent",
            End::Refused => " was refused by AWS",
            End::Unknown => " got no clear answer from AWS",
        })?;
        for part in [&self.code, &self.message].into_iter().flatten() {
            write!(f, ": {part}")?;
        }
        match &self.request_id {
            Some(id) => write!(f, " (request {id})"),
            None => Ok(()),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl<E> From<SdkError<E, HttpResponse>> for Error
where
    E: StdError + ProvideErrorMetadata + Send + Sync + 'static,
{
    fn from(error: SdkError<E, HttpResponse>) -> Self {
        let Seen { end, code, message, request_id } = Seen::in_sdk_error(&error);
        let mut this = Self {
            code: code.map(str::to_owned),
            message: message.map(str::to_owned),
            request_id: request_id.map(str::to_owned),
            ..Self::ended(end)
        };
        // A service's error says nothing beyond code and message.
        if !matches!(error, SdkError::ServiceError(_)) {
            this.source = error.into_source().ok();
        }
        this
    }
}

/// What can be told from an error.
struct Seen<'a> {
    end: End,
    code: Option<&'a str>,
    message: Option<&'a str>,
    request_id: Option<&'a str>,
}

impl<'a> Seen<'a> {
    fn in_sdk_error<E: ProvideErrorMetadata>(error: &'a SdkError<E, HttpResponse>) -> Self {
        let end = match error {
            SdkError::ConstructionFailure(_) => End::NotSent,
            SdkError::DispatchFailure(failure) if failure.is_user() => End::NotSent,
            SdkError::ServiceError(refusal) => {
                let broke = refusal.raw().status().is_server_error();
                if broke && !is_throttle(error.code()) { End::Unknown } else { End::Refused }
            }
            _ => End::Unknown,
        };
        let meta = error.meta();
        let request_id = error.request_id().or_else(|| meta.request_id());
        Self { end, code: meta.code(), message: meta.message(), request_id }
    }

    /// Looks through `error` and its causes.
    fn within(error: &'a (dyn StdError + 'static)) -> Option<Self> {
        let mut next = Some(error);
        let mut chain = std::iter::from_fn(|| {
            let error = next?;
            next = error.source();
            Some(error)
        });
        chain.find_map(|error| {
            if let Some(ours) = error.downcast_ref::<Error>() {
                let (code, message) = (ours.code(), ours.message());
                return Some(Self { end: ours.end, code, message, request_id: ours.request_id() });
            }
            Self::in_official(error)
        })
    }
}

/// An error's type must be known to look into it: here are those of the operations that plans use.
macro_rules! official {
    ($($sdk:ident { $($operation:ident::$error:ident),+ $(,)? })+) => {
        impl<'a> Seen<'a> {
            fn in_official(error: &'a (dyn StdError + 'static)) -> Option<Self> {
                $($(
                    type $error = SdkError<$sdk::operation::$operation::$error, HttpResponse>;
                    if let Some(error) = error.downcast_ref::<$error>() {
                        return Some(Self::in_sdk_error(error));
                    }
                )+)+
                None
            }
        }
    };
}

official! {
    aws_sdk_elasticloadbalancingv2 {
        add_tags::AddTagsError,
        create_listener::CreateListenerError,
        create_load_balancer::CreateLoadBalancerError,
        create_rule::CreateRuleError,
        create_target_group::CreateTargetGroupError,
        delete_listener::DeleteListenerError,
        delete_load_balancer::DeleteLoadBalancerError,
        delete_rule::DeleteRuleError,
        delete_target_group::DeleteTargetGroupError,
        deregister_targets::DeregisterTargetsError,
        describe_listeners::DescribeListenersError,
        describe_load_balancer_attributes::DescribeLoadBalancerAttributesError,
        describe_load_balancers::DescribeLoadBalancersError,
        describe_rules::DescribeRulesError,
        describe_tags::DescribeTagsError,
        describe_target_group_attributes::DescribeTargetGroupAttributesError,
        describe_target_groups::DescribeTargetGroupsError,
        describe_target_health::DescribeTargetHealthError,
        modify_listener::ModifyListenerError,
        modify_load_balancer_attributes::ModifyLoadBalancerAttributesError,
        modify_rule::ModifyRuleError,
        modify_target_group::ModifyTargetGroupError,
        modify_target_group_attributes::ModifyTargetGroupAttributesError,
        register_targets::RegisterTargetsError,
        remove_tags::RemoveTagsError,
        set_security_groups::SetSecurityGroupsError,
    }
    aws_sdk_iam {
        add_role_to_instance_profile::AddRoleToInstanceProfileError,
        attach_role_policy::AttachRolePolicyError,
        create_instance_profile::CreateInstanceProfileError,
        create_role::CreateRoleError,
        delete_instance_profile::DeleteInstanceProfileError,
        delete_role::DeleteRoleError,
        delete_role_policy::DeleteRolePolicyError,
        detach_role_policy::DetachRolePolicyError,
        get_instance_profile::GetInstanceProfileError,
        get_role::GetRoleError,
        get_role_policy::GetRolePolicyError,
        list_attached_role_policies::ListAttachedRolePoliciesError,
        list_instance_profile_tags::ListInstanceProfileTagsError,
        list_instance_profiles::ListInstanceProfilesError,
        list_instance_profiles_for_role::ListInstanceProfilesForRoleError,
        list_role_policies::ListRolePoliciesError,
        list_role_tags::ListRoleTagsError,
        list_roles::ListRolesError,
        put_role_policy::PutRolePolicyError,
        remove_role_from_instance_profile::RemoveRoleFromInstanceProfileError,
        tag_instance_profile::TagInstanceProfileError,
        tag_role::TagRoleError,
    }
    aws_sdk_sts {
        get_caller_identity::GetCallerIdentityError,
    }
}

/// AWS's error code in `error` or one of its causes.
pub fn error_code<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a str> {
    Seen::within(error)?.code
}

/// True if AWS does not know what was named: it is gone, was never there, or is too new.
pub fn is_not_found(error: &(dyn StdError + 'static)) -> bool {
    error_code(error).is_some_and(|code| {
        code.ends_with("NotFound") || matches!(code, "NoSuchEntity" | "Gateway.NotAttached")
    })
}

/// True if the call may have had its effect all the same: the answer was lost, or AWS broke.
/// Look at the world before you repeat it.
pub fn is_ambiguous(error: &(dyn StdError + 'static)) -> bool {
    Seen::within(error).is_some_and(|seen| seen.end == End::Unknown)
}

/// True if the same call can never succeed: bad input, no permission. False for what time or
/// somebody else may mend: capacity, quotas, throttling, and things not found, which may be new.
pub fn is_permanent(error: &(dyn StdError + 'static)) -> bool {
    let Some(Seen { end: End::Refused, code: Some(code), message, .. }) = Seen::within(error)
    else {
        return false;
    };
    // RunInstances says this of an instance profile for some ten seconds after it was made.
    let about_profile = || message.is_some_and(|m| m.to_lowercase().contains("instanceprofile"));
    match code {
        "InvalidParameterValue" => !about_profile(),
        code => PERMANENT.contains(&code) || code.ends_with(".Malformed"),
    }
}

pub(crate) fn is_throttle(code: Option<&str>) -> bool {
    code.is_some_and(|code| THROTTLING_ERRORS.contains(&code))
}

/// From "Error codes for the Amazon EC2 API" and the API references of ELBv2, IAM and STS.
const PERMANENT: &[&str] = &[
    "AccessDenied",
    "AccessDeniedException",
    "AuthFailure",
    "Blocked",
    "IdempotentParameterMismatch",
    "InvalidAction",
    "InvalidBlockDeviceMapping",
    "InvalidClientTokenId",
    "InvalidConfigurationRequest",
    "InvalidInput",
    "InvalidLoadBalancerAction",
    "InvalidParameter",
    "InvalidParameterCombination",
    "InvalidSubnet.Range",
    "InvalidVpc.Range",
    "MalformedPolicyDocument",
    "MalformedQueryString",
    "MissingParameter",
    "OptInRequired",
    "SignatureDoesNotMatch",
    "UnauthorizedOperation",
    "UnknownParameter",
    "Unsupported",
    "UnsupportedOperation",
    "UnsupportedProtocol",
    "ValidationError",
];

#[cfg(test)]
mod tests {
    use aws_sdk_iam::operation::create_role::CreateRoleError;
    use aws_smithy_runtime_api::client::result::ConnectorError;
    use aws_smithy_runtime_api::http::StatusCode;
    use aws_smithy_types::body::SdkBody;
    use aws_smithy_types::error::ErrorMetadata;

    use super::*;

    type IamError = SdkError<CreateRoleError, HttpResponse>;

    fn refused(status: u16, code: &str, message: &str) -> IamError {
        let meta = ErrorMetadata::builder().code(code).message(message).build();
        let status = StatusCode::try_from(status).unwrap();
        let raw = HttpResponse::new(status, SdkBody::empty());
        SdkError::service_error(CreateRoleError::generic(meta), raw)
    }

    #[derive(Debug, thiserror::Error)]
    #[error("the step failed")]
    struct Wrapped(#[source] BoxError);

    #[test]
    fn the_code_is_found_in_an_sdk_error_in_ours_and_in_a_boxed_chain() {
        let sdk = refused(404, "NoSuchEntity", "no role");
        assert_eq!(error_code(&sdk), Some("NoSuchEntity"));
        let boxed = Wrapped(Box::new(sdk));
        assert_eq!(error_code(&boxed), Some("NoSuchEntity"));
        assert!(is_not_found(&boxed));
        let ours = Error::from(refused(404, "NoSuchEntity", "no role"));
        let boxed: BoxError = Box::new(Wrapped(Box::new(ours)));
        assert!(is_not_found(&*boxed));
        assert_eq!(error_code(&std::io::Error::other("?")), None);
    }

    #[test]
    fn an_answer_that_never_came_is_ambiguous_and_one_that_refused_is_not() {
        let lost: IamError = SdkError::dispatch_failure(ConnectorError::io("reset".into()));
        assert!(is_ambiguous(&lost));
        assert!(is_ambiguous(&Error::from(lost)));
        assert!(is_ambiguous(&IamError::timeout_error("slow")));
        assert!(is_ambiguous(&refused(500, "InternalError", "")));
        assert!(!is_ambiguous(&refused(503, "RequestLimitExceeded", "")));
        assert!(!is_ambiguous(&refused(400, "VpcLimitExceeded", "")));
        assert!(!is_ambiguous(&IamError::construction_failure("bad")));
    }

    #[test]
    fn permanent_is_what_neither_time_nor_others_can_mend() {
        for code in ["UnauthorizedOperation", "InvalidInstanceID.Malformed", "MissingParameter"] {
            assert!(is_permanent(&refused(400, code, "")), "{code}");
        }
        for code in
            ["InsufficientInstanceCapacity", "VpcLimitExceeded", "Throttling", "NoSuchEntity"]
        {
            assert!(!is_permanent(&refused(400, code, "")), "{code}");
        }
        assert!(is_permanent(&refused(400, "InvalidParameterValue", "Bad CIDR")));
        let profile = "Value (node) for parameter iamInstanceProfile.name is invalid.";
        assert!(!is_permanent(&refused(400, "InvalidParameterValue", profile)));
    }

    #[test]
    fn a_message_says_what_was_tried_what_aws_said_and_the_request_id() {
        let mut error = Error::from(refused(400, "VpcLimitExceeded", "Too many.")).of("CreateVpc");
        error.request_id = Some("r-1".into());
        assert_eq!(
            error.to_string(),
            "CreateVpc was refused by AWS: VpcLimitExceeded: Too many. (request r-1)"
        );
        let lost: IamError = SdkError::dispatch_failure(ConnectorError::io("reset".into()));
        let error = Error::from(lost);
        assert_eq!(error.to_string(), "the call got no clear answer from AWS");
        assert!(error.source().is_some());
    }
}
