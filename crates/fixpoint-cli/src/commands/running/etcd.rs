//! Where etcd is: `etcd://HOST:PORT,HOST:PORT/PREFIX`.
//!
//! Not here: what lies there. The surprise: a build without the feature `etcd` knows the flag, and
//! says what it lacks.

use std::str::FromStr;

use crate::{
    error::{CliError, Result},
    host::Runs,
};

/// The port on which etcd serves clients.
const PORT: u16 = 2379;

/// The members of an etcd, and what all keys in it begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    tls: bool,
    members: Vec<String>,
    prefix: String,
}

/// What signs whom in. Not printed.
#[cfg_attr(not(feature = "etcd"), expect(dead_code, reason = "nobody can sign in without etcd"))]
pub(super) struct Secrets {
    pub(super) ca: Option<Vec<u8>>,
    pub(super) identity: Option<(Vec<u8>, Vec<u8>)>,
    pub(super) user: Option<(String, String)>,
}

impl FromStr for Place {
    type Err = &'static str;

    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        let (tls, place) = match text.split_once("://") {
            Some(("etcd", place)) => (false, place),
            Some(("etcds", place)) => (true, place),
            _ => {
                return Err("etcd://HOST:PORT,HOST:PORT,.../PREFIX is wanted, or etcds:// for TLS");
            }
        };
        let (members, prefix) = place.split_once('/').unwrap_or((place, ""));
        if members.contains('@') {
            return Err("name the user with --etcd-user, and the password in the environment");
        }
        let member = |member: &str| {
            // A port comes after the last colon, unless that is in the brackets of IPv6.
            let (host, port) = match member.rsplit_once(':') {
                Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()),
                _ => (member, Some(PORT)),
            };
            let known = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
            let port: u16 = port.filter(|_| !host.is_empty() && host.chars().all(known))?;
            Some(format!("{host}:{port}"))
        };
        let members: Option<Vec<_>> = members.split(',').map(member).collect();
        let members = members.ok_or("each member is HOST:PORT, and commas part them")?;
        let prefix = prefix.trim_matches('/');
        if prefix.contains("//") || prefix.contains(['?', '#', '%']) {
            return Err("the prefix is a path, such as fixpoint/production");
        }
        let prefix = if prefix.is_empty() { "fixpoint" } else { prefix };
        Ok(Self { tls, members, prefix: format!("/{prefix}") })
    }
}

impl Place {
    #[cfg(feature = "etcd")]
    pub(super) async fn open(&self, secrets: Secrets) -> Result<Runs> {
        use fixpoint_server::store::{EtcdOptions, EtcdStore, StoreError};

        let Secrets { ca, identity, user } = secrets;
        if !self.tls && (ca.is_some() || identity.is_some()) {
            return Err(CliError::usage("certificates are for TLS").hint("name etcd by etcds://"));
        }
        let scheme = if self.tls { "https" } else { "http" };
        let endpoints = self.members.iter().map(|member| format!("{scheme}://{member}")).collect();
        let options = EtcdOptions { endpoints, prefix: self.prefix.clone(), ca, identity, user };
        let store = EtcdStore::open(options).await.map_err(|why| {
            let unreachable = matches!(why, StoreError::Unreachable { .. });
            let error = CliError::because("etcd cannot be used", why);
            // Whoever is not talked to may be hung up on, without a word of why.
            let how = match self.tls {
                true => " with TLS (without: etcd://), and does it trust --etcd-cert",
                false => " without TLS (with it: etcds://)",
            };
            match unreachable {
                true => error
                    .hint(format!("is it running{how}? `etcdctl endpoint health` says how it is")),
                false => error,
            }
        })?;
        Ok(Runs::Shared(std::sync::Arc::new(store)))
    }

    #[cfg(not(feature = "etcd"))]
    #[allow(clippy::unused_async, reason = "with the feature it has something to wait for")]
    pub(super) async fn open(&self, _secrets: Secrets) -> Result<Runs> {
        let Self { tls, members, prefix } = self;
        let scheme = if *tls { "etcds" } else { "etcd" };
        let place = format!("{scheme}://{}{prefix}", members.join(","));
        Err(CliError::usage(format!("{place}: this build knows no etcd")).hint(
            "build it with `cargo build --release --features etcd`, for which protoc must be \
             installed",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_some_members_and_a_prefix() {
        for (text, tls, members, prefix) in [
            ("etcd://localhost", false, vec!["localhost:2379"], "/fixpoint"),
            (
                "etcd://10.0.0.1:1,b.example:2/",
                false,
                vec!["10.0.0.1:1", "b.example:2"],
                "/fixpoint",
            ),
            ("etcds://[::1]:2379/a/b/", true, vec!["[::1]:2379"], "/a/b"),
            ("etcds://[::1]/a", true, vec!["[::1]:2379"], "/a"),
        ] {
            let members = members.into_iter().map(str::to_owned).collect();
            let place = Place { tls, members, prefix: prefix.into() };
            assert_eq!(text.parse(), Ok(place), "{text}");
        }
        for text in [
            "",
            "localhost:2379",
            "http://localhost:2379",
            "etcd://",
            "etcd://a:b/x",
            "etcd://a:1,,b:2/x",
            "etcd://me:secret@a:1/x",
            "etcd://a:1/x//y",
            "etcd://a:1/x?y",
        ] {
            assert!(text.parse::<Place>().is_err(), "{text}");
        }
    }
}
