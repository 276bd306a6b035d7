//! Holds each request back until its caller has recorded that it is about to be sent, so that a
//! crash cannot leave an effect in AWS without its span.
//!
//! Not for what is recorded; that is `record`. The surprise: it stands below the SDK's retries, so
//! each attempt waits, and above the network, so time spent here counts against the time-outs.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;

/// Is awaited before each attempt of each call. An error keeps the request from being sent, and
/// fails the call.
#[derive(Clone)]
pub struct BeforeSend(Arc<dyn Fn() -> Permission + Send + Sync>);

type Permission = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;

impl BeforeSend {
    /// Awaits what `ask` returns.
    ///
    /// ```
    /// use fixpoint_aws::{AwsOptions, BeforeSend};
    ///
    /// let recorded = || async { Ok(()) }; // a recorder's flush, say
    /// let options =
    ///     AwsOptions { before_send: Some(BeforeSend::new(recorded)), ..AwsOptions::default() };
    /// # let _ = options;
    /// ```
    pub fn new<F>(ask: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        Self(Arc::new(move || Box::pin(ask())))
    }
}

impl fmt::Debug for BeforeSend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BeforeSend")
    }
}

/// An HTTP client whose connectors ask first.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) before: BeforeSend,
    pub(crate) client: SharedHttpClient,
}

#[derive(Debug)]
struct GatedConnector {
    before: BeforeSend,
    connector: SharedHttpConnector,
}

impl HttpClient for Gate {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let connector = self.client.http_connector(settings, components);
        SharedHttpConnector::new(GatedConnector { before: self.before.clone(), connector })
    }
}

impl HttpConnector for GatedConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let permission = (self.before.0)();
        let connector = self.connector.clone();
        HttpConnectorFuture::new(async move {
            permission.await.map_err(ConnectorError::user)?;
            connector.call(request).await
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
        let before = BeforeSend::new(move || {
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
            gated(&script, BeforeSend::new(|| async { Err("the disk is full".into()) })).await;
        let error = aws.ec2.send(ec2::DescribeVpcs::default()).await.unwrap_err();
        assert!(fixpoint::Chain(&error).to_string().contains("the disk is full"), "{error:?}");
        assert_eq!(script.seen().len(), 0);
    }
}
