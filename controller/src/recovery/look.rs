//! A look at a public name as a visitor has it: where resolvers say that it is, and what answers there.

use std::net::{IpAddr, SocketAddr};

use super::error::{Result, StepError};
use super::tools::Tools;
use crate::providers::dns::NameServer;
use crate::providers::probe::{ProbeError, Seen, Target};
use crate::runtime::chain::Chain;

impl Tools {
    /// Where a resolver says that `host` is, with the port of HTTPS. `Err`: why that is not known now.
    pub async fn address(&self, host: &str) -> Result<std::result::Result<SocketAddr, String>> {
        let found = self.addresses(host).await?;
        Ok(found.and_then(|addresses| match addresses.first() {
            Some(address) => Ok(SocketAddr::new(*address, self.config.dev.https_port)),
            None => Err(format!("{host} has no address yet")),
        }))
    }

    /// Every address of `host` by the first resolver that knows any; empty where one says that there is none and no other knows better.
    /// `Err`: why that is not known now.
    pub async fn addresses(&self, host: &str) -> Result<std::result::Result<Vec<IpAddr>, String>> {
        let mut known = Err("no resolver is configured".to_owned());
        for resolver in &self.config.dns.resolvers {
            let asked = NameServer::new(*resolver).addresses(host).await;
            match asked.map_err(StepError::failed("asking a resolver"))? {
                Ok(found) if !found.addresses.is_empty() => return Ok(Ok(found.addresses)),
                Ok(_) => known = Ok(Vec::new()),
                Err(fault) if known.is_err() => known = Err(format!("resolver {resolver} {fault}")),
                Err(_) => {}
            }
        }
        Ok(known)
    }

    /// One look at `host` over HTTPS. `Err`: why there was no answer; the next look may have one.
    pub async fn look(&self, host: &str, path: &str) -> Result<std::result::Result<Seen, String>> {
        let address = match self.address(host).await? {
            Ok(address) => address,
            Err(why) => return Ok(Err(why)),
        };
        let target = Target { name: host, address, tls: true, path, host: None };
        match self.prober().look(&target).await {
            Ok(seen) => Ok(Ok(seen)),
            Err(ProbeError::Cancelled) => Err(StepError::Stopped),
            Err(error) => Ok(Err(Chain(&error).to_string())),
        }
    }
}
