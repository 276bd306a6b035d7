//! Sends EC2 operations through the official SDK's orchestrator.
//!
//! Not here: what is sent; see the operations. Signing (Signature Version 4), standard retries,
//! time-outs, the clock-skew correction, the user agent and interceptors are the SDK's own parts,
//! put together as its generated clients do it. The surprise: only the serialiser, the
//! deserialiser and the endpoint's name are ours.

use std::marker::PhantomData;
use std::sync::Arc;
use std::{fmt, io};

use aws_runtime::auth::sigv4::{self, SigV4AuthScheme};
use aws_runtime::auth::{SigV4OperationSigningConfig, SigningOptions};
use aws_runtime::invocation_id::InvocationIdInterceptor;
use aws_runtime::request_info::RequestInfoInterceptor;
use aws_runtime::retries::classifiers::AwsErrorCodeClassifier;
use aws_runtime::service_clock_skew::{ServiceClockSkewClassifier, ServiceClockSkewInterceptor};
use aws_runtime::user_agent::{ApiMetadata, UserAgentInterceptor};
use aws_smithy_runtime::client::defaults::{DefaultPluginParams, default_plugins};
use aws_smithy_runtime::client::http::connection_poisoning::ConnectionPoisoningInterceptor;
use aws_smithy_runtime::client::orchestrator::{self, endpoints::StaticUriEndpointResolver};
use aws_smithy_runtime::client::retries::classifiers::{
    HttpStatusCodeClassifier, TransientErrorClassifier,
};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::auth::static_resolver::StaticAuthSchemeOptionResolver;
use aws_smithy_runtime_api::client::auth::{
    AuthSchemeOptionResolverParams, SharedAuthScheme, SharedAuthSchemeOptionResolver,
};
use aws_smithy_runtime_api::client::endpoint::{EndpointResolverParams, SharedEndpointResolver};
use aws_smithy_runtime_api::client::interceptors::SharedInterceptor;
use aws_smithy_runtime_api::client::interceptors::context::{
    Error as ErasedError, Input, Output as ErasedOutput,
};
use aws_smithy_runtime_api::client::orchestrator::{
    HttpRequest, HttpResponse, Metadata, OrchestratorError,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponentsBuilder;
use aws_smithy_runtime_api::client::runtime_plugin::{RuntimePlugins, StaticRuntimePlugin};
use aws_smithy_runtime_api::client::ser_de::{
    DeserializeResponse, SerializeRequest, SharedRequestSerializer, SharedResponseDeserializer,
};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::{ConfigBag, Layer};
use aws_smithy_types::error::ErrorMetadata;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_types::region::SigningRegion;
use aws_types::{SdkConfig, SigningName};

use super::endpoint::endpoint;
use super::operation::{Operation, Paged};
use super::wire;
use crate::error::Call;
use crate::{Error, Secret};

/// EC2, in one region, by one account's credentials. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    plugins: Arc<RuntimePlugins>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ec2::Client")
    }
}

impl Client {
    /// A client by `config`; `interceptors` see every call.
    pub(crate) fn new(
        config: &SdkConfig,
        interceptors: impl IntoIterator<Item = SharedInterceptor>,
    ) -> Self {
        let mut layer = Layer::new("ec2::Client");
        layer.store_put(API_METADATA.clone());
        layer.store_put(SigningName::from_static("ec2"));
        layer.store_put(EndpointResolverParams::new(()));
        layer.store_put(AuthSchemeOptionResolverParams::new(()));
        layer.store_put(SharedRequestSerializer::new(WriteForm));
        layer.store_put(SigV4OperationSigningConfig {
            signing_options: query_signing(),
            ..Default::default()
        });
        if let Some(region) = config.region() {
            layer.store_put(region.clone());
            layer.store_put(SigningRegion::from(region.clone()));
        }
        layer.store_or_unset(config.retry_config().cloned());
        layer.store_or_unset(config.timeout_config().cloned());
        layer.store_or_unset(config.app_name().cloned());

        let endpoint =
            SharedEndpointResolver::new(StaticUriEndpointResolver::uri(endpoint(config)));
        let mut parts = RuntimeComponentsBuilder::new("ec2::Client")
            .with_endpoint_resolver(Some(endpoint))
            .with_auth_scheme(SharedAuthScheme::new(SigV4AuthScheme::new()))
            .with_auth_scheme_option_resolver(Some(SharedAuthSchemeOptionResolver::new(
                StaticAuthSchemeOptionResolver::new(vec![sigv4::SCHEME_ID]),
            )))
            .with_http_client(config.http_client())
            .with_sleep_impl(config.sleep_impl())
            .with_time_source(config.time_source())
            .with_identity_cache(config.identity_cache())
            .with_retry_classifier(HttpStatusCodeClassifier::default())
            .with_retry_classifier(TransientErrorClassifier::<Refusal>::new())
            .with_retry_classifier(AwsErrorCodeClassifier::<Refusal>::new())
            .with_retry_classifier(ServiceClockSkewClassifier::<Refusal>::new())
            .with_interceptor(SharedInterceptor::permanent(ConnectionPoisoningInterceptor::new()))
            .with_interceptor(ServiceClockSkewInterceptor::new())
            .with_interceptor(RequestInfoInterceptor::new())
            .with_interceptor(UserAgentInterceptor::new())
            .with_interceptor(InvocationIdInterceptor::new());
        for interceptor in interceptors {
            parts.push_interceptor(interceptor);
        }
        if let Some(credentials) = config.credentials_provider() {
            parts.set_identity_resolver(sigv4::SCHEME_ID, credentials);
        }

        let region = config.region().map(AsRef::as_ref).unwrap_or("none");
        let mut defaults = DefaultPluginParams::new()
            .with_retry_partition_name(format!("ec2-{region}"))
            .with_is_aws_sdk(true);
        if let Some(version) = config.behavior_version() {
            defaults = defaults.with_behavior_version(version);
        }
        let plugins = RuntimePlugins::new()
            .with_client_plugins(default_plugins(defaults))
            .with_client_plugin(
                StaticRuntimePlugin::new()
                    .with_config(layer.freeze())
                    .with_runtime_components(parts),
            );
        Self { plugins: Arc::new(plugins) }
    }

    /// Sends `operation`.
    ///
    /// # Errors
    /// When AWS refuses it, or no clear answer comes ([`is_ambiguous`](crate::is_ambiguous)).
    pub async fn send<O: Operation>(&self, operation: O) -> Result<O::Output, Error> {
        self.call::<O>(wire::form(O::NAME, &operation, false)).await
    }

    /// Asks whether `operation` would be permitted and valid, without doing it. Not every
    /// operation knows dry runs, and a simulator may ignore the question and *do* it.
    ///
    /// # Errors
    /// Those that `operation` would have.
    pub async fn dry_run<O: Operation>(&self, operation: &O) -> Result<(), Error> {
        match self.call::<O>(wire::form(O::NAME, operation, true)).await {
            Err(error) if error.code() == Some("DryRunOperation") => Ok(()),
            Err(error) => Err(error),
            Ok(_) => Ok(()),
        }
    }

    /// Sends `operation` for each page of its answer and collects the items.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn all<O: Paged>(&self, mut operation: O) -> Result<Vec<O::Item>, Error> {
        let mut all = Vec::new();
        loop {
            let (items, next) = O::page(self.send(operation.clone()).await?);
            all.extend(items);
            // Some implementations end with an empty token.
            match next.filter(|token| !token.is_empty()) {
                Some(token) => operation.turn_to(token),
                None => return Ok(all),
            }
        }
    }

    async fn call<O: Operation>(
        &self,
        form: Result<String, serde_json::Error>,
    ) -> Result<O::Output, Error> {
        let call = Call("EC2", O::NAME);
        let form = Form(Secret::new(form.map_err(|error| Error::not_sent(call, &error))?));
        let mut layer = Layer::new(O::NAME);
        layer.store_put(Metadata::new(O::NAME, "EC2"));
        layer.store_put(SharedResponseDeserializer::new(Read::<O>(PhantomData)));
        let plugins = RuntimePlugins::clone(&self.plugins)
            .with_operation_plugin(StaticRuntimePlugin::new().with_config(layer.freeze()));
        // Boxed: the orchestrator's future is large, and callers hold many.
        let outcome = Box::pin(orchestrator::invoke("EC2", O::NAME, Input::erase(form), &plugins));
        match outcome.await {
            Ok(output) => output.downcast().map_err(|other| {
                let odd = io::Error::other(format!("{other:?} is of another operation"));
                Error::garbled(call, &odd)
            }),
            Err(error) => {
                let error = error.map_service_error(|refusal| {
                    refusal.downcast().unwrap_or_else(|other| Refusal::unknown(&other))
                });
                Err(Error::of(call, &error))
            }
        }
    }
}

static API_METADATA: ApiMetadata = ApiMetadata::new("ec2", env!("CARGO_PKG_VERSION"));

/// How the generated clients of Query services sign.
fn query_signing() -> SigningOptions {
    let mut options = SigningOptions::default();
    options.double_uri_encode = true;
    options.content_sha256_header = false;
    options.normalize_uri_path = true;
    options
}

/// The input, already written: user data in it must not show.
#[derive(Debug)]
struct Form(Secret<String>);

#[derive(Debug)]
struct WriteForm;

impl SerializeRequest for WriteForm {
    fn serialize_input(&self, input: Input, _: &mut ConfigBag) -> Result<HttpRequest, BoxError> {
        let form = input.downcast::<Form>().map_err(|_| "an input of another client")?;
        let mut request = HttpRequest::new(SdkBody::from(form.0.reveal().as_str()));
        request.set_method("POST")?;
        request.set_uri("/")?;
        request.headers_mut().insert("content-type", "application/x-www-form-urlencoded");
        Ok(request)
    }
}

struct Read<O>(PhantomData<fn() -> O>);

impl<O: Operation> fmt::Debug for Read<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Read<{}>", O::NAME)
    }
}

impl<O: Operation> DeserializeResponse for Read<O> {
    fn deserialize_nonstreaming(
        &self,
        response: &HttpResponse,
    ) -> Result<ErasedOutput, OrchestratorError<ErasedError>> {
        let bytes = response.body().bytes().unwrap_or_default();
        let text = std::str::from_utf8(bytes)
            .map_err(|error| OrchestratorError::response(error.into()))?;
        if !response.status().is_success() {
            return Err(OrchestratorError::operation(ErasedError::erase(Refusal::read(text))));
        }
        quick_xml::de::from_str::<O::Output>(text)
            .map(ErasedOutput::erase)
            .map_err(|error| OrchestratorError::response(error.into()))
    }
}

/// EC2's answer when it refuses. EC2 does not model its errors: code and message are all.
#[derive(Debug, thiserror::Error)]
#[error("{meta}")]
struct Refusal {
    meta: ErrorMetadata,
}

impl Refusal {
    fn read(body: &str) -> Self {
        let fault = wire::fault(body);
        let mut meta = ErrorMetadata::builder();
        if let Some(code) = fault.code {
            meta = meta.code(code);
        }
        if let Some(message) = fault.message {
            meta = meta.message(message);
        }
        if let Some(id) = fault.request_id {
            // The key under which `aws_types::request_id` looks.
            meta = meta.custom("aws_request_id", id);
        }
        Self { meta: meta.build() }
    }

    fn unknown(error: &ErasedError) -> Self {
        Self { meta: ErrorMetadata::builder().message(error.to_string()).build() }
    }
}

impl ProvideErrorMetadata for Refusal {
    fn meta(&self) -> &ErrorMetadata {
        &self.meta
    }
}
