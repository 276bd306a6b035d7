//! How long traces are kept, where, and what they survive: flags of `dev` and `serve`.
//!
//! Not here: how the store does it. The surprise: nothing is removed unless it is asked for.

mod s3;

use std::{str::FromStr, time::Duration};

use fixpoint_trace::{
    query::Length,
    store::engine::{Durability, Options},
};

use crate::error::Result;

/// How long traces are kept, and what they survive.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Traces")]
pub(super) struct Keeping {
    /// Remove traces that started longer ago, such as 30d; pinned ones stay [default: keep all]
    #[arg(long, value_name = "TIME")]
    keep_for: Option<Length>,
    /// Remove the oldest traces when all take more, such as 50GB; pinned ones stay [default: keep all]
    #[arg(long, value_name = "SIZE")]
    keep_size: Option<Size>,
    /// What a span that was acknowledged survives
    #[arg(long, value_enum, default_value_t = Survives::PowerLoss, value_name = "WHAT")]
    survive: Survives,
    /// Keep sealed traces on S3 as well, such as s3://BUCKET/PREFIX, where servers share them
    /// [default: only in the data folder]
    #[arg(long, value_name = "URL")]
    traces: Option<s3::Place>,
    /// How long traces may be on this server only, where they are also to be on S3
    #[arg(long, value_name = "TIME", default_value = "5m")]
    traces_seal_after: Length,
    /// Another address of S3 than that of AWS
    #[arg(long, value_name = "URL", env = "AWS_ENDPOINT_URL_S3", hide_env_values = true)]
    s3_endpoint: Option<String>,
    /// How much of the traces on S3 may be here as well, where reading them is fast
    #[arg(long, value_name = "SIZE", default_value = "20GB")]
    traces_cache: Size,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Survives {
    /// Every write is synced to the disk before it is acknowledged
    PowerLoss,
    /// The operating system writes when it likes: enough for kill -9
    ProcessDeath,
}

impl Keeping {
    /// Whether other servers can read what is sealed.
    pub(super) fn shares(&self) -> bool {
        self.traces.is_some()
    }

    /// As the store wants it.
    pub(super) async fn options(&self) -> Result<Options> {
        let bucket = match &self.traces {
            Some(place) => Some(place.open(self.s3_endpoint.clone()).await?),
            None => None,
        };
        let seal_age = match &bucket {
            // What has not been sealed is on one machine only.
            Some(_) => Duration::from_nanos(self.traces_seal_after.0),
            None => Options::default().seal_age,
        };
        Ok(Options {
            bucket,
            seal_age,
            cache_bytes: self.traces_cache.0,
            keep_for: self.keep_for.map(|Length(nanos)| Duration::from_nanos(nanos)),
            keep_bytes: self.keep_size.map(|Size(bytes)| bytes),
            durability: match self.survive {
                Survives::PowerLoss => Durability::PowerLoss,
                Survives::ProcessDeath => Durability::ProcessDeath,
            },
            ..Options::default()
        })
    }
}

/// A size in bytes, as people write it: 500MB, 1.5TB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Size(u64);

impl FromStr for Size {
    type Err = &'static str;

    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        const WANTED: &str = "a size is wanted, such as 500MB or 1.5TB";
        let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let unit: u32 = match unit.trim().to_ascii_uppercase().as_str() {
            "" | "B" => 0,
            "KB" => 1,
            "MB" => 2,
            "GB" => 3,
            "TB" => 4,
            _ => return Err(WANTED),
        };
        let number: f64 = number.parse().map_err(|_| WANTED)?;
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it has digits only, and what is larger than all disks is kept as that"
        )]
        Ok(Self((number * 1000f64.powi(unit as i32)) as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, bytes) in [
            ("0", 0),
            ("512", 512),
            ("7 kb", 7000),
            ("50GB", 50_000_000_000),
            ("1.5TB", 1_500_000_000_000),
        ] {
            assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
        }
        for text in ["", "GB", "-1GB", "5 GiB", "1.2.3MB", "many"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }
}
