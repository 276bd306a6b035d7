//! The clients a plan needs, all made in one place, so that none can escape recording.
//!
//! Not here: what is called. The surprise: with an HTTP client of its own (the sandbox, a test)
//! nothing is read from the environment, not even the region.

use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::tls;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::interceptors::SharedInterceptor;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;
use aws_types::region::Region;
use fixpoint::Pace;

use crate::ec2;
use crate::gate::{BeforeSend, Gate};
use crate::limits::{Learner, Limits, Share};
use crate::record::CallRecorder;
use crate::retry::NotTwice;
use crate::sandbox::Sandbox;

/// AWS, in one region, by one account's credentials. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Aws {
    /// Compute and networks.
    pub ec2: ec2::Client,
    /// Load balancing.
    pub elb: aws_sdk_elasticloadbalancingv2::Client,
    /// Roles and instance profiles.
    pub iam: aws_sdk_iam::Client,
    /// Who we are.
    pub sts: aws_sdk_sts::Client,
    region: String,
    limits: Limits,
}

/// How to reach AWS. By default as the AWS command line would: the credential chain and the
/// region of environment, profile, or machine.
#[derive(Debug, Clone, Default)]
pub struct AwsOptions {
    /// `eu-west-1`, ...; of the environment if `None` (of the sandbox: `eu-west-1`).
    pub region: Option<String>,
    /// One address for all services: a simulator.
    pub endpoint_url: Option<String>,
    /// Use these and no others.
    pub credentials: Option<Credentials>,
    /// A cloud in this process instead of AWS.
    pub sandbox: Option<Sandbox>,
    /// What carries requests instead of the network; for tests. The sandbox goes before it.
    pub http_client: Option<SharedHttpClient>,
    /// The pace of the world; waits between attempts keep it.
    pub pace: Pace,
    /// Awaited before each attempt of each call: what cannot be recorded is not done.
    pub before_send: Option<BeforeSend>,
    /// How much of AWS's quotas may be used.
    pub share: Share,
}

const SANDBOX_REGION: &str = "eu-west-1";

/// One attempt, in world time; `DescribeImages` may take some seconds.
const ATTEMPT: Duration = Duration::from_secs(30);
/// A call with all its attempts and its waits for its turn, in world time. Longer than any queue
/// that a server's runs can make; what is sent has time-outs of its own.
const CALL: Duration = Duration::from_secs(15 * 60);
/// No pace makes a time-out shorter than this on the wall: the process itself is not paced.
const SHORTEST: Duration = Duration::from_secs(2);

impl Aws {
    /// Makes the clients. Sends nothing to AWS, though the credential chain may look around.
    pub async fn connect(options: AwsOptions) -> Self {
        let limits = Limits::new(options.pace, options.share);
        let config = config(options, &limits).await;
        // Permanent: no operation's own config can switch them off.
        let recorder = SharedInterceptor::permanent(CallRecorder);
        let not_twice = SharedInterceptor::permanent(NotTwice);
        let learner = SharedInterceptor::permanent(Learner(limits.clone()));
        macro_rules! official {
            ($sdk:ident) => {
                $sdk::Client::from_conf(
                    $sdk::config::Builder::from(&config)
                        .interceptor(recorder.clone())
                        .interceptor(not_twice.clone())
                        .interceptor(learner.clone())
                        .build(),
                )
            };
        }
        Self {
            ec2: ec2::Client::new(&config, [recorder.clone(), not_twice.clone(), learner.clone()]),
            elb: official!(aws_sdk_elasticloadbalancingv2),
            iam: official!(aws_sdk_iam),
            sts: official!(aws_sdk_sts),
            region: config.region().map(ToString::to_string).unwrap_or_default(),
            limits,
        }
    }

    /// The region; empty if none is set anywhere.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The limits that all these clients keep together.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }
}

async fn config(options: AwsOptions, limits: &Limits) -> SdkConfig {
    let AwsOptions { region, endpoint_url, credentials, sandbox, http_client, pace, .. } = options;
    let retry = RetryConfig::standard()
        .with_max_attempts(4)
        .with_initial_backoff(pace.wall(Duration::from_secs(1)))
        .with_max_backoff(pace.wall(Duration::from_secs(20)));
    let timeout = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(5))
        .operation_timeout(pace.wall(CALL).max(4 * SHORTEST))
        .build();

    let (before, limits) = (options.before_send, limits.clone());
    // Here and not in the SDK's settings: its clock would run while a call waits for its turn.
    let limit = pace.wall(ATTEMPT).max(SHORTEST);
    let gated =
        |client: SharedHttpClient| SharedHttpClient::new(Gate { limits, before, limit, client });
    let http_client = sandbox.map(SharedHttpClient::new).or(http_client);
    if let Some(http_client) = http_client {
        let credentials =
            credentials.unwrap_or_else(|| Credentials::from_keys("sandbox", "sandbox", None));
        let mut builder = SdkConfig::builder();
        builder.set_endpoint_url(endpoint_url);
        return builder
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(region.unwrap_or_else(|| SANDBOX_REGION.to_owned())))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .http_client(gated(http_client))
            .sleep_impl(TokioSleep::new())
            .retry_config(retry)
            .timeout_config(timeout)
            .build();
    }
    let mut loader =
        aws_config::defaults(BehaviorVersion::latest()).retry_config(retry).timeout_config(timeout);
    loader = loader.http_client(gated(https()));
    if let Some(region) = region {
        loader = loader.region(Region::new(region));
    }
    if let Some(url) = endpoint_url {
        loader = loader.endpoint_url(url);
    }
    if let Some(credentials) = credentials {
        loader = loader.credentials_provider(credentials);
    }
    loader.load().await
}

/// The client that the SDK would make for itself, made here because it is to stand behind a gate.
fn https() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc))
        .build_https()
}
