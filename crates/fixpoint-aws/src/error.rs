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

use crate::failure::{End, Reason, Said, garbled, unanswered};

/// A call that failed: what was called, and what AWS said or why it said nothing.
///
/// `EC2.CreateVpc: VpcLimitExceeded: Too many. (request id 1b2c)`. At most one cause lies beneath,
/// why no answer came: `IAM.GetRole: AWS is not reachable`, because of `connection refused`.
#[derive(Debug)]
pub struct Error {
    call: Call,
    end: End,
    // Boxed: callers hold many results, and the error must not be the larger part.
    code: Option<Box<str>>,
    message: Option<Box<str>>,
    request_id: Option<Box<str>>,
    reason: Option<Reason>,
}

/// What was called, `EC2.CreateVpc`: service and operation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call(pub(crate) &'static str, pub(crate) &'static str);

impl Call {
    /// The official clients name an operation's error after it: `CreateRoleError`.
    fn that_fails_with(service: &'static str, error: &'static str) -> Self {
        Self(service, error.strip_suffix("Error").unwrap_or(error))
    }

    /// True if it changes nothing, so that there is no effect to be in doubt about.
    fn is_read(self) -> bool {
        is_read(self.1)
    }
}

/// Whether an operation changes nothing.
pub(crate) fn is_read(operation: &str) -> bool {
    ["Describe", "Get", "List"].iter().any(|verb| operation.starts_with(verb))
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
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

    /// What the SDK says of `call`, without its layers.
    pub(crate) fn of<E>(call: Call, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: StdError + ProvideErrorMetadata + 'static,
    {
        Self::seen(call, Seen::in_sdk_error(error))
    }

    /// A call that could not be written down.
    pub(crate) fn not_sent(call: Call, source: &(dyn StdError + 'static)) -> Self {
        Self::seen(call, Seen::silent(End::NotSent, Reason::innermost(source)))
    }

    /// A call whose answer makes no sense.
    pub(crate) fn garbled(call: Call, source: &(dyn StdError + 'static)) -> Self {
        Self::seen(call, Seen::silent(End::Garbled, Reason::innermost(source)))
    }

    fn seen(call: Call, seen: Seen<'_>) -> Self {
        let Seen { end, said: Said { code, message, request_id }, reason } = seen;
        let [code, message, request_id] =
            [code, message, request_id].map(|text| text.map(Box::from));
        Self { call, end, code, message, request_id, reason }
    }

    fn said(&self) -> Said<'_> {
        Said { code: self.code(), message: self.message(), request_id: self.request_id() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let in_doubt = !self.call.is_read();
        write!(f, "{}", self.call)?;
        f.write_str(match self.end {
            End::NotSent => " could not be sent",
            End::Unreachable => ": AWS is not reachable",
            End::Broke | End::Lost | End::Garbled if in_doubt => " got no clear answer from AWS",
            End::Lost => ": AWS is not reachable",
            End::Garbled => " got an answer that makes no sense",
            End::Refused | End::Broke if self.reason.is_some() => " was refused",
            End::Refused | End::Broke => "",
        })?;
        // Who gives a reason of ours has no word of AWS's to give.
        if self.reason.is_some() { Ok(()) } else { write!(f, ": {}", self.said()) }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.reason.as_ref().map(Reason::as_error)
    }
}

/// An error of an official client in our plain form ([`Error`]), any other error as it is.
///
/// The SDK's own chain has a layer that says nothing ("service error"), one that says it again,
/// and one that prints a struct.
pub fn plain(error: impl Into<BoxError>) -> BoxError {
    let error = error.into();
    match Seen::in_official(&*error) {
        Some((call, seen)) => Error::seen(call, seen).into(),
        None => error,
    }
}

/// What can be told from an error.
struct Seen<'a> {
    end: End,
    said: Said<'a>,
    /// Why AWS said nothing.
    reason: Option<Reason>,
}

impl<'a> Seen<'a> {
    fn silent(end: End, reason: Reason) -> Self {
        let said = Said { code: None, message: None, request_id: None };
        Self { end, said, reason: Some(reason) }
    }

    fn in_sdk_error<E>(error: &'a SdkError<E, HttpResponse>) -> Self
    where
        E: StdError + ProvideErrorMetadata + 'static,
    {
        let (end, reason) = match error {
            SdkError::ServiceError(refusal) => {
                let status = refusal.raw().status();
                let broke = status.is_server_error() && !is_throttle(error.code());
                let wordless = error.code().is_none() && error.message().is_none();
                let reason = wordless.then(|| Reason::wordless(status.as_u16()));
                (if broke { End::Broke } else { End::Refused }, reason)
            }
            SdkError::ConstructionFailure(_) => (End::NotSent, Some(Reason::innermost(error))),
            SdkError::ResponseError(_) => {
                let (end, reason) = garbled(error);
                (end, Some(reason))
            }
            _ => {
                let (end, reason) = unanswered(error);
                (end, Some(reason))
            }
        };
        let meta = error.meta();
        let request_id = error.request_id().or_else(|| meta.request_id());
        let said = Said { code: meta.code(), message: meta.message(), request_id };
        Self { end, said, reason }
    }

    /// Looks through `error` and its causes.
    fn within(error: &'a (dyn StdError + 'static)) -> Option<Self> {
        let mut chain = std::iter::successors(Some(error), |&error| error.source());
        chain.find_map(|error| {
            if let Some(ours) = error.downcast_ref::<Error>() {
                return Some(Self { end: ours.end, said: ours.said(), reason: None });
            }
            Self::in_official(error).map(|(_, seen)| seen)
        })
    }
}

/// An error's type must be known to look into it: here are those of the operations that plans use.
macro_rules! official {
    ($($service:literal $sdk:ident { $($operation:ident::$error:ident),+ $(,)? })+) => {
        $($(impl From<SdkError<$sdk::operation::$operation::$error, HttpResponse>> for Error {
            fn from(error: SdkError<$sdk::operation::$operation::$error, HttpResponse>) -> Self {
                Self::of(Call::that_fails_with($service, stringify!($error)), &error)
            }
        })+)+

        impl<'a> Seen<'a> {
            fn in_official(error: &'a (dyn StdError + 'static)) -> Option<(Call, Self)> {
                $($(
                    type $error = SdkError<$sdk::operation::$operation::$error, HttpResponse>;
                    if let Some(error) = error.downcast_ref::<$error>() {
                        let call = Call::that_fails_with($service, stringify!($error));
                        return Some((call, Self::in_sdk_error(error)));
                    }
                )+)+
                None
            }
        }
    };
}

official! {
    "ELBv2" aws_sdk_elasticloadbalancingv2 {
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
    "IAM" aws_sdk_iam {
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
    "STS" aws_sdk_sts {
        get_caller_identity::GetCallerIdentityError,
    }
}

/// AWS's error code in `error` or one of its causes.
pub fn error_code<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a str> {
    Seen::within(error)?.said.code
}

/// True if AWS does not know what was named: it is gone, was never there, or is too new.
pub fn is_not_found(error: &(dyn StdError + 'static)) -> bool {
    error_code(error).is_some_and(|code| {
        code.ends_with("NotFound") || matches!(code, "NoSuchEntity" | "Gateway.NotAttached")
    })
}

/// True if the call may have had its effect all the same: the answer was lost, or AWS broke.
/// Look at the world before you repeat it.
///
/// Goes by the last attempt. One before it whose answer was lost too was of a call that is safe to
/// repeat, since the SDK repeats no other ([`retry`](crate::retry)).
pub fn is_ambiguous(error: &(dyn StdError + 'static)) -> bool {
    Seen::within(error)
        .is_some_and(|seen| matches!(seen.end, End::Broke | End::Lost | End::Garbled))
}

/// True if the same call can never succeed: bad input, no permission. False for what time or
/// somebody else may mend: capacity, quotas, throttling, and things not found, which may be new.
pub fn is_permanent(error: &(dyn StdError + 'static)) -> bool {
    let Some(Seen { end: End::Refused, said, .. }) = Seen::within(error) else { return false };
    let Said { code: Some(code), message, .. } = said else { return false };
    // RunInstances says this of an instance profile for some ten seconds after it was made.
    let about_profile = || message.is_some_and(|m| m.to_lowercase().contains("instanceprofile"));
    match code {
        "InvalidParameterValue" => !about_profile(),
        code => PERMANENT.contains(&code) || code.ends_with(".Malformed"),
    }
}

/// The code of a refusal. All four services refuse in XML, with one code.
pub(crate) fn code_of(response: &HttpResponse) -> Option<&str> {
    let body = std::str::from_utf8(response.body().bytes()?).ok()?;
    Some(body.split_once("<Code>")?.1.split_once("</Code>")?.0)
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
    use std::io::{self, ErrorKind};

    use aws_sdk_elasticloadbalancingv2::operation::describe_listeners::DescribeListenersError;
    use aws_sdk_iam::operation::create_role::CreateRoleError;
    use aws_sdk_iam::operation::get_role::GetRoleError;
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

    fn broken<E>(kind: ErrorKind) -> SdkError<E, HttpResponse> {
        SdkError::dispatch_failure(ConnectorError::io(io::Error::from(kind).into()))
    }

    fn chain(error: impl Into<BoxError>) -> String {
        fixpoint::Chain(&*plain(error)).to_string()
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
        let ours = plain(refused(404, "NoSuchEntity", "no role"));
        let boxed: BoxError = Box::new(Wrapped(ours));
        assert!(is_not_found(&*boxed));
        assert_eq!(error_code(&std::io::Error::other("?")), None);
    }

    #[test]
    fn an_answer_that_never_came_is_ambiguous_and_one_that_refused_is_not() {
        let lost = broken::<CreateRoleError>(ErrorKind::ConnectionReset);
        assert!(is_ambiguous(&lost));
        assert!(is_ambiguous(&*plain(lost)));
        let not_reached = broken::<CreateRoleError>(ErrorKind::ConnectionRefused);
        assert!(!is_ambiguous(&not_reached));
        assert!(!is_ambiguous(&*plain(not_reached)));
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
    fn a_refusal_is_one_line_of_call_code_message_and_request_id() {
        let meta = ErrorMetadata::builder().code("LimitExceeded").message("Too many.");
        let meta = meta.custom("aws_request_id", "r-1").build();
        let raw = HttpResponse::new(StatusCode::try_from(409).unwrap(), SdkBody::empty());
        let error: IamError = SdkError::service_error(CreateRoleError::generic(meta), raw);
        let wanted = "IAM.CreateRole: LimitExceeded: Too many. (request id r-1)";
        assert_eq!(chain(error), wanted);
        // The same if it has been made plain before.
        assert_eq!(chain(plain(refused(400, "A", "b"))), "IAM.CreateRole: A: b");
        assert_eq!(
            chain(refused(500, "ServiceFailure", "Oh.")),
            "IAM.CreateRole got no clear answer from AWS: ServiceFailure: Oh."
        );
    }

    #[test]
    fn a_refusal_of_a_proxy_is_told_by_its_status() {
        let generic = CreateRoleError::generic(ErrorMetadata::builder().build());
        let raw = HttpResponse::new(StatusCode::try_from(403).unwrap(), SdkBody::empty());
        let error: IamError = SdkError::service_error(generic, raw);
        assert_eq!(chain(error), "IAM.CreateRole was refused: HTTP 403 without a reason");
    }

    #[test]
    fn only_a_change_whose_effect_is_unknown_got_no_clear_answer() {
        let reset = ErrorKind::ConnectionReset;
        assert_eq!(
            chain(broken::<CreateRoleError>(reset)),
            "IAM.CreateRole got no clear answer from AWS: connection reset before an answer came"
        );
        assert_eq!(
            chain(broken::<DescribeListenersError>(reset)),
            "ELBv2.DescribeListeners: AWS is not reachable: connection reset before an answer came"
        );
        let refused = ErrorKind::ConnectionRefused;
        for error in
            [plain(broken::<CreateRoleError>(refused)), plain(broken::<GetRoleError>(refused))]
        {
            let text = chain(error);
            assert!(text.ends_with(": AWS is not reachable: connection refused"), "{text}");
        }
    }

    #[test]
    fn an_error_of_another_kind_stays_as_it_is() {
        assert_eq!(chain(Wrapped("out of paper".into())), "the step failed: out of paper");
    }
}
