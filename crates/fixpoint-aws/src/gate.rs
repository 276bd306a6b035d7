//! Holds each request back until it is its turn (`limits`) and until its caller has recorded that
//! it is about to be sent, so that a crash cannot leave an effect in AWS without its span.
//!
//! Not for what is recorded; that is `record`. The surprise: it stands below the SDK's retries, so
//! each attempt waits, and it is what gives an attempt its time, since the SDK's clock would run
//! while it waits.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;

use crate::limits::{Addressee, Limits};

/// Is awaited before each attempt of each call. An error keeps the request from being sent, and
/// fails the call.
#[derive(Clone)]
pub struct BeforeSend(Arc<dyn Fn(Outgoing) -> Permission + Send + Sync>);

/// What is about to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outgoing {
    /// Whether it may change something. What is not known to be a read may.
    pub changes: bool,
}

type Permission = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;

impl BeforeSend {
    /// Awaits what `ask` returns.
    ///
    /// ```
    /// use fixpoint_aws::{AwsOptions, BeforeSend};
    ///
    /// let recorded = |_| async { Ok(()) }; // a recorder's flush, say
    /// let options =
    ///     AwsOptions { before_send: Some(BeforeSend::new(recorded)), ..AwsOptions::default() };
    /// # let _ = options;
    /// ```
    pub fn new<F>(ask: impl Fn(Outgoing) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        Self(Arc::new(move |outgoing| Box::pin(ask(outgoing))))
    }
}

impl fmt::Debug for BeforeSend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BeforeSend")
    }
}

/// An HTTP client whose requests wait for their turn, ask whether they may be sent, and then have
/// their time.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) limits: Limits,
    pub(crate) before: Option<BeforeSend>,
    /// How long an attempt may take once it is sent.
    pub(crate) limit: Duration,
    pub(crate) client: SharedHttpClient,
}

#[derive(Debug)]
struct GatedConnector {
    limits: Limits,
    before: Option<BeforeSend>,
    limit: Duration,
    connector: SharedHttpConnector,
}

/// In the SDK's words for its own time-outs, so that both are told alike.
#[derive(Debug, thiserror::Error)]
#[error("attempt timeout occurred after {0:?}")]
struct TimedOut(Duration);

impl HttpClient for Gate {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let (limits, before) = (self.limits.clone(), self.before.clone());
        let connector = self.client.http_connector(settings, components);
        SharedHttpConnector::new(GatedConnector { limits, before, limit: self.limit, connector })
    }
}

impl HttpConnector for GatedConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (limits, before) = (self.limits.clone(), self.before.clone());
        let (connector, limit) = (self.connector.clone(), self.limit);
        HttpConnectorFuture::new(async move {
            let addressee = Addressee::of(&request);
            if let Some(addressee) = &addressee {
                limits.turn(addressee).await.map_err(|error| ConnectorError::user(error.into()))?;
            }
            // After the wait, so that the wait is recorded, too.
            if let Some(BeforeSend(ask)) = before {
                let changes = !addressee.is_some_and(|addressee| addressee.is_read());
                ask(Outgoing { changes }).await.map_err(ConnectorError::user)?;
            }
            match tokio::time::timeout(limit, connector.call(request)).await {
                Ok(answer) => answer,
                Err(_) => Err(ConnectorError::timeout(TimedOut(limit).into())),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::testing::{Attempt, Script};
    use crate::{Aws, AwsOptions, ec2};

    async fn gated(script: &Script, before: BeforeSend) -> Aws {
        Aws::connect(AwsOptions {
            http_client: Some(SharedHttpClient::new(script.clone())),
            before_send: Some(before),
            pace: fixpoint::Pace::times(1000.0),
            ..AwsOptions::default()
        })
        .await
    }

    #[tokio::test]
    async fn no_request_of_any_service_leaves_before_it_may() {
        let script = Script::new([
            Attempt::Answer(200, "<DescribeVpcsResponse/>".into()),
            Attempt::Answer(
                200,
                "<GetCallerIdentityResponse><GetCallerIdentityResult/></GetCallerIdentityResponse>"
                    .into(),
            ),
        ]);
        let sent_when_asked = Arc::new(Mutex::new(Vec::new()));
        let (seen, asked) = (script.clone(), sent_when_asked.clone());
        let before = BeforeSend::new(move |_| {
            let (seen, asked) = (seen.clone(), asked.clone());
            async move {
                tokio::task::yield_now().await;
                asked.lock().unwrap().push(seen.seen().len());
                Ok(())
            }
        });
        let aws = gated(&script, before).await;
        aws.ec2.send(ec2::DescribeVpcs::default()).await.unwrap();
        aws.sts.get_caller_identity().send().await.unwrap();
        assert_eq!(*sent_when_asked.lock().unwrap(), [0, 1]);
        assert_eq!(script.seen().len(), 2);
    }

    #[tokio::test]
    async fn what_cannot_be_recorded_is_not_sent() {
        let script = Script::new([Attempt::Answer(200, "<DescribeVpcsResponse/>".into())]);
        let aws =
            gated(&script, BeforeSend::new(|_| async { Err("the disk is full".into()) })).await;
        let error = aws.ec2.send(ec2::DescribeVpcs::default()).await.unwrap_err();
        assert!(fixpoint::Chain(&error).to_string().contains("the disk is full"), "{error:?}");
        assert_eq!(script.seen().len(), 0);
    }
    #[tokio::test]
    async fn who_is_asked_is_told_whether_something_may_change() {
        let script = Script::new([Attempt::Answer(200, "<DescribeVpcsResponse/>".into())]);
        let before = BeforeSend::new(|outgoing| async move {
            if outgoing.changes { Err("this only looks".into()) } else { Ok(()) }
        });
        let aws = gated(&script, before).await;
        aws.ec2.send(ec2::DescribeVpcs::default()).await.unwrap();
        let error = aws.ec2.send(ec2::DeleteVpc::default()).await.unwrap_err();
        assert!(fixpoint::Chain(&error).to_string().contains("this only looks"), "{error:?}");
        let error = aws.iam.delete_role().role_name("r").send().await.unwrap_err();
        assert!(fixpoint::Chain(&error).to_string().contains("this only looks"), "{error:?}");
        assert_eq!(script.seen().len(), 1);
    }
}
