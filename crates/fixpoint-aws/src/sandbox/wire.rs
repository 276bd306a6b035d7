//! The wire: what a request asks for, and answers in the words of its protocol.
//!
//! Not for operations, which are in `ec2`, `elbv2`, `iam` and `sts`. The surprise: the service and
//! the region stand in the request's signature, not in its address, so any endpoint will do.

use std::time::SystemTime;

use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::date_time::{DateTime, Format};

use super::call::{Answer, Call};
use super::params::Params;
use super::refusal::Refusal;
use super::xml::escape;
use super::{ec2, elbv2, iam, sts};

/// What goes back to the SDK; the error is for statuses that HTTP does not have.
pub(super) type Response = Result<HttpResponse, ConnectorError>;

/// A service that the sandbox plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    Ec2,
    Elb,
    Iam,
    Sts,
}

impl Service {
    fn of_scope(name: &str) -> Option<Self> {
        match name {
            "ec2" => Some(Service::Ec2),
            "elasticloadbalancing" => Some(Service::Elb),
            "iam" => Some(Service::Iam),
            "sts" => Some(Service::Sts),
            _ => None,
        }
    }

    /// Names the service as spans and fault rules do.
    pub(super) fn name(self) -> &'static str {
        match self {
            Service::Ec2 => "EC2",
            Service::Elb => "ELBv2",
            Service::Iam => "IAM",
            Service::Sts => "STS",
        }
    }

    /// Names the elements of lists.
    pub(super) fn item(self) -> &'static str {
        if self == Service::Ec2 { "item" } else { "member" }
    }

    fn namespace(self) -> &'static str {
        match self {
            Service::Ec2 => "http://ec2.amazonaws.com/doc/2016-11-15/",
            Service::Elb => "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/",
            Service::Iam => "https://iam.amazonaws.com/doc/2010-05-08/",
            Service::Sts => "https://sts.amazonaws.com/doc/2011-06-15/",
        }
    }

    /// Runs an operation.
    pub(super) fn handle(self, operation: &str, call: &mut Call<'_>) -> Answer {
        match self {
            Service::Ec2 => ec2::handle(operation, call),
            Service::Elb => elbv2::handle(operation, call),
            Service::Iam => iam::handle(operation, call),
            Service::Sts => sts::handle(operation, call),
        }
    }
}

/// A request, read.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) service: Service,
    pub(super) region: String,
    pub(super) action: String,
    pub(super) params: Params,
}

impl Request {
    /// Reads a request; its signature is looked at but not checked.
    pub(super) fn read(request: &HttpRequest) -> Result<Self, Refusal> {
        let unsigned = || {
            Refusal::new("MissingAuthenticationToken", "Request is missing Authentication Token")
                .with_status(403)
        };
        let header = request.headers().get("authorization").ok_or_else(unsigned)?;
        let scope = header.split_once("Credential=").ok_or_else(unsigned)?.1;
        let scope = scope.split(',').next().unwrap_or_default();
        let mut parts = scope.split('/').skip(2);
        let region = parts.next().filter(|region| !region.is_empty()).ok_or_else(unsigned)?;
        let name = parts.next().unwrap_or_default();
        let service = Service::of_scope(name).ok_or_else(|| {
            Refusal::new("UnknownService", format!("The sandbox does not play '{name}'"))
        })?;
        let params = Params::parse(request.body().bytes().unwrap_or_default());
        let action = params
            .text("Action")
            .ok_or_else(|| Refusal::new("MissingAction", "The request is missing an action"))?;
        Ok(Request { service, region: region.to_owned(), action: action.to_owned(), params })
    }

    /// Names the operation, e.g. `EC2.CreateVpc`.
    pub(super) fn operation(&self) -> String {
        format!("{}.{}", self.service.name(), self.action)
    }

    /// Tells whether the caller only asks if the call would succeed.
    pub(super) fn is_dry(&self) -> Result<bool, Refusal> {
        Ok(self.service == Service::Ec2 && self.params.flag("DryRun")? == Some(true))
    }

    /// Wraps the answer of a handler into an HTTP answer.
    pub(super) fn answer(&self, answer: Answer, id: &str) -> Response {
        match answer {
            Ok(xml) => {
                let (action, namespace) = (&self.action, self.service.namespace());
                let inner = xml.into_text();
                let body = match self.service {
                    Service::Ec2 => format!("<requestId>{id}</requestId>{inner}"),
                    _ => format!(
                        "<{action}Result>{inner}</{action}Result><ResponseMetadata>\
                         <RequestId>{id}</RequestId></ResponseMetadata>"
                    ),
                };
                let body =
                    format!("<{action}Response xmlns=\"{namespace}\">{body}</{action}Response>");
                http(200, body, id)
            }
            Err(refusal) => refuse(Some(self.service), &refusal, id),
        }
    }
}

/// Wraps a refusal into an HTTP answer.
pub(super) fn refuse(service: Option<Service>, refusal: &Refusal, id: &str) -> Response {
    let error = format!(
        "<Code>{}</Code><Message>{}</Message>",
        escape(&refusal.code),
        escape(&refusal.message)
    );
    let fault = if refusal.status < 500 { "Sender" } else { "Receiver" };
    let body = match service {
        Some(Service::Ec2) | None => format!(
            "<Response><Errors><Error>{error}</Error></Errors><RequestID>{id}</RequestID>\
             </Response>"
        ),
        Some(_) => format!(
            "<ErrorResponse><Error><Type>{fault}</Type>{error}</Error>\
             <RequestId>{id}</RequestId></ErrorResponse>"
        ),
    };
    http(refusal.status, body, id)
}

fn http(status: u16, body: String, id: &str) -> Response {
    let body = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{body}");
    let status = status.try_into().map_err(|error| ConnectorError::user(Box::new(error)))?;
    let mut response = HttpResponse::new(status, SdkBody::from(body));
    let headers = response.headers_mut();
    headers.insert("content-type", "text/xml;charset=UTF-8");
    headers.insert("x-amzn-requestid", id.to_owned());
    // The wall's time, not the world's: the SDK corrects its own clock by this header.
    let now = DateTime::from(SystemTime::now());
    if let Ok(date) = now.fmt(Format::HttpDate) {
        headers.insert("date", date);
    }
    Ok(response)
}
