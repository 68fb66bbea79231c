//! Which bucket a `Host` header names: `bucket.s3.REGION.scw.test`, or none (path style) for an address or the bare domain.

use s3s::S3Result;
use s3s::host::{S3Host, VirtualHost};

/// The endpoint's domain in this world.
pub(crate) fn domain(region: &str) -> String {
    format!("s3.{region}.scw.test")
}

/// The host name of a bucket.
pub(crate) fn of_bucket(region: &str, bucket: &str) -> String {
    format!("{bucket}.{}", domain(region))
}

/// Knows the domains under which buckets have names.
#[derive(Debug, Clone)]
pub(crate) struct Hosts {
    /// With a leading dot.
    suffixes: Vec<String>,
}

impl Hosts {
    /// This world's domain and the vendor's own, for clients that are led here by a hosts file; `localhost` for browsers.
    pub(crate) fn new(region: &str) -> Self {
        let suffixes =
            vec![format!(".{}", domain(region)), format!(".s3.{region}.scw.cloud"), ".localhost".to_owned()];
        Self { suffixes }
    }

    /// The bucket that a host name carries.
    pub(crate) fn bucket<'a>(&self, host: &'a str) -> Option<&'a str> {
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        self.suffixes
            .iter()
            .find_map(|suffix| name.strip_suffix(suffix.as_str()))
            .filter(|bucket| !bucket.is_empty())
    }
}

impl S3Host for Hosts {
    fn parse_host_header<'a>(&'a self, host: &'a str) -> S3Result<VirtualHost<'a>> {
        let virtual_host = VirtualHost::new(host);
        Ok(match self.bucket(host) {
            Some(bucket) => virtual_host.with_bucket(bucket),
            None => virtual_host,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_no_bucket() {
        let hosts = Hosts::new("fr-par");
        for host in ["127.0.0.1:9000", "127.0.0.1", "localhost:1", "s3.fr-par.scw.test:80", "other.example"] {
            assert_eq!(hosts.bucket(host), None, "{host}");
        }
    }

    #[test]
    fn a_bucket_stands_before_the_domain() {
        let hosts = Hosts::new("fr-par");
        assert_eq!(hosts.bucket("b.s3.fr-par.scw.test:80"), Some("b"));
        assert_eq!(hosts.bucket("with.dots.s3.fr-par.scw.test"), Some("with.dots"));
    }
}
