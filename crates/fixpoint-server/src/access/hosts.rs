//! The names under which a server may be asked that asks nobody for a token.
//!
//! A page of another site can have its own name point to 127.0.0.1 and then talk to a local server
//! as if it were its own ("DNS rebinding"). Its requests carry its own name in `Host`, though, which
//! is how they are told apart. The surprise: an address in place of a name is always right, since
//! nobody can have an address point elsewhere.

use std::net::IpAddr;

use http::uri::Authority;

/// Names of the server.
#[derive(Debug, Clone, Default)]
pub struct Hosts(Vec<String>);

impl Hosts {
    /// `localhost`, any address, and these names.
    pub fn and(names: impl IntoIterator<Item = String>) -> Self {
        Self(names.into_iter().map(|name| name.to_ascii_lowercase()).collect())
    }

    /// Whether a request for this host, with or without a port, is for us.
    pub(crate) fn hold(&self, host: &str) -> bool {
        let Ok(authority) = host.parse::<Authority>() else { return false };
        let host = authority.host().trim_end_matches('.').to_ascii_lowercase();
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(&host);
        bare.parse::<IpAddr>().is_ok()
            || host == "localhost"
            || host.ends_with(".localhost")
            || self.0.contains(&host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_localhost_and_given_names_are_ours_and_no_other() {
        let hosts = Hosts::and(["Fixpoint.example.com".to_owned()]);
        for ours in [
            "127.0.0.1:7171",
            "10.0.0.7",
            "[::1]:7171",
            "[::1]",
            "localhost",
            "LocalHost:7171",
            "dev.localhost",
            "localhost.:1",
            "fixpoint.example.com:443",
        ] {
            assert!(hosts.hold(ours), "{ours}");
        }
        for other in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example:7171",
            "",
            "a b",
            "user@evil.example",
        ] {
            assert!(!hosts.hold(other), "{other}");
        }
    }
}
