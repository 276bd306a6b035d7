//! The add-ons: what each is called, where it listens, and how its instance installs it.
//!
//! Not here: the steps that make one; they are the same for all. The surprise: an add-on's path on
//! the load balancer is also its base path, since a balancer's rule does not rewrite paths.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A tool that runs beside the nodes, on its own instance.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Addon {
    /// The InfluxData user interface.
    Chronograf,
    /// Dashboards.
    Grafana,
    /// Alerts and stream processing.
    Kapacitor,
}

impl Addon {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Chronograf, Self::Grafana, Self::Kapacitor];

    /// The word used in specs, names, tags and paths.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chronograf => "chronograf",
            Self::Grafana => "grafana",
            Self::Kapacitor => "kapacitor",
        }
    }

    /// The TCP port it listens on.
    pub fn port(self) -> u16 {
        match self {
            Self::Chronograf => 8888,
            Self::Grafana => 3000,
            Self::Kapacitor => 9092,
        }
    }

    /// Where it answers 2xx when it is well.
    pub fn health_path(self) -> &'static str {
        match self {
            Self::Chronograf => "/chronograf/ping",
            Self::Grafana => "/grafana/api/health",
            Self::Kapacitor => "/kapacitor/v1/ping",
        }
    }

    /// The path patterns that the load balancer sends to it.
    pub fn path_patterns(self) -> [String; 2] {
        [format!("/{self}"), format!("/{self}/*")]
    }

    /// The priority of its listener rule: fixed, so that two add-ons never ask for the same.
    pub fn priority(self) -> i32 {
        match self {
            Self::Chronograf => 10,
            Self::Grafana => 20,
            Self::Kapacitor => 30,
        }
    }

    /// The shell lines that install and start it against InfluxDB at `influxdb_url`.
    pub(crate) fn install(self, influxdb_url: &str) -> String {
        match self {
            Self::Chronograf => format!(
                "dnf install -y chronograf\n\
                 cat > /etc/default/chronograf <<'END'\n\
                 INFLUXDB_URL={influxdb_url}\n\
                 BASE_PATH=/chronograf\n\
                 END\n\
                 systemctl enable --now chronograf\n"
            ),
            Self::Grafana => format!(
                "dnf install -y https://dl.grafana.com/oss/release/grafana-11.6.0-1.$(uname -m).rpm\n\
                 mkdir -p /etc/grafana/provisioning/datasources\n\
                 cat > /etc/grafana/provisioning/datasources/influxdb.yaml <<'END'\n\
                 apiVersion: 1\n\
                 datasources: [{{name: InfluxDB, type: influxdb, url: '{influxdb_url}'}}]\n\
                 END\n\
                 cat >> /etc/sysconfig/grafana-server <<'END'\n\
                 GF_SERVER_ROOT_URL=%(protocol)s://%(domain)s/grafana/\n\
                 GF_SERVER_SERVE_FROM_SUB_PATH=true\n\
                 END\n\
                 systemctl enable --now grafana-server\n"
            ),
            Self::Kapacitor => format!(
                "dnf install -y kapacitor\n\
                 cat > /etc/default/kapacitor <<'END'\n\
                 KAPACITOR_INFLUXDB_0_URLS_0={influxdb_url}\n\
                 END\n\
                 systemctl enable --now kapacitor\n"
            ),
        }
    }
}

impl fmt::Display for Addon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
