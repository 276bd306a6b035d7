//! A server with TLS, and the command as its client: who trusts whom.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::support::{Dev, same};

/// Writes an authority, and a certificate that it signed, as `NAME-ca.pem`, `NAME.pem` and
/// `NAME.key`.
fn certificates(folder: &Path, name: &str) -> [String; 3] {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    [
        (format!("{name}-ca.pem"), authority.pem()),
        (format!("{name}.pem"), certificate.pem()),
        (format!("{name}.key"), key.serialize_pem()),
    ]
    .map(|(file, pem)| {
        let path: PathBuf = folder.join(file);
        fs::write(&path, pem).unwrap();
        path.to_str().unwrap().to_owned()
    })
}

#[test]
fn a_server_with_tls_is_for_those_who_trust_it_and_whom_it_trusts() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let [ca, certificate, key] = certificates(data, "server");
    let [client_ca, client, client_key] = certificates(data, "client");
    let tls = ["--tls-cert", &certificate, "--tls-key", &key, "--tls-client-ca", &client_ca];
    let dev = Dev::start(data, &tls);
    assert!(dev.url.starts_with("https://"), "{}", dev.url);

    let mutual = ["--ca", &ca, "--client-cert", &client, "--client-key", &client_key];
    let get = |options: &[&str]| dev.fixpoint(&[&["get"], options].concat());
    assert!(get(&mutual).starts_with("exit 0"), "{}", get(&mutual));
    let said = get(&[]);
    assert!(said.starts_with("exit 3") && said.contains("--ca"), "{said}");
    // Trusted by us, and we are not by them.
    let said = get(&mutual[..2]);
    assert!(said.starts_with("exit 3") && said.contains("--client-cert"), "{said}");
    let said = get(&["--ca", &ca, "--client-cert", &client]);
    assert!(said.starts_with("exit 2") && said.contains("--client-key"), "{said}");
    let said = get(&["--ca", &client_key]);
    assert!(said.starts_with("exit 2"), "{said}");
}

#[test]
fn certificates_are_read_again_on_sighup_and_kept_if_they_cannot_be_used() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let [old, certificate, key] = certificates(data, "server");
    let dev = Dev::start(data, &["--tls-cert", &certificate, "--tls-key", &key]);
    let trusts = |ca: &str| dev.fixpoint(&["get", "--ca", ca]).starts_with("exit 0");
    let hang_up = |said: &str| {
        let before = log(data).matches(said).count();
        let sent = Command::new("kill").args(["-HUP", &dev.id().to_string()]).status();
        assert!(sent.unwrap().success());
        let began = Instant::now();
        while log(data).matches(said).count() == before {
            assert!(began.elapsed() < Duration::from_secs(20), "{}", log(data));
            std::thread::yield_now();
        }
    };
    assert!(trusts(&old));
    fs::write(&certificate, "nonsense").unwrap();
    hang_up("the old certificates stay in use");
    assert!(trusts(&old));

    fs::copy(&old, data.join("old-ca.pem")).unwrap();
    let [new, ..] = certificates(data, "server");
    hang_up("read the certificates again");
    assert!(trusts(&new));
    assert!(!trusts(data.join("old-ca.pem").to_str().unwrap()));
}

#[test]
fn certificates_that_cannot_be_used_are_told_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    let [_, certificate, _] = certificates(folder.path(), "a");
    let [_, _, key] = certificates(folder.path(), "b");
    let args = ["dev", "--listen", "127.0.0.1:0", "--tls-cert", &certificate, "--tls-key", &key];
    let said = crate::support::fixpoint(&args);
    let said = same(&said).replace(folder.path().to_str().unwrap(), "DIR");
    assert!(said.starts_with("exit 2"), "{said}");
    assert!(said.contains("DIR/a.pem and its key cannot be used for TLS"), "{said}");
}

fn log(data: &Path) -> String {
    fs::read_to_string(data.join("log.jsonl")).unwrap()
}

#[cfg(feature = "etcd")]
#[test]
fn a_server_shows_etcd_its_certificate_and_says_what_etcd_does_not_like() {
    use fixpoint_server::store::testing::Etcd;

    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let [ca, certificate, key] = certificates(data, "etcd");
    let [other_ca, other, other_key] = certificates(data, "other");
    let arguments = ["--cert-file", &certificate, "--key-file", &key, "--trusted-ca-file", &ca];
    let arguments = [&arguments[..], &["--client-cert-auth"]].concat();
    let etcd = Etcd::start_with(1, "https", &arguments).unwrap();
    let serve = |scheme: &str, more: &[&str]| {
        let runs = format!("{scheme}://{}/tls", etcd.addresses());
        let cloud =
            ["--region", "eu-west-1", "--endpoint-url", "http://127.0.0.1:9", "--auth", "off"];
        let arguments = [&cloud[..], &["--runs", &runs], more].concat();
        arguments.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    // What the first server wrote would be there for a second.
    let known = ["--etcd-ca", &ca, "--etcd-cert", &certificate, "--etcd-key", &key];
    let arguments = serve("etcds", &known);
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let server = Dev::serve(data, &arguments, &[]);
    let said = server.fixpoint(&["get"]);
    assert!(said.starts_with("exit 0"), "{said}");
    assert!(server.terminate().contains("exit status: 0"));

    let refused = |arguments: Vec<String>| {
        let mut command = crate::support::command();
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(data).args(arguments);
        let said = crate::support::run(command.env("FIXPOINT_ETCD_PASSWORD", "Canary7hunter2"));
        assert!(!said.starts_with("exit 0") && !said.contains("Canary7"), "{said}");
        said
    };
    for (scheme, more, hint) in [
        (
            "etcds",
            ["--etcd-ca", &other_ca, "--etcd-cert", &certificate, "--etcd-key", &key],
            "--etcd-ca",
        ),
        (
            "etcds",
            ["--etcd-ca", &ca, "--etcd-cert", &other, "--etcd-key", &other_key],
            "--etcd-cert",
        ),
        ("etcd", ["--etcd-ca", &ca, "--etcd-cert", &certificate, "--etcd-key", &key], "etcds://"),
    ] {
        let said = refused(serve(scheme, &more));
        assert!(said.contains(hint), "{hint}: {said}");
    }
    let as_user = [&known[..], &["--etcd-user", "fixpoint"]].concat();
    let said = refused(serve("etcds", &as_user));
    assert!(said.contains("--etcd-user"), "{said}");
}
