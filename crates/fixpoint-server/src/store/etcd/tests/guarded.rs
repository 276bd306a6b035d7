//! The store against etcds that do not talk to everybody: by TLS, with certificates on both sides, and
//! with users and passwords.
//!
//! The surprise: users are told apart by a token that etcd forgets after a while, or when it starts
//! again. Nothing may be lost by that.

use std::{
    fmt::Debug,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use etcd_client::{Client, ConnectOptions, Permission};
use tempfile::TempDir;
use tokio::time;
use tracing::field::Field;
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt},
};

use super::{
    super::{
        super::{RunStore, StoreError, testing::Etcd},
        EtcdOptions, EtcdStore,
    },
    heard, put,
};
use crate::tests::authority::Authority;

/// The user's, and root's. Found nowhere.
const PASSWORD: &str = "Canary7hunter2";
const ROOT: &str = "Canary7root";

/// Seconds after which etcd forgets who somebody is, if it does not hear of them.
const TOKEN: u64 = 1;

/// An etcd that shows a certificate, and wants one.
fn by_tls(authority: &Authority, folder: &TempDir) -> Etcd {
    let (certificate, key) = authority.sign("127.0.0.1");
    let file = |name: &str, pem: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, pem).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let [certificate, key] = [file("pem", &certificate), file("key", &key)];
    let ca = file("ca", &authority.pem());
    let arguments = ["--cert-file", &certificate, "--key-file", &key, "--trusted-ca-file", &ca];
    let arguments = [&arguments[..], &["--client-cert-auth"]].concat();
    Etcd::start_with(1, "https", &arguments).unwrap()
}

fn pems((certificate, key): (String, String)) -> Option<(Vec<u8>, Vec<u8>)> {
    Some((certificate.into(), key.into()))
}

/// Why the store cannot be opened. It is told at once, and not after having hoped for long.
async fn refused(options: EtcdOptions) -> String {
    let shown = format!("{options:?}");
    let error = EtcdStore::open(options).await.expect_err("refused");
    assert!(matches!(error, StoreError::Engine { .. }), "{error:?}");
    for text in [shown, format!("{error:?}")] {
        assert!(!text.contains("Canary7") && !text.contains("PRIVATE KEY"), "{text}");
    }
    fixpoint::Chain(&error).to_string()
}

#[tokio::test]
async fn by_tls_the_contract_is_kept_with_whom_both_sides_trust_and_nobody_else_is_talked_to() {
    let (authority, other) = (Authority::new(), Authority::new());
    let folder = tempfile::tempdir().unwrap();
    let etcd = by_tls(&authority, &folder);
    let trusted = EtcdOptions {
        ca: Some(authority.pem().into()),
        identity: pems(authority.sign("fixpoint")),
        ..etcd.options("fixpoint")
    };
    crate::store::contract(Arc::new(EtcdStore::open(trusted.clone()).await.unwrap())).await;

    let ca = Some(other.pem().into());
    let said = refused(EtcdOptions { ca, ..trusted.clone() }).await;
    assert!(said.contains("invalid peer certificate") && said.contains("--etcd-ca"), "{said}");
    // That etcd does not like ours comes after the connection is there, and may be overtaken by its end.
    for identity in [None, pems(other.sign("fixpoint"))] {
        let error = EtcdStore::open(EtcdOptions { identity, ..trusted.clone() }).await.unwrap_err();
        let said = fixpoint::Chain(&error).to_string();
        let at_once = matches!(error, StoreError::Engine { .. });
        assert!(!at_once || said.contains("--etcd-cert"), "{said}");
        assert!(!said.contains("PRIVATE KEY"), "{said}");
    }
    let identity = Some((b"no certificate".to_vec(), b"no key Canary7".to_vec()));
    let said = refused(EtcdOptions { identity, ..trusted }).await;
    assert!(said.contains("--etcd-cert"), "{said}");
}

/// An etcd that knows two users: `fixpoint`, who may do everything below `/fixpoint/`, and root.
async fn with_users() -> Etcd {
    let etcd = Etcd::start_with(1, "http", &["--auth-token-ttl", &TOKEN.to_string()]).unwrap();
    let mut client = Client::connect(etcd.options("").endpoints, None).await.unwrap();
    client.user_add("root", ROOT, None).await.unwrap();
    client.role_add("root").await.unwrap();
    client.user_grant_role("root", "root").await.unwrap();
    client.user_add("fixpoint", PASSWORD, None).await.unwrap();
    client.role_add("fixpoint").await.unwrap();
    let below = Permission::read_write("/fixpoint/").with_prefix();
    client.role_grant_permission("fixpoint", below).await.unwrap();
    client.user_grant_role("fixpoint", "fixpoint").await.unwrap();
    client.auth_enable().await.unwrap();
    etcd
}

fn user(name: &str, password: &str) -> Option<(String, String)> {
    Some((name.to_owned(), password.to_owned()))
}

/// Waits until etcd has forgotten who somebody is.
async fn forgotten() {
    let _over = time::timeout(Duration::from_secs(TOKEN + 2), std::future::pending::<()>()).await;
}

#[tokio::test]
async fn a_user_keeps_the_contract_and_is_signed_in_again_when_etcd_has_forgotten_who_it_is() {
    let mut etcd = with_users().await;
    let options = EtcdOptions { user: user("fixpoint", PASSWORD), ..etcd.options("/fixpoint") };
    let open = async || EtcdStore::open(options.clone()).await.unwrap();
    crate::store::contract(Arc::new(open().await)).await;

    let (store, other) = (open().await, open().await);
    let lease = store.lease(Duration::from_secs(8)).await.unwrap();
    let keeping = async {
        let mut before = store.watch("w/");
        forgotten().await;
        // The first thing that is asked for after that is a watch, by somebody who only listens.
        let mut listening = other.watch("w/");
        let at = store.commit(put("w/1", "")).await.unwrap();
        assert_eq!(store.get("w/1").await.unwrap().unwrap().version, at);
        for watch in [&mut before, &mut listening] {
            assert_eq!(heard(watch).await.as_deref(), Some("w/1"));
        }
        // What it forgets at once.
        etcd.kill(0).unwrap();
        etcd.restart(0).unwrap();
        store.commit(put("w/2", "")).await.unwrap();
        for watch in [&mut before, &mut listening] {
            assert_eq!(heard(watch).await.as_deref(), Some("w/2"));
        }
    };
    tokio::select! {
        () = keeping => {}
        why = lease.keep() => panic!("the lease was lost: {why}"),
    }
    assert!(!format!("{store:?}").contains(PASSWORD));
}

#[tokio::test]
async fn whoever_etcd_does_not_let_in_is_told_what_to_do_and_no_password() {
    let said = Said::default();
    let subscriber = tracing_subscriber::registry().with(said.clone());
    let _guard = tracing::subscriber::set_default(subscriber);

    let etcd = with_users().await;
    let as_user = |user| EtcdOptions { user, ..etcd.options("/fixpoint") };
    let text = refused(as_user(user("fixpoint", "Canary7wrong"))).await;
    assert!(text.contains("FIXPOINT_ETCD_PASSWORD"), "{text}");
    let text = refused(as_user(None)).await;
    assert!(text.contains("--etcd-user"), "{text}");
    let elsewhere =
        EtcdOptions { prefix: "/elsewhere".into(), ..as_user(user("fixpoint", PASSWORD)) };
    let text = refused(elsewhere).await;
    assert!(text.contains("the role to read and write the prefix"), "{text}");

    let root = ConnectOptions::new().with_user("root", ROOT);
    let mut root = Client::connect(etcd.options("").endpoints, Some(root)).await.unwrap();
    root.auth_disable().await.unwrap();
    let text = refused(as_user(user("fixpoint", PASSWORD))).await;
    assert!(text.contains("--etcd-user"), "{text}");

    let said = said.0.lock().unwrap_or_else(PoisonError::into_inner);
    assert!(!said.is_empty());
    assert_eq!(said.lines().find(|line| line.contains("Canary7")), None);
}

/// All that was said, by whatever library, at whatever level.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<String>>);

impl<S: tracing::Subscriber> Layer<S> for Said {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        event.record(&mut |field: &Field, value: &dyn Debug| {
            said.push_str(&format!("{field}={value:?} "));
        });
        said.push('\n');
    }
}
