//! Where EC2 is.
//!
//! Not a rules engine, as the official clients have one: EC2's rules come down to one pattern per
//! partition. Source: EC2's endpoint rule set, and "Amazon EC2 service endpoints".

use aws_types::SdkConfig;
use aws_types::service_config::ServiceConfigKey;

/// The URL that `config` asks for, else the region's own.
pub(super) fn endpoint(config: &SdkConfig) -> String {
    let chosen = || Some(config.endpoint_url()?.to_owned());
    if config.get_origin("endpoint_url").is_client_config()
        && let Some(url) = chosen()
    {
        return url;
    }
    // AWS_ENDPOINT_URL_EC2, or `endpoint_url` of a profile's service, go before AWS_ENDPOINT_URL.
    let of_service = || {
        let key = ServiceConfigKey::builder()
            .service_id("EC2")
            .env("AWS_ENDPOINT_URL")
            .profile("endpoint_url")
            .build()
            .ok()?;
        config.service_config()?.load_config(key)
    };
    of_service().or_else(chosen).unwrap_or_else(|| {
        regional(
            config.region().map(AsRef::as_ref).unwrap_or("us-east-1"),
            config.use_fips().unwrap_or(false),
            config.use_dual_stack().unwrap_or(false),
        )
    })
}

fn regional(region: &str, fips: bool, dual_stack: bool) -> String {
    let (suffix, dual_stack_suffix) = match region {
        r if r.starts_with("cn-") => ("amazonaws.com.cn", "api.amazonwebservices.com.cn"),
        r if r.starts_with("eusc-") => ("amazonaws.eu", "api.amazonwebservices.eu"),
        r if r.starts_with("us-isob-") => ("sc2s.sgov.gov", "api.aws.scloud"),
        r if r.starts_with("us-isof-") => ("csp.hci.ic.gov", "api.aws.hci.ic.gov"),
        r if r.starts_with("eu-isoe-") => ("cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
        r if r.starts_with("us-iso-") => ("c2s.ic.gov", "api.aws.ic.gov"),
        _ => ("amazonaws.com", "api.aws"),
    };
    // GovCloud's ordinary endpoints meet FIPS and have no other name.
    let fips = if fips && !region.starts_with("us-gov-") { "-fips" } else { "" };
    format!("https://ec2{fips}.{region}.{}", if dual_stack { dual_stack_suffix } else { suffix })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_partition_has_its_own_domain() {
        assert_eq!(regional("eu-west-1", false, false), "https://ec2.eu-west-1.amazonaws.com");
        assert_eq!(regional("cn-north-1", false, false), "https://ec2.cn-north-1.amazonaws.com.cn");
        assert_eq!(
            regional("us-gov-west-1", false, false),
            "https://ec2.us-gov-west-1.amazonaws.com"
        );
        assert_eq!(regional("us-east-1", true, false), "https://ec2-fips.us-east-1.amazonaws.com");
        assert_eq!(regional("us-east-1", false, true), "https://ec2.us-east-1.api.aws");
    }

    #[test]
    fn an_endpoint_that_was_set_goes_first() {
        let config = SdkConfig::builder().endpoint_url("http://127.0.0.1:5000").build();
        assert_eq!(endpoint(&config), "http://127.0.0.1:5000");
    }
}
