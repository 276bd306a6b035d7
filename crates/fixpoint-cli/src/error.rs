//! Errors as the user meets them: what failed, why, what to do about it, and the exit code.
//!
//! The one place that prints an error chain. Not here: what each library may fail with. The
//! surprise: the trace id comes last, on a line of its own, so that it can be copied or cut out.

use std::{error::Error as StdError, fmt, process::ExitCode};

use crate::output::Output;

/// How a command ended badly. Scripts rely on these exit codes; 0 is for done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The run, or what the command itself does, failed.
    Failed = 1,
    /// The command was used wrongly: bad input, an unknown name, a conflict.
    Usage = 2,
    /// The server cannot be reached.
    Unreachable = 3,
}

/// An error on its way to the user.
#[derive(Debug)]
pub(crate) struct CliError {
    kind: Kind,
    source: Box<dyn StdError + Send + Sync>,
    details: Vec<String>,
    hints: Vec<String>,
    trace_id: Option<String>,
    /// All there is to say has been said: only the exit code is left.
    said: bool,
}

/// What every command returns.
pub(crate) type Result<T = ()> = std::result::Result<T, CliError>;

/// What was tried, with its cause.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
struct Because {
    what: String,
    #[source]
    source: Box<dyn StdError + Send + Sync>,
}

impl CliError {
    /// The user's mistake.
    pub(crate) fn usage(what: impl Into<String>) -> Self {
        Self::new(Kind::Usage, what.into())
    }

    /// The user's mistake, as something else found it.
    pub(crate) fn usage_because(
        what: impl Into<String>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self::new(Kind::Usage, Because { what: what.into(), source: source.into() })
    }

    /// Something failed that is its own cause.
    pub(crate) fn failed(what: impl Into<String>) -> Self {
        Self::new(Kind::Failed, what.into())
    }

    /// Something failed because of something else.
    pub(crate) fn because(
        what: impl Into<String>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self::new(Kind::Failed, Because { what: what.into(), source: source.into() })
    }

    fn new(kind: Kind, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        let (details, hints) = (Vec::new(), Vec::new());
        Self { kind, source: source.into(), details, hints, trace_id: None, said: false }
    }

    /// No error, but not the answer that a script hopes for: `fixpoint diff` found differences.
    pub(crate) fn said() -> Self {
        Self { said: true, ..Self::new(Kind::Failed, "not the same") }
    }

    /// Leaves exit code 1 to another meaning, as diff(1) does.
    pub(crate) fn trouble(mut self) -> Self {
        if self.kind == Kind::Failed {
            self.kind = Kind::Usage;
        }
        self
    }

    /// Adds what the user can do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Adds a line beneath the error's first one.
    pub(crate) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.details.push(detail.into());
        self
    }

    /// Names the trace that shows what happened.
    pub(crate) fn trace(mut self, trace_id: impl Into<String>) -> Self {
        self.trace_id = Some(trace_id.into());
        self
    }

    /// The error itself, for a log line.
    pub(crate) fn into_source(self) -> Box<dyn StdError + Send + Sync> {
        self.source
    }

    /// Prints the error on stderr, and returns the exit code that goes with it.
    pub(crate) fn report(&self, output: &Output) -> ExitCode {
        if self.said {
            return ExitCode::from(self.kind as u8);
        }
        let paint = output.err;
        let mut lines = vec![format!("{} {}", paint.bad("error:"), self.source)];
        lines.extend(self.details.iter().map(|detail| format!("  {detail}")));
        let causes = causes(self.source.as_ref()).collect::<Vec<_>>();
        // Of a lost connection the layers of HTTP know less and less; the system says why.
        let skip = if self.kind == Kind::Unreachable { causes.len().saturating_sub(1) } else { 0 };
        lines.extend(causes.iter().skip(skip).map(|cause| {
            let cause = cause.trim_start_matches("error: ").replace('\n', "\n  ");
            format!("  because: {cause}")
        }));
        lines.extend(self.hints.iter().map(|hint| format!("{} {hint}", paint.good("Hint:"))));
        lines.extend(self.trace_id.iter().map(|id| format!("trace_id: {id}")));
        output.note(lines.join("\n"));
        ExitCode::from(self.kind as u8)
    }
}

/// Whether the two did not agree on whom to trust. TLS has no type of error that says so here.
fn is_about_certificates(error: &(dyn StdError + 'static)) -> bool {
    let chain = std::iter::successors(Some(error), |error| (*error).source());
    chain.map(ToString::to_string).any(|text| {
        let text = text.to_ascii_lowercase();
        text.contains("certificate") || text.contains("handshake")
    })
}

/// The causes of an error, outermost first, each said once: some layers repeat their source.
fn causes(error: &dyn StdError) -> impl Iterator<Item = String> {
    let mut said = error.to_string();
    let mut next = error.source();
    std::iter::from_fn(move || {
        loop {
            let cause = next?;
            next = cause.source();
            let text = cause.to_string();
            if !said.contains(&text) {
                said.clone_from(&text);
                return Some(text);
            }
        }
    })
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}

impl From<fixpoint_client::Error> for CliError {
    fn from(error: fixpoint_client::Error) -> Self {
        use fixpoint_client::Error;
        let kind = match &error {
            Error::Address { .. } | Error::Token | Error::Certificate { .. } => Kind::Usage,
            Error::Unreachable { .. } => Kind::Unreachable,
            // The server says that the request was at fault; anything else is not the user's doing.
            Error::Problem(problem) if (400..500).contains(&problem.status) => Kind::Usage,
            _ => Kind::Failed,
        };
        let trace_id = error.trace_id().map(str::to_owned);
        let mut this = Self { trace_id, ..Self::new(kind, "") };
        match &error {
            Error::Address { .. } => {
                this.hints.push("set it with --url or FIXPOINT_URL".into());
            }
            Error::Unreachable { source, .. } if is_about_certificates(source.as_ref()) => {
                this.hints.push(
                    "name the authority that signed the server's certificate with --ca; a server \
                     that wants one from you takes --client-cert and --client-key"
                        .into(),
                );
            }
            Error::Unreachable { url, .. } => {
                this.hints.push(
                    "is the server running? Start one with `fixpoint dev`, or name another with \
                     --url or FIXPOINT_URL"
                        .into(),
                );
                // Why it hung up is not always heard before it has.
                if url.starts_with("https:") {
                    this.hints.push(
                        "one that hangs up may want a certificate from you: --client-cert and \
                         --client-key"
                            .into(),
                    );
                }
            }
            Error::Problem(problem) => {
                this.details.extend(problem.errors.iter().map(|field| {
                    let pointer = if field.pointer.is_empty() { "/" } else { &field.pointer };
                    format!("{pointer}: {}", field.detail)
                }));
                let excerpt = problem.place.iter().flat_map(|place| place.excerpt.lines());
                this.details.extend(excerpt.map(str::to_owned));
                this.hints.extend(problem.hint.clone());
            }
            _ => {}
        }
        this.source = error.into();
        this
    }
}

impl From<std::io::Error> for CliError {
    fn from(error: std::io::Error) -> Self {
        Self::because("standard output could not be written", error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_that_its_effect_already_tells_is_not_said_again() {
        let root = std::io::Error::other("connection refused");
        let middle = Because { what: "connect: connection refused".into(), source: root.into() };
        let top = Because { what: "not reachable".into(), source: middle.into() };
        assert_eq!(causes(&top).collect::<Vec<_>>(), ["connect: connection refused"]);
    }
}
