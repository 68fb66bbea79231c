//! Which service answers for which name. Pure.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::http::bare;
use crate::s3::S3;

/// Where apps are served.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ingress {
    pub(crate) http: SocketAddr,
    pub(crate) https: SocketAddr,
}

/// Domains under which the object stores answer: this world's, and the vendor's own, so that a client with built-in names
/// rehearses here and not there.
pub(super) const STORE_DOMAINS: [&str; 2] = ["s3.fr-par.scw.test", "s3.fr-par.scw.cloud"];

/// All names.
#[derive(Debug)]
pub(crate) struct Table {
    services: BTreeMap<&'static str, SocketAddr>,
    stores: [Arc<S3>; 2],
    pub(crate) ingress: Ingress,
}

impl Table {
    pub(crate) fn new(
        services: Vec<(&'static str, SocketAddr)>,
        stores: [Arc<S3>; 2],
        ingress: Ingress,
    ) -> Self {
        Self { services: services.into_iter().collect(), stores, ingress }
    }

    /// The service that `host` (with or without a port) names; `None`: it is an app's name.
    pub(crate) fn service(&self, host: &str) -> Option<SocketAddr> {
        let name = bare(host);
        self.services.get(name.as_str()).copied().or_else(|| self.store(&name))
    }

    /// A bucket's own store where the name carries a bucket; the first one for the domain itself.
    fn store(&self, name: &str) -> Option<SocketAddr> {
        let [source, archive] = &self.stores;
        let bucket = STORE_DOMAINS.iter().find_map(|domain| name.strip_suffix(domain))?;
        match bucket.strip_suffix('.') {
            None if bucket.is_empty() => Some(source.addr()),
            None => None,
            Some(bucket) if archive.has_bucket(bucket) => Some(archive.addr()),
            Some(_) => Some(source.addr()),
        }
    }

    /// Every fixed name.
    pub(crate) fn names(&self) -> Vec<String> {
        self.services.keys().copied().chain(STORE_DOMAINS).map(str::to_owned).collect()
    }

    /// The ports on which the world's own URLs are.
    pub(crate) fn ports(&self) -> Vec<u16> {
        let Ingress { http, https } = self.ingress;
        let stores = self.stores.iter().map(|store| store.addr());
        let mut ports: Vec<u16> = self
            .services
            .values()
            .copied()
            .chain(stores)
            .chain([http, https])
            .map(|addr| addr.port())
            .collect();
        ports.sort_unstable();
        ports.dedup();
        ports
    }
}

#[cfg(test)]
mod tests {
    use crate::http::bare;

    #[test]
    fn a_host_is_compared_without_port_case_or_final_dot() {
        for host in
            ["Auth.Example.test", "auth.example.test:443", "auth.example.test.", "AUTH.example.TEST.:80"]
        {
            assert_eq!(bare(host), "auth.example.test", "{host}");
        }
    }
}
