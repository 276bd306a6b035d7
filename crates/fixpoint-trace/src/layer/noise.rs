//! Tells the chatter of libraries from what is worth keeping.
//!
//! The AWS SDK and the HTTP crates print whole requests, bodies and credentials at their finer
//! levels; only their warnings are kept.

use tracing::{Level, Metadata};

/// Families of crates of which only warnings and errors are kept, by how their names begin.
const CHATTY: [&str; 5] = ["aws_smithy", "aws_sdk", "hyper", "opentelemetry", "rustls"];

/// Says ERROR whenever a connection is not used again, which the retry layer handles.
const FALSE_ALARM: &str = "connection_poisoning";

pub(super) fn is_noise(metadata: &Metadata<'_>) -> bool {
    is_noisy(metadata.target(), *metadata.level())
}

/// Asked of every span, so it compares and no more.
fn is_noisy(target: &str, level: Level) -> bool {
    let krate = target.split_once("::").map_or(target, |(krate, _)| krate);
    let chatty = match krate {
        "aws_config" | "aws_credential_types" | "aws_runtime" | "aws_sigv4" => true,
        "fjall" | "h2" | "lsm_tree" | "reqwest" | "tonic" | "tower" => true,
        _ => CHATTY.iter().any(|start| krate.starts_with(start)),
    };
    chatty && (level > Level::WARN || target.ends_with(FALSE_ALARM))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_that_the_sdk_prints_are_noise_at_every_finer_level() {
        for target in [
            "aws_smithy_runtime::client::orchestrator",
            "aws_sdk_iam::operation::create_role",
            "aws_config",
            "aws_sigv4::http_request::sign",
            "hyper_util::client::legacy::pool",
            "h2::codec",
            "rustls::client::hs",
            "reqwest::connect",
            "opentelemetry_otlp",
        ] {
            for level in [Level::INFO, Level::DEBUG, Level::TRACE] {
                assert!(is_noisy(target, level), "{target} {level}");
            }
            assert!(!is_noisy(target, Level::WARN), "{target}");
        }
    }

    #[test]
    fn poisoned_connections_are_noise_even_as_errors() {
        for target in [
            "aws_smithy_runtime_api::client::connection_poisoning",
            "aws_smithy_runtime::client::http::connection_poisoning",
        ] {
            assert!(is_noisy(target, Level::ERROR), "{target}");
        }
    }

    #[test]
    fn crates_whose_names_only_look_alike_are_kept() {
        for target in ["fixpoint_aws::call", "h2o::x", "awsome", "towering", "reqwest_like::x", "x"]
        {
            assert!(!is_noisy(target, Level::TRACE), "{target}");
        }
    }
}
