//! A look at a public name as a visitor has it: where resolvers say that it is, and what answers there.

use std::net::SocketAddr;

use super::error::{Result, StepError};
use super::tools::Tools;
use crate::providers::dns::NameServer;
use crate::providers::probe::{ProbeError, Seen, Target};
use crate::runtime::chain::Chain;

impl Tools {
    /// Where a resolver says that `host` is, with the port of HTTPS. `Err`: why that is not known now.
    pub async fn address(&self, host: &str) -> Result<std::result::Result<SocketAddr, String>> {
        let mut why = "no resolver is configured".to_owned();
        for resolver in &self.config.dns.resolvers {
            let asked = NameServer::new(*resolver).addresses(host).await;
            match asked.map_err(StepError::failed("asking a resolver"))? {
                Ok(found) => match found.addresses.first() {
                    Some(address) => return Ok(Ok(SocketAddr::new(*address, self.config.dev.https_port))),
                    None => why = format!("{host} has no address yet"),
                },
                Err(fault) => why = format!("resolver {resolver} {fault}"),
            }
        }
        Ok(Err(why))
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
