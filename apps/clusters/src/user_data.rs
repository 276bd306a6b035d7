//! The scripts that instances run when they first start.
//!
//! No secret is in them, since whatever runs on an instance can read its user data: InfluxDB is
//! set up by its owner, who makes the first user and token with `influx setup`. The surprise: each
//! installation is tried until it succeeds, because an instance may be up before the route to the
//! internet is.

use fixpoint_aws::Secret;

use crate::{addons::Addon, rules::INFLUXDB_PORT};

const HEAD: &str = "\
#!/bin/bash
set -euo pipefail
cat > /etc/yum.repos.d/influxdata.repo <<'END'
[influxdata]
name = InfluxData
baseurl = https://repos.influxdata.com/stable/$basearch/main
gpgcheck = 1
gpgkey = https://repos.influxdata.com/influxdata-archive.key
END
until dnf makecache; do sleep 5; done
";

/// For an InfluxDB node.
pub(crate) fn node() -> Secret<String> {
    let install = "dnf install -y influxdb2 influxdb2-cli\nsystemctl enable --now influxdb\n";
    Secret::new(format!("{HEAD}{install}"))
}

/// For an add-on that talks to the node at `node_address`.
pub(crate) fn addon(addon: Addon, node_address: &str) -> Secret<String> {
    let url = format!("http://{node_address}:{INFLUXDB_PORT}");
    Secret::new(format!("{HEAD}{}", addon.install(&url)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_script_fits_what_ec2_takes_and_knows_where_influxdb_is() {
        let limit = 16 * 1024;
        assert!(node().reveal().len() < limit);
        for kind in Addon::ALL {
            let script = addon(kind, "10.40.0.12");
            assert!(script.reveal().len() < limit);
            assert!(script.reveal().starts_with("#!/bin/bash\n"));
            assert!(script.reveal().contains("http://10.40.0.12:8086"), "{kind}");
        }
    }
}
