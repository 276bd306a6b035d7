//! How a call ended and why, in words for someone who was woken up by it.
//!
//! Not here: what AWS itself said; that is code and message. The surprise: some causes are known
//! by their words alone, since the SDK keeps their types to itself. Should it change the words, a
//! cause is told less well, and "it may have happened" is what is assumed.

use std::error::Error as StdError;
use std::{fmt, io};

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::orchestrator::OrchestratorError;
use aws_smithy_runtime_api::client::result::ConnectorError;
use fixpoint_trace::record::NotDurable;

/// Whether no answer came in time: to the call with all its attempts, or to one of them.
pub(crate) fn is_timeout<E>(error: &OrchestratorError<E>) -> bool {
    error.is_timeout_error() || error.as_connector_error().is_some_and(ConnectorError::is_timeout)
}

/// How a failed call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// It never left: nothing happened.
    NotSent,
    /// There was no connection to send it on: nothing happened.
    Unreachable,
    /// AWS said no: nothing happened.
    Refused,
    /// AWS says that it broke: it may have happened.
    Broke,
    /// No answer came: it may have happened.
    Lost,
    /// What came is no answer of AWS's: it may have happened.
    Garbled,
}

/// The cause of an [`End`] in one sentence, in place of the SDK's layers of errors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reason {
    Told(Words),
    /// Kept as it is: who runs plans has to know it from all others.
    NotDurable(NotDurable),
}

/// An error of which only the words are left.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Words(Box<str>);

impl Reason {
    fn told(words: impl Into<Box<str>>) -> Self {
        Self::Told(Words(words.into()))
    }

    /// The innermost cause, in its own words.
    pub(crate) fn innermost(error: &(dyn StdError + 'static)) -> Self {
        let Some(cause) = causes(error).last() else { return Self::told("") };
        if let Some(not_durable) = cause.downcast_ref() {
            return Self::NotDurable(*not_durable);
        }
        Self::told(cause.to_string().split_whitespace().collect::<Vec<_>>().join(" "))
    }

    /// A refusal that does not say why: of a proxy, say.
    pub(crate) fn wordless(status: u16) -> Self {
        Self::told(format!("HTTP {status} without a reason"))
    }

    /// As the cause of another error.
    pub(crate) fn as_error(&self) -> &(dyn StdError + 'static) {
        match self {
            Self::Told(words) => words,
            Self::NotDurable(not_durable) => not_durable,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_error(), f)
    }
}

/// What AWS said: `VpcLimitExceeded: Too many. (request id 1b2c)`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Said<'a> {
    pub(crate) code: Option<&'a str>,
    pub(crate) message: Option<&'a str>,
    pub(crate) request_id: Option<&'a str>,
}

impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = self.message.filter(|message| !message.is_empty());
        match (self.code, message) {
            (Some(code), Some(message)) => write!(f, "{code}: {message}")?,
            (one, other) => f.write_str(one.or(other).unwrap_or("no reason given"))?,
        }
        match self.request_id {
            Some(id) => write!(f, " (request id {id})"),
            None => Ok(()),
        }
    }
}

/// Tells why no answer came, from whatever the SDK made of it.
pub(crate) fn unanswered(error: &(dyn StdError + 'static)) -> (End, Reason) {
    let causes: Vec<_> = causes(error).collect();
    let innermost = || Reason::innermost(error);
    let has = |words: &str| causes.iter().any(|cause| cause.to_string().starts_with(words));

    let connector = causes.iter().find_map(|cause| cause.downcast_ref::<ConnectorError>());
    if connector.is_some_and(ConnectorError::is_user) {
        return (End::NotSent, innermost());
    }
    if causes.iter().any(|cause| cause.is::<CredentialsError>()) {
        return (End::NotSent, Reason::told(format!("no AWS credentials: {}", innermost())));
    }
    // The words of hyper's client and of the SDK's connector.
    let connecting = has("client error (Connect)") || has("HTTP connect timeout");
    if let Some((limit, whole)) = causes.iter().find_map(|cause| limit(&cause.to_string())) {
        let together = if whole { ", all attempts together" } else { "" };
        return match connecting {
            true => (End::Unreachable, Reason::told(format!("no connection in {limit}"))),
            false => (End::Lost, Reason::told(format!("no answer in {limit}{together}"))),
        };
    }
    if let Some(kind) = io_kind(&causes) {
        use io::ErrorKind::{
            AddrNotAvailable, ConnectionRefused, HostUnreachable, NetworkDown, NetworkUnreachable,
        };
        let unreachable = matches!(
            kind,
            ConnectionRefused
                | HostUnreachable
                | NetworkUnreachable
                | NetworkDown
                | AddrNotAvailable
        );
        if connecting || unreachable {
            return (End::Unreachable, Reason::told(kind.to_string()));
        }
    }
    if connecting {
        return (End::Unreachable, innermost());
    }
    (End::Lost, broken(&causes).unwrap_or_else(innermost))
}

/// Tells why what came could not be read.
pub(crate) fn garbled(error: &(dyn StdError + 'static)) -> (End, Reason) {
    let causes: Vec<_> = causes(error).collect();
    match broken(&causes) {
        Some(reason) => (End::Lost, reason),
        None => (End::Garbled, Reason::innermost(error)),
    }
}

/// The connection's end, if that is among the causes.
fn broken(causes: &[&(dyn StdError + 'static)]) -> Option<Reason> {
    use io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, TimedOut, UnexpectedEof,
    };
    let closed = "connection closed before message completed";
    let how = match io_kind(causes) {
        Some(ConnectionReset) => "connection reset",
        Some(ConnectionAborted) => "connection aborted",
        Some(TimedOut) => "connection timed out",
        Some(BrokenPipe | NotConnected | UnexpectedEof) => "connection closed",
        _ if causes.iter().any(|cause| cause.to_string() == closed) => "connection closed",
        _ => return None,
    };
    Some(Reason::told(format!("{how} before an answer came")))
}

/// The innermost kind of I/O error that says something.
fn io_kind(causes: &[&(dyn StdError + 'static)]) -> Option<io::ErrorKind> {
    let kinds = causes.iter().rev().filter_map(|cause| cause.downcast_ref::<io::Error>());
    let says_nothing = [io::ErrorKind::Other, io::ErrorKind::InvalidData];
    kinds.map(io::Error::kind).find(|kind| !says_nothing.contains(kind))
}

/// `30 s`, and whether of the whole call: of "operation attempt timeout (..) occurred after 30s".
fn limit(text: &str) -> Option<(String, bool)> {
    let (what, limit) = text.split_once(" occurred after ")?;
    let unit = limit.find(|c: char| c.is_alphabetic() || c == 'µ')?;
    let (number, unit) = limit.split_at(unit);
    what.contains("timeout").then(|| (format!("{number} {unit}"), what.contains("all attempts")))
}

/// The error and its causes. Goes into I/O errors, whose `source` leaves out their own payload.
fn causes<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| match error.downcast_ref::<io::Error>() {
        Some(io) => io.get_ref().map(|inner| inner as &(dyn StdError + 'static)),
        None => error.source(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(error: ConnectorError) -> (End, String) {
        let (end, reason) = unanswered(&error);
        (end, reason.to_string())
    }

    #[test]
    fn a_broken_connection_is_told_by_what_happened_to_it() {
        for (kind, end, words) in [
            (io::ErrorKind::ConnectionRefused, End::Unreachable, "connection refused"),
            (io::ErrorKind::NetworkUnreachable, End::Unreachable, "network unreachable"),
            (io::ErrorKind::ConnectionReset, End::Lost, "connection reset before an answer came"),
            (io::ErrorKind::UnexpectedEof, End::Lost, "connection closed before an answer came"),
            (io::ErrorKind::TimedOut, End::Lost, "connection timed out before an answer came"),
        ] {
            // As an operating system says it, and beneath another I/O error, as TLS does it.
            let inner = io::Error::from(kind);
            let nested = io::Error::other(io::Error::from(kind));
            assert_eq!(told(ConnectorError::io(inner.into())), (end, words.into()));
            assert_eq!(told(ConnectorError::io(nested.into())), (end, words.into()));
        }
    }

    #[test]
    fn what_is_not_known_is_told_in_its_own_words_in_one_line() {
        let odd = ConnectorError::other("the moon\n  is full".into(), None);
        assert_eq!(told(odd), (End::Lost, "the moon is full".into()));
        let ours = ConnectorError::user("the disk is full".into());
        assert_eq!(told(ours), (End::NotSent, "the disk is full".into()));
    }

    #[test]
    fn that_a_call_could_not_be_recorded_is_known_and_not_only_told() {
        let ours = ConnectorError::user(NotDurable.into());
        let (end, reason) = unanswered(&ours);
        assert_eq!((end, reason.to_string()), (End::NotSent, NotDurable.to_string()));
        assert!(reason.as_error().is::<NotDurable>());
    }

    #[test]
    fn missing_credentials_are_named_as_such() {
        let none = CredentialsError::not_loaded("no profile default");
        assert_eq!(
            told(ConnectorError::other(none.into(), None)),
            (End::NotSent, "no AWS credentials: no profile default".into())
        );
    }

    #[test]
    fn an_answer_that_breaks_off_is_lost_and_one_of_somebody_else_is_garbled() {
        let reset = io::Error::from(io::ErrorKind::ConnectionReset);
        let (end, reason) = garbled(&reset);
        assert_eq!(end, End::Lost);
        assert_eq!(reason.to_string(), "connection reset before an answer came");
        let (end, reason) = garbled(&io::Error::other("no XML"));
        assert_eq!((end, reason.to_string().as_str()), (End::Garbled, "no XML"));
    }

    #[test]
    fn a_time_out_is_told_with_its_limit() {
        let limit = |text| super::limit(text).unwrap();
        let attempt = "operation attempt timeout (single attempt) occurred after 30s";
        assert_eq!(limit(attempt), ("30 s".into(), false));
        let whole = "operation timeout (all attempts including retries) occurred after 2.5s";
        assert_eq!(limit(whole), ("2.5 s".into(), true));
        assert_eq!(super::limit("a war occurred after 3pm"), None);
    }

    #[test]
    fn what_aws_said_leaves_out_what_it_did_not_say() {
        let all = Said { code: Some("A"), message: Some("b."), request_id: Some("r") };
        assert_eq!(all.to_string(), "A: b. (request id r)");
        assert_eq!(Said { message: Some(""), request_id: None, ..all }.to_string(), "A");
    }
}
