//! Tokens from a server's first start on: who gets in, and where a secret does not go.

use std::{fs, path::Path};

use crate::support::{Dev, command, run};

struct Closed {
    dev: Dev,
    admin: String,
}

impl Closed {
    fn start(data: &Path, args: &[&str]) -> Self {
        let dev = Dev::start(data, &[&["--auth", "on"], args].concat());
        let admin = fs::read_to_string(data.join("admin-token")).unwrap().trim().to_owned();
        Self { dev, admin }
    }

    fn fixpoint(&self, token: &str, args: &[&str]) -> String {
        let mut command = command();
        run(command.env("FIXPOINT_URL", &self.dev.url).env("FIXPOINT_TOKEN", token).args(args))
    }

    /// Makes a token, and returns its secret.
    fn token(&self, args: &[&str]) -> String {
        let said = self.fixpoint(&self.admin, &[&["token", "create"], args].concat());
        let line = said.lines().find(|line| line.starts_with("fixpoint_"));
        line.unwrap_or_else(|| panic!("{said}")).to_owned()
    }
}

#[test]
fn a_server_that_asks_for_tokens_lets_each_role_do_its_part() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let server = Closed::start(data, &[]);

    insta::assert_snapshot!(anonymous(&server.dev.fixpoint(&["get"])), @r"
    exit 2
    -- stderr
    error: This wants an API token, and none was sent.
    Hint: Send Authorization: Bearer and a token; the fixpoint command does that with FIXPOINT_TOKEN or --token-file.
    trace_id: TRACE
    ");
    let viewer = server.token(&["--role", "viewer", "--name", "a screen"]);
    assert!(server.fixpoint(&viewer, &["get"]).starts_with("exit 0"));
    insta::assert_snapshot!(anonymous(&server.fixpoint(&viewer, &["delete", "idg"])), @r"
    exit 2
    -- stderr
    error: The API token TOKEN is of role viewer. To act on resources and runs wants operator or admin.
    Hint: Ask an administrator for another: fixpoint token create.
    trace_id: TRACE
    ");
    let file = data.join("operator");
    fs::write(&file, server.token(&["--role", "operator", "--expires", "1h"])).unwrap();
    let with_file = ["delete", "idg", "--token-file", file.to_str().unwrap()];
    let said = server.dev.fixpoint(&with_file);
    assert!(said.contains("There is no clusters/idg"), "{said}");

    let said = server.fixpoint(&server.admin, &["token", "list"]);
    for word in ["first", "a screen", "viewer", "operator", "never"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    let id = said.lines().find(|line| line.contains("a screen")).unwrap();
    let id = id.split_whitespace().next().unwrap();
    assert!(server.fixpoint(&server.admin, &["token", "revoke", id]).contains("revoked"));
    assert!(server.fixpoint(&viewer, &["get"]).contains("not known here, or was revoked"));
    let said = server.fixpoint("no token", &["get"]);
    assert!(said.contains("not known here") && !said.contains("no token"), "{said}");
}

#[test]
fn spans_come_in_with_an_ingest_token_and_not_without() {
    let folder = tempfile::tempdir().unwrap();
    let server = Closed::start(folder.path(), &[]);
    let address = server.dev.otlp_http.trim_start_matches("http://").to_owned();
    let send = |token: Option<&str>| {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(&address).unwrap();
        let token = token.map(|t| format!("authorization: Bearer {t}\r\n")).unwrap_or_default();
        let body = r#"{"resourceSpans":[]}"#;
        write!(
            stream,
            "POST /v1/traces HTTP/1.1\r\nhost: h\r\n{token}content-type: application/json\r\n\
             connection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let answer = send(None);
    assert!(answer.starts_with("HTTP/1.1 401") && answer.contains("Bearer realm"), "{answer}");
    let ingest = server.token(&["--role", "ingest"]);
    assert!(send(Some(&ingest)).starts_with("HTTP/1.1 200"));
    let answer = send(Some(&server.token(&["--role", "viewer"])));
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    assert!(server.fixpoint(&ingest, &["get"]).starts_with("exit 2"));
}

#[test]
fn no_secret_of_a_token_is_written_anywhere_but_where_it_belongs() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let server = Closed::start(data, &[]);
    let viewer = server.token(&["--role", "viewer"]);
    server.fixpoint(&viewer, &["delete", "idg"]);
    // Pasted where it does not belong.
    server.fixpoint(&server.admin, &["find", &viewer]);
    let admin = server.admin.clone();
    assert!(server.dev.terminate().contains("exit status: 0"));

    let secrets = [&admin[9..60], &viewer[9..60]];
    let mut looked = 0;
    let mut folders = vec![data.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path != data.join("admin-token") {
                let bytes = fs::read(&path).unwrap();
                looked += bytes.len();
                for secret in secrets {
                    let found = bytes.windows(secret.len()).any(|w| w == secret.as_bytes());
                    assert!(!found, "{} holds a token", path.display());
                }
            }
        }
    }
    assert!(looked > 1_000, "{looked}");
}

fn anonymous(said: &str) -> String {
    let said = crate::support::same(said);
    regex::Regex::new("tok-(SPAN|[0-9a-f]{16})").unwrap().replace_all(&said, "TOKEN").into_owned()
}

#[test]
fn a_tenants_token_is_for_that_tenants_things_alone() {
    let folder = tempfile::tempdir().unwrap();
    let server = Closed::start(folder.path(), &[]);
    let acme = server.token(&["--role", "operator", "--tenant", "acme"]);
    let globex = server.token(&["--role", "operator", "--tenant", "globex"]);
    let said = server.fixpoint(&server.admin, &["token", "list"]);
    assert!(said.contains("TENANT") && said.contains("acme"), "{said}");
    let said =
        server.fixpoint(&server.admin, &["token", "create", "--role", "admin", "--tenant", "acme"]);
    assert!(said.contains("admin is of the whole server"), "{said}");

    let file = folder.path().join("idg.yaml");
    fs::write(&file, "name: idg\nnodes: 1\n").unwrap();
    let file = file.to_str().unwrap();
    for (token, name) in [(&acme, "acme--idg"), (&globex, "globex--idg")] {
        let said = server.fixpoint(token, &["apply", "-f", file]);
        assert!(said.starts_with("exit 0") && said.contains(name), "{said}");
    }
    let said = server.fixpoint(&acme, &["get"]);
    assert!(said.contains("acme--idg") && !said.contains("globex"), "{said}");
    // By its own name for it, and by the whole one.
    for name in ["idg", "acme--idg"] {
        assert!(server.fixpoint(&acme, &["get", "clusters", name]).starts_with("exit 0"), "{name}");
    }
    let said = server.fixpoint(&acme, &["get", "clusters", "globex--idg"]);
    assert!(said.contains("There is no clusters/globex--idg"), "{said}");
    let said = server.fixpoint(&server.admin, &["get"]);
    assert!(said.contains("acme--idg") && said.contains("globex--idg"), "{said}");
    let said = server.fixpoint(&acme, &["apis"]);
    assert!(said.contains("of the whole server"), "{said}");
}
