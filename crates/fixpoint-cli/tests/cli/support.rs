//! Starts the command and servers as child processes, and reads what they say.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use fixpoint_client::Client;
use regex::Regex;

/// The command under test, with an environment that cannot colour what it says.
pub(crate) fn command() -> Command {
    through(&[])
}

/// The command, started by another that takes its arguments last and makes room for it.
fn through(starter: &[&str]) -> Command {
    let words = [starter, &[env!("CARGO_BIN_EXE_fixpoint")]].concat();
    let mut command = Command::new(words[0]);
    command
        .args(&words[1..])
        .env_remove("FIXPOINT_TOKEN")
        .env_remove("FIXPOINT_URL")
        .env_remove("RUST_LOG")
        .env_remove("NO_COLOR");
    command.env_remove("FIXPOINT_WEBHOOK").env_remove("FIXPOINT_WEBHOOK_SECRET");
    command.env_remove("OTEL_EXPORTER_OTLP_ENDPOINT").stdin(Stdio::null());
    command
}

/// Runs the command to its end: exit code, stdout and stderr as one text.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let code = output.status.code().map_or_else(|| "signal".to_owned(), |code| code.to_string());
    let (out, err) = (String::from_utf8(output.stdout), String::from_utf8(output.stderr));
    let mut said = format!("exit {code}\n");
    for (name, text) in [("stdout", out.unwrap()), ("stderr", err.unwrap())] {
        if !text.is_empty() {
            said += &format!("-- {name}\n{text}");
        }
    }
    said
}

/// Runs `fixpoint ARGS`.
pub(crate) fn fixpoint(args: &[&str]) -> String {
    run(command().args(args))
}

/// What differs from one run of the test to the next, replaced by what it is.
pub(crate) fn same(text: &str) -> String {
    [
        (r"http://127\.0\.0\.1:\d+", "URL"),
        (r"\b[0-9a-f]{32}\b", "TRACE"),
        (r"\b[0-9a-f]{16}\b", "SPAN"),
        (r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z| UTC)?", "TIME"),
        (r"\b(\d+m \d\ds|\d+(\.\d)? (s|ms|µs))(?:\b|$)", "TOOK"),
    ]
    .iter()
    .fold(text.to_owned(), |text, (pattern, word)| {
        Regex::new(pattern).unwrap().replace_all(&text, *word).into_owned()
    })
}

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// Returns when it has been seen.
pub(crate) async fn until(what: &str, seen: impl AsyncFn() -> bool) {
    let since = Instant::now();
    while !seen().await {
        assert!(since.elapsed() < PATIENCE, "not in time: {what}");
        pause(Duration::from_millis(20)).await;
    }
}

#[expect(clippy::disallowed_methods, reason = "a test has no run that could be cancelled")]
pub(crate) async fn pause(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// A server that a test started; killed when dropped.
#[derive(Debug)]
pub(crate) struct Dev {
    child: Child,
    pub(crate) url: String,
    /// Where OTLP comes in by HTTP.
    pub(crate) otlp_http: String,
}

impl Dev {
    /// Starts `fixpoint dev` on free ports and waits until it listens.
    pub(crate) fn start(data: &Path, args: &[&str]) -> Self {
        Self::start_in(data, args, &[])
    }

    /// The same, with variables in its environment.
    pub(crate) fn start_in(data: &Path, args: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::start_as("dev", &[], data, args, environment)
    }

    /// `fixpoint dev`, by way of another command, which must become it.
    pub(crate) fn start_through(starter: &[&str], data: &Path, args: &[&str]) -> Self {
        Self::start_as("dev", starter, data, args, &[])
    }

    /// `fixpoint serve`, on somebody else's AWS.
    #[cfg(feature = "etcd")]
    pub(crate) fn serve(data: &Path, args: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::start_as("serve", &[], data, args, environment)
    }

    fn start_as(
        name: &str,
        starter: &[&str],
        data: &Path,
        args: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let log = File::options().create(true).append(true).open(data.join("log.jsonl")).unwrap();
        let mut child = through(starter)
            .args([name, "--listen", "127.0.0.1:0", "--otlp-http", "127.0.0.1:0"])
            .args(["--otlp-grpc", "off", "--zipkin", "off", "--data"])
            .arg(data)
            .args(args)
            .envs(environment.iter().copied())
            .stdout(log)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut otlp_http = String::new();
        let url = loop {
            let start = said.len();
            assert_ne!(stderr.read_line(&mut said).unwrap(), 0, "the server ended: {said}");
            if let Some(address) = said[start..].strip_prefix("otlp-http on ") {
                otlp_http = format!("http://{}", address.trim());
            }
            if let Some(url) = said[start..].strip_prefix("listening on ") {
                break url.trim().to_owned();
            }
        };
        Self { child, url, otlp_http }
    }

    /// The process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&self.url).unwrap()
    }

    /// Runs `fixpoint ARGS` against this server.
    pub(crate) fn fixpoint(&self, args: &[&str]) -> String {
        run(command().env("FIXPOINT_URL", &self.url).args(args))
    }

    /// Asks the server to end, as a service manager does, and says how it ended.
    pub(crate) fn terminate(mut self) -> String {
        let id = self.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        self.child.wait().unwrap().to_string()
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        // Gone already if the test ended it.
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}
