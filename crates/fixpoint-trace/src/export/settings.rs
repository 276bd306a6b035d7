//! Where copies go, and how, as the standard `OTEL_EXPORTER_OTLP_*` variables say it.
//!
//! <https://opentelemetry.io/docs/specs/otel/protocol/exporter/>. Not here: reading the process's
//! environment; the variables are looked up by whoever calls. The surprise: a signal is copied only
//! if an endpoint is named for it. The specification's default is this very machine, where the
//! receiver is most likely our own.

use std::{fmt, fs, net::SocketAddr, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;
use reqwest::{Certificate, Identity, Url};

use crate::store::Signal;

const TIMEOUT: Duration = Duration::from_secs(10);

/// The variables do not say how to export.
#[derive(Debug, thiserror::Error)]
#[error("could not make sense of {variable}")]
pub struct SettingsError {
    variable: String,
    #[source]
    source: Box<dyn std::error::Error + Send + Sync>,
}

/// Where spans and log lines are to be copied. Its `Debug` shows no header: those hold tokens.
#[derive(Debug)]
pub struct Settings {
    pub(super) targets: Vec<Target>,
}

/// Where one signal goes.
pub(super) struct Target {
    pub(super) signal: Signal,
    pub(super) protocol: Protocol,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) timeout: Duration,
    pub(super) gzip: bool,
    pub(super) certificates: Vec<Certificate>,
    pub(super) identity: Option<Identity>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Http,
    Grpc,
}

impl Settings {
    /// The settings in the variables that `lookup` finds; none if they name no collector.
    ///
    /// # Errors
    /// If a variable has no meaning, or a file it names cannot be read. No value is in the error.
    pub fn from_variables(
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, SettingsError> {
        let mut targets = Vec::new();
        for signal in [Signal::Traces, Signal::Logs] {
            let variables = Variables { lookup: &lookup, signal };
            if variables.wanted() {
                targets.extend(variables.target()?);
            }
        }
        Ok((!targets.is_empty()).then_some(Self { targets }))
    }

    /// The first of the addresses to which copies would go: exporting from a server to its own
    /// receiver would never end. A name that cannot be resolved leads to none of them.
    pub async fn leads_to(&self, listening: &[SocketAddr]) -> Option<SocketAddr> {
        for target in &self.targets {
            let (host, port) = (target.url.host_str()?, target.url.port_or_known_default()?);
            // An IPv6 address stands in brackets in a URL, and without them everywhere else.
            let host = host.trim_matches(['[', ']']);
            let Ok(resolved) = tokio::net::lookup_host((host, port)).await else { continue };
            for to in resolved {
                let found = listening.iter().find(|own| is_same(**own, to));
                if let Some(own) = found {
                    return Some(*own);
                }
            }
        }
        None
    }
}

/// Whether who connects to `to` reaches the listener `own`.
fn is_same(own: SocketAddr, to: SocketAddr) -> bool {
    let (listens, ip) = (own.ip().to_canonical(), to.ip().to_canonical());
    // Who listens everywhere is reached by every address of this machine, and no other can be bound.
    let here = || std::net::UdpSocket::bind((ip, 0)).is_ok();
    own.port() == to.port() && (listens == ip || listens.is_unspecified() && here())
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("signal", &self.signal)
            .field("protocol", &self.protocol)
            .field("to", &self.place())
            .finish_non_exhaustive()
    }
}

impl Target {
    /// The URL without what may be secret in it.
    pub(super) fn place(&self) -> String {
        let mut url = self.url.clone();
        // These fail for URLs without a host, which were refused.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.set_query(None);
        url.set_fragment(None);
        url.to_string()
    }
}

/// The variables of one signal.
struct Variables<'a, F> {
    lookup: &'a F,
    signal: Signal,
}

impl<F: Fn(&str) -> Option<String>> Variables<'_, F> {
    /// Unless the variable that chooses exporters chooses others, or none.
    fn wanted(&self) -> bool {
        let signal = self.signal.as_str().to_ascii_uppercase();
        let chosen = self.value(&format!("OTEL_{signal}_EXPORTER"));
        chosen.is_none_or(|chosen| chosen.split(',').any(|name| name.trim() == "otlp"))
    }

    fn target(&self) -> Result<Option<Target>, SettingsError> {
        let protocol = match self.find("PROTOCOL") {
            None => Protocol::Http,
            Some((variable, value)) => match value.as_str() {
                "http/protobuf" => Protocol::Http,
                "grpc" => Protocol::Grpc,
                _ => return Err(bad(variable, "grpc or http/protobuf is wanted")),
            },
        };
        let Some((variable, value)) = self.find("ENDPOINT") else { return Ok(None) };
        let own = variable == self.own("ENDPOINT");
        let url = match protocol {
            Protocol::Http => http_url(&value, self.signal, own),
            Protocol::Grpc => self.grpc_url(&value)?,
        };
        let url = url.map_err(|why| SettingsError { variable, source: why })?;
        let (certificates, identity) = self.tls()?;
        Ok(Some(Target {
            signal: self.signal,
            protocol,
            url,
            headers: self.headers()?,
            timeout: self.timeout()?,
            gzip: self.gzip()?,
            certificates,
            identity,
        }))
    }

    /// gRPC's endpoint may come without a scheme; another variable then says which.
    fn grpc_url(&self, value: &str) -> Result<Result<Url, BoxError>, SettingsError> {
        if value.contains("://") {
            return Ok(parse(value));
        }
        let scheme = match self.find("INSECURE") {
            None => "https",
            Some((_, value)) if value.eq_ignore_ascii_case("true") => "http",
            Some((_, value)) if value.eq_ignore_ascii_case("false") => "https",
            Some((variable, _)) => return Err(bad(variable, "true or false is wanted")),
        };
        Ok(parse(&format!("{scheme}://{value}")))
    }

    fn headers(&self) -> Result<HeaderMap, SettingsError> {
        let mut headers = HeaderMap::new();
        let Some((variable, value)) = self.find("HEADERS") else { return Ok(headers) };
        let pairs = value.split(',').map(str::trim).enumerate();
        for (at, pair) in pairs.filter(|(_, pair)| !pair.is_empty()) {
            let parsed = pair.split_once('=').and_then(|(name, value)| {
                let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
                let mut value = HeaderValue::from_str(&value).ok()?;
                value.set_sensitive(true);
                Some((HeaderName::from_bytes(name.trim().as_bytes()).ok()?, value))
            });
            // Which one is said, not what it holds.
            let why = || format!("entry {} is no name=value of a header", at + 1);
            let (name, value) = parsed.ok_or_else(|| bad(variable.clone(), why()))?;
            headers.append(name, value);
        }
        Ok(headers)
    }

    fn timeout(&self) -> Result<Duration, SettingsError> {
        let Some((variable, value)) = self.find("TIMEOUT") else { return Ok(TIMEOUT) };
        match value.parse() {
            Ok(millis) if millis > 0 => Ok(Duration::from_millis(millis)),
            _ => Err(bad(variable, "milliseconds are wanted, more than 0")),
        }
    }

    fn gzip(&self) -> Result<bool, SettingsError> {
        match self.find("COMPRESSION") {
            None => Ok(false),
            Some((_, value)) if value == "gzip" => Ok(true),
            Some((_, value)) if value == "none" => Ok(false),
            Some((variable, _)) => Err(bad(variable, "gzip or none is wanted")),
        }
    }

    /// Whom to trust, and who we are.
    fn tls(&self) -> Result<(Vec<Certificate>, Option<Identity>), SettingsError> {
        let read = |name| {
            let Some((variable, path)) = self.find(name) else { return Ok(None) };
            fs::read(path).map(Some).map_err(|why| bad(variable, why))
        };
        let certificates = match read("CERTIFICATE")? {
            None => Vec::new(),
            Some(pem) => Certificate::from_pem_bundle(&pem)
                .map_err(|why| bad(self.own("CERTIFICATE"), why))?,
        };
        let identity = match (read("CLIENT_CERTIFICATE")?, read("CLIENT_KEY")?) {
            (None, None) => None,
            (Some(mut pem), Some(key)) => {
                pem.push(b'\n');
                pem.extend(key);
                let identity = Identity::from_pem(&pem);
                Some(identity.map_err(|why| bad(self.own("CLIENT_CERTIFICATE"), why))?)
            }
            _ => {
                let why = "a certificate and its key are wanted, or neither";
                return Err(bad(self.own("CLIENT_CERTIFICATE"), why));
            }
        };
        Ok((certificates, identity))
    }

    /// The signal's own variable, or that of all signals, and its value.
    fn find(&self, name: &str) -> Option<(String, String)> {
        let all = format!("OTEL_EXPORTER_OTLP_{name}");
        [self.own(name), all].into_iter().find_map(|variable| {
            let value = self.value(&variable)?;
            Some((variable, value))
        })
    }

    fn own(&self, name: &str) -> String {
        format!("OTEL_EXPORTER_OTLP_{}_{name}", self.signal.as_str().to_ascii_uppercase())
    }

    /// The specification has an empty variable be as good as none.
    fn value(&self, variable: &str) -> Option<String> {
        let value = (self.lookup)(variable)?.trim().to_owned();
        (!value.is_empty()).then_some(value)
    }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

fn bad(variable: String, why: impl Into<BoxError>) -> SettingsError {
    SettingsError { variable, source: why.into() }
}

/// A signal's own endpoint is meant as it is, one of all signals is where their paths begin.
fn http_url(value: &str, signal: Signal, own: bool) -> Result<Url, BoxError> {
    let mut url = parse(value)?;
    if !own {
        let path = url.path().trim_end_matches('/');
        url.set_path(&format!("{path}/v1/{}", signal.as_str()));
    }
    Ok(url)
}

fn parse(value: &str) -> Result<Url, BoxError> {
    let url = Url::parse(value)?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err("a URL is wanted, of http or https".into());
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(variables: &[(&str, &str)]) -> Result<Option<Settings>, SettingsError> {
        Settings::from_variables(|wanted| {
            let found = variables.iter().find(|(name, _)| {
                wanted.strip_prefix("OTEL_EXPORTER_OTLP_") == Some(name) || wanted == *name
            });
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    fn places(variables: &[(&str, &str)]) -> Vec<String> {
        let settings = settings(variables).unwrap();
        settings.iter().flat_map(|it| &it.targets).map(Target::place).collect()
    }

    #[test]
    fn paths_are_joined_as_the_specification_has_it() {
        for (endpoint, traces, logs) in [
            ("http://a", "http://a/v1/traces", "http://a/v1/logs"),
            ("http://a:4318/", "http://a:4318/v1/traces", "http://a:4318/v1/logs"),
            ("https://a/mine/", "https://a/mine/v1/traces", "https://a/mine/v1/logs"),
        ] {
            assert_eq!(places(&[("ENDPOINT", endpoint)]), [traces, logs]);
        }
        let own = [("ENDPOINT", "http://a"), ("TRACES_ENDPOINT", "http://b/spans")];
        assert_eq!(places(&own), ["http://b/spans", "http://a/v1/logs"]);
        assert_eq!(places(&[("LOGS_ENDPOINT", "http://b")]), ["http://b/"]);
    }

    #[test]
    fn what_no_endpoint_is_named_for_stays_at_home() {
        assert!(settings(&[]).unwrap().is_none());
        assert!(settings(&[("ENDPOINT", "  "), ("HEADERS", "a=b")]).unwrap().is_none());
        let off = [("ENDPOINT", "http://a"), ("OTEL_LOGS_EXPORTER", "none")];
        assert_eq!(places(&off), ["http://a/v1/traces"]);
        let both = [("ENDPOINT", "http://a"), ("OTEL_LOGS_EXPORTER", "console, otlp")];
        assert_eq!(places(&both).len(), 2);
    }

    #[test]
    fn a_grpc_endpoint_needs_no_scheme_and_is_safe_without() {
        let grpc = |endpoint| vec![("PROTOCOL", "grpc"), ("LOGS_ENDPOINT", endpoint)];
        assert_eq!(places(&grpc("http://a:4317")), ["http://a:4317/"]);
        assert_eq!(places(&grpc("a:4317")), ["https://a:4317/"]);
        let mut insecure = grpc("a:4317");
        insecure.push(("INSECURE", "True"));
        assert_eq!(places(&insecure), ["http://a:4317/"]);
    }

    #[test]
    fn options_of_a_signal_stand_before_those_of_all() {
        let all = [
            ("ENDPOINT", "http://a"),
            ("HEADERS", " api-key = a%20secret , X-Tenant=b,"),
            ("TIMEOUT", "250"),
            ("COMPRESSION", "gzip"),
            ("LOGS_PROTOCOL", "grpc"),
            ("LOGS_HEADERS", "x=y"),
            ("LOGS_TIMEOUT", "1"),
            ("LOGS_COMPRESSION", "none"),
        ];
        let targets = settings(&all).unwrap().unwrap().targets;
        let [traces, logs] = &targets[..] else { panic!("two signals") };
        assert_eq!((traces.protocol, traces.gzip), (Protocol::Http, true));
        assert_eq!(traces.timeout, Duration::from_millis(250));
        assert_eq!(traces.headers["api-key"], "a secret");
        assert_eq!((traces.headers.len(), &traces.headers["x-tenant"]), (2, &"b".parse().unwrap()));
        assert_eq!((logs.protocol, logs.gzip), (Protocol::Grpc, false));
        assert_eq!((logs.timeout, logs.headers.len()), (Duration::from_millis(1), 1));
    }

    #[test]
    fn what_makes_no_sense_is_told_by_its_variable_and_not_its_value() {
        for (name, value) in [
            ("PROTOCOL", "http/json"),
            ("TIMEOUT", "0"),
            ("TIMEOUT", "10s"),
            ("COMPRESSION", "zstd"),
            ("HEADERS", "a=b,hunter2"),
            ("HEADERS", "hunter2@=x"),
            ("CERTIFICATE", "/no/such/file/hunter2"),
            ("CLIENT_KEY", "/no/such/file/hunter2"),
        ] {
            let error = settings(&[(name, value), ("ENDPOINT", "http://a")]).unwrap_err();
            let said = format!("{error:?} {error}");
            assert!(said.contains(&format!("OTEL_EXPORTER_OTLP_{name}")), "{name}: {said}");
            assert!(!said.contains("hunter2"), "{said}");
        }
        for endpoint in ["localhost:4318", "ftp://a", "unix:///a", "http://"] {
            let error = settings(&[("ENDPOINT", endpoint)]).unwrap_err();
            assert!(error.to_string().contains("OTEL_EXPORTER_OTLP_ENDPOINT"), "{endpoint}");
        }
    }

    #[test]
    fn no_secret_is_shown() {
        let all = [("ENDPOINT", "http://u:hunter2@a/x?k=hunter2"), ("HEADERS", "k=hunter2")];
        let shown = format!("{:?}", settings(&all).unwrap());
        assert!(shown.contains("http://a/x/v1/traces") && !shown.contains("hunter2"), "{shown}");
    }

    #[tokio::test]
    async fn a_way_that_leads_back_is_found() {
        let leads = async |endpoint: &str, listening: &str| {
            let settings = settings(&[("ENDPOINT", endpoint)]).unwrap().unwrap();
            settings.leads_to(&[listening.parse().unwrap()]).await.is_some()
        };
        assert!(leads("http://127.0.0.1:4318", "127.0.0.1:4318").await);
        assert!(leads("http://localhost:4318", "127.0.0.1:4318").await);
        assert!(leads("http://127.0.0.1:4318", "0.0.0.0:4318").await);
        assert!(leads("http://[::ffff:127.0.0.1]:4318", "127.0.0.1:4318").await);
        assert!(!leads("http://127.0.0.1:4318", "127.0.0.1:4317").await);
        assert!(!leads("http://127.0.0.1:4318", "127.0.0.2:4318").await);
        // An address for documentation, which no machine has.
        assert!(!leads("http://192.0.2.1:4318", "0.0.0.0:4318").await);
    }
}
