//! A URL in which anything but scheme, host and port may be a secret.
//!
//! Not here: sending anything there. The surprise: the path counts as secret, too. With many
//! services, whoever knows the path may post.

use std::error::Error;

use reqwest::Url;

/// What stands in the place of a secret.
const HIDDEN: &str = "[redacted]";

/// Shorter parts of a URL are words like any other.
const SHORT: usize = 4;

/// Not printed: it has no `Debug`.
#[derive(Clone)]
pub(super) struct Target(Url);

impl Target {
    /// # Errors
    /// If it is no URL of HTTP; the error repeats nothing of it.
    pub(super) fn parse(text: &str) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let url = Url::parse(text.trim())?;
        match matches!(url.scheme(), "http" | "https") && url.host_str().is_some() {
            true => Ok(Self(url)),
            false => Err("http:// or https:// and a host are wanted".into()),
        }
    }

    /// All of it. Whoever calls this answers for where it goes.
    pub(super) fn reveal(&self) -> Url {
        self.0.clone()
    }

    pub(super) fn place(&self) -> String {
        self.0.origin().ascii_serialization()
    }

    pub(super) fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default().trim_matches(['[', ']'])
    }

    pub(super) fn port(&self) -> Option<u16> {
        self.0.port_or_known_default()
    }

    /// A page below this URL.
    pub(super) fn page(&self, path: &str) -> String {
        format!("{}{path}", self.0.as_str().trim_end_matches('/'))
    }

    /// A text of the other side, which may repeat what it was sent.
    pub(super) fn hide_in(&self, text: &str) -> String {
        let url = &self.0;
        let pairs: Vec<_> = url.query_pairs().map(|(_, value)| value.into_owned()).collect();
        let parts = [url.username(), url.password().unwrap_or_default(), url.path()];
        let parts = parts.into_iter().chain(url.query()).chain(url.path().split('/'));
        let mut parts: Vec<_> = parts.chain(pairs.iter().map(String::as_str)).collect();
        parts.retain(|part| part.len() >= SHORT);
        // What is within another would leave the rest of that.
        parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
        let clean = fixpoint_trace::redact::text(text).into_owned();
        parts.into_iter().fold(clean, |text, part| text.replace(part, HIDDEN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> Target {
        Target::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn of_a_url_only_scheme_host_and_port_are_shown() {
        for (url, place) in [
            ("https://hooks.example/T0/hunter2", "https://hooks.example"),
            (
                "https://me:hunter2@hooks.example:8443/?k=hunter2#hunter2",
                "https://hooks.example:8443",
            ),
            ("http://[::1]:80/x", "http://[::1]"),
        ] {
            assert_eq!(target(url).place(), place);
        }
        assert_eq!(
            (target("http://[::1]:81/").host(), target("https://a").port()),
            ("::1", Some(443))
        );
    }

    #[test]
    fn a_url_that_makes_no_sense_is_refused_and_not_repeated() {
        for bad in ["", "hunter2", "ftp://hunter2", "unix:/hunter2", "http://", "http://h:hunter2"]
        {
            let Err(error) = Target::parse(bad) else { panic!("{bad} is taken") };
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        }
    }

    #[test]
    fn what_the_other_side_repeats_of_the_url_is_hidden() {
        let target = target("https://user-a:word-b@h/path-c/path-d?k=value%20e&x=value-f");
        let said = "POST /path-c/path-d?k=value%20e&x=value-f; path-d, value e, user-a:word-b went";
        let clean = target.hide_in(said);
        for secret in ["path-c", "path-d", "value e", "value%20e", "value-f", "user-a", "word-b"] {
            assert!(!clean.contains(secret), "{secret} is in {clean}");
        }
        assert!(clean.starts_with("POST ") && clean.ends_with(" went"), "{clean}");
    }
}
