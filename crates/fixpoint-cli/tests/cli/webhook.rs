//! The webhook as an operator meets it: flags, the receiver of the docs, and what the command says.
//!
//! Not here: what is sent when, and again (`fixpoint_server`'s tests). The surprise: the receiver is
//! the text of `docs/operating.md`, run as it stands there.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use fixpoint_client::{Notification, NotificationState, Run, RunState};

use crate::support::{Dev, command, run, same};

const SECRET: &str = "whsec_dGhpcnR5LXR3byBieXRlcywgYXMgb25lIGhhcyBpdC4=";

const A_MOMENT: Duration = Duration::from_millis(10);

/// The receiver of the docs, and the lines that it prints.
struct Receiver {
    child: Child,
    port: u16,
    lines: BufReader<std::process::ChildStdout>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

/// Free now, and hardly taken by anybody else until somebody listens there.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Has every creation fail for good.
fn no_network(folder: &Path) -> String {
    let file = folder.join("faults.yaml");
    let fault = "{kind: error, code: AuthFailure, message: denied}";
    let rule = format!("rules:\n- operation: EC2.CreateVpc\n  every: true\n  fault: {fault}\n");
    fs::write(&file, rule).unwrap();
    file.to_str().unwrap().to_owned()
}

/// Applies a cluster, which fails.
fn fails(dev: &Dev, folder: &Path) {
    let file = folder.join("cluster.yaml");
    fs::write(&file, "name: idg\nnodes: 1\non_failure: roll_back\n").unwrap();
    let said = dev.fixpoint(&["apply", "-f", file.to_str().unwrap(), "--wait"]);
    assert!(said.starts_with("exit 1"), "{said}");
}

/// The run that failed, once it is as wanted.
fn failed(dev: &Dev, ready: impl Fn(&Notification) -> bool) -> Run {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = dev.client();
        let runs = client.runs(&Default::default()).await.unwrap();
        let failed = runs.items.iter().find(|run| run.state == RunState::Failed).unwrap();
        loop {
            let run = client.run(&failed.id).await.unwrap();
            if run.notifications.iter().any(&ready) {
                return run;
            }
            thread::sleep(A_MOMENT);
        }
    })
}

impl Receiver {
    fn start(secret: &str) -> Self {
        Self::start_at(free_port(), secret)
    }

    fn start_at(port: u16, secret: &str) -> Self {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operating.md");
        let docs = fs::read_to_string(docs).unwrap();
        let (_, code) = docs.split_once("```python\n").unwrap();
        let (code, _) = code.split_once("```").unwrap();
        let mut child = Command::new("python3")
            .args(["-c", code])
            .env("PORT", port.to_string())
            .env("WEBHOOK_SECRET", secret)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        let mut receiver = Self { child, port, lines };
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert_eq!(receiver.child.try_wait().unwrap(), None, "the receiver ended");
            thread::sleep(A_MOMENT);
        }
        receiver
    }

    /// The next request that was signed as it should be: its id, and what it tells of.
    fn next(&mut self) -> (String, String) {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        let (id, event) = line.trim().split_once(' ').unwrap();
        (id.to_owned(), event.to_owned())
    }

    /// The id of what tells of the run that failed, once it is told of its roll back as well.
    fn failed_and_rolled_back(&mut self) -> String {
        let mut told = [self.next(), self.next()];
        told.sort_by(|a, b| a.1.cmp(&b.1));
        let [rolled_back, failed] = told;
        assert_eq!((&*rolled_back.1, &*failed.1), ("resource.rolled_back", "run.failed"));
        failed.0
    }
}

#[test]
fn the_receiver_of_the_docs_takes_what_is_signed_with_its_secret_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let mut receiver = Receiver::start(SECRET);
    let url = format!("http://127.0.0.1:{}/fixpoint", receiver.port);
    let secrets = data.join("webhook-secret");
    // The old one still, and the new one already.
    fs::write(&secrets, format!("whsec_{}\n{SECRET}\n", "b2xk".repeat(8))).unwrap();
    let faults = no_network(data);
    let secrets = secrets.to_str().unwrap();
    let flags = ["--webhook", &url, "--webhook-secret-file", secrets, "--time-scale", "600"];
    let flags = [&flags[..], &["--faults", &faults]].concat();
    let dev = Dev::start(data, &flags);

    let said = dev.fixpoint(&["webhook", "test"]);
    assert!(said.starts_with("exit 0\n-- stdout\nhttp://127.0.0.1:"), "{said}");
    assert!(said.contains(" took it in ") && said.ends_with(" ms, 204\n"), "{said}");
    assert_eq!(receiver.next().1, "ping");

    fails(&dev, data);
    let id = receiver.failed_and_rolled_back();
    let told = failed(&dev, |it| it.state == NotificationState::Delivered);
    assert_eq!(told.notifications[0].id, id);
    let said = same(&dev.fixpoint(&["runs", &told.id]));
    assert!(said.contains("TIME  webhook: run.failed delivered, 1 attempt\n"), "{said}");

    let said = dev.fixpoint(&["runs"]);
    let causes: Vec<_> = said.lines().filter_map(|line| line.split_whitespace().last()).collect();
    assert_eq!(causes[2..], ["CAUSE", "roll_back", "request"], "{said}");

    // One that has another secret will not have it.
    let other = Receiver::start(&format!("whsec_{}", "bmV3".repeat(8)));
    let url = format!("http://127.0.0.1:{}/", other.port);
    let environment = [("FIXPOINT_WEBHOOK", &*url), ("FIXPOINT_WEBHOOK_SECRET", SECRET)];
    let folder = tempfile::tempdir().unwrap();
    let dev = Dev::start_in(folder.path(), &[], &environment);
    let said = dev.fixpoint(&["webhook", "test"]);
    assert!(said.starts_with("exit 1\n-- stderr\nerror: http://127.0.0.1:"), "{said}");
    assert!(said.contains("did not take the ping\n  it answered 401 Unauthorized\n"), "{said}");
}

#[test]
fn what_could_not_be_delivered_survives_a_kill_and_is_told_by_the_next_server() {
    let folder = tempfile::tempdir().unwrap();
    let (port, faults) = (free_port(), no_network(folder.path()));
    let url = format!("http://127.0.0.1:{port}/");
    let flags = ["--webhook", &url, "--time-scale", "600", "--faults", &faults];
    let secret = [("FIXPOINT_WEBHOOK_SECRET", SECRET)];
    let dev = Dev::start_in(folder.path(), &flags, &secret);
    fails(&dev, folder.path());
    let run = failed(&dev, |it| it.error.is_some());
    let said = dev.fixpoint(&["runs", &run.id]);
    assert!(said.contains("webhook: run.failed not delivered yet after "), "{said}");
    assert!(said.contains(": it could not be reached: "), "{said}");
    dev.kill();

    let mut receiver = Receiver::start_at(port, SECRET);
    let dev = Dev::start_in(folder.path(), &flags, &secret);
    let id = receiver.failed_and_rolled_back();
    let run = failed(&dev, |it| it.state == NotificationState::Delivered);
    assert_eq!(run.notifications[0].id, id);
    assert!(run.notifications[0].attempts > 1);
}

#[test]
fn a_webhook_without_a_secret_or_a_url_that_makes_sense_is_refused_with_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    fs::write(&secret, "hunter2").unwrap();
    let secret = secret.to_str().unwrap();
    let dev = |args: &[&str], own: &str| {
        let mut command = command();
        command.args(["dev", "--listen", "127.0.0.1:0", "--data"]).arg(folder.path());
        command.args(["--otlp-grpc", "off", "--otlp-http", "off", "--zipkin", "off"]);
        let said = run(command.args(args).env("FIXPOINT_WEBHOOK_SECRET", own));
        assert!(said.starts_with("exit 2") && !said.contains("hunter2"), "{said}");
        said
    };
    let said = dev(&["--webhook", "http://127.0.0.1:9/"], "");
    assert!(
        said.contains("there is none") && said.contains("--webhook-secret-file FILE"),
        "{said}"
    );
    assert!(said.contains("openssl rand -base64 32"), "{said}");
    let said = dev(&["--webhook", "http://127.0.0.1:9/", "--webhook-secret-file", secret], SECRET);
    assert!(said.contains("it does not begin with whsec_"), "{said}");
    let said = dev(&["--webhook", "ftp://hunter2"], SECRET);
    assert!(said.contains("http:// or https://"), "{said}");
    let said = dev(&["--webhook", "http://h/", "--public-url", "hunter2"], SECRET);
    assert!(said.contains("the public URL cannot be used"), "{said}");
    let said = dev(&["--webhook-secret-file", secret], SECRET);
    assert!(said.contains("give --webhook URL, too"), "{said}");
    let said = dev(&["--webhook", "http://h/", "--webhook-events", "run.converged"], SECRET);
    assert!(said.contains("one of run.failed, run.paused"), "{said}");
}
