//! Ports for web containers: free, not handed out twice, and below the range from which the system takes ports for outgoing
//! connections, so that none is taken between our choice and the process's bind.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};

use rand::RngExt as _;

const FIRST: u16 = 12_000;
const LAST: u16 = 32_000;
const TRIES: u32 = 500;

/// The ports that are in use by us.
#[derive(Debug, Default)]
pub(crate) struct Ports(Mutex<BTreeSet<u16>>);

/// A port that is ours until this is dropped.
#[derive(Debug)]
pub(crate) struct Port {
    number: u16,
    ports: Arc<Ports>,
}

impl Ports {
    /// A port on which nobody listens.
    pub(crate) fn take(self: &Arc<Self>) -> std::io::Result<Port> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..TRIES {
            let number = rand::rng().random_range(FIRST..LAST);
            if !taken.contains(&number) && TcpListener::bind((Ipv4Addr::UNSPECIFIED, number)).is_ok() {
                taken.insert(number);
                return Ok(Port { number, ports: Arc::clone(self) });
            }
        }
        Err(std::io::Error::new(std::io::ErrorKind::AddrInUse, "no free port was found"))
    }

    /// A port that was ours; whoever listened there may still be ending.
    pub(crate) async fn take_again(self: &Arc<Self>, number: u16) -> std::io::Result<Port> {
        for _ in 0..TRIES {
            if TcpListener::bind((Ipv4Addr::UNSPECIFIED, number)).is_ok() {
                let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                if taken.insert(number) {
                    return Ok(Port { number, ports: Arc::clone(self) });
                }
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        Err(std::io::Error::new(std::io::ErrorKind::AddrInUse, "the port is taken"))
    }
}

impl Port {
    pub(crate) fn number(&self) -> u16 {
        self.number
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.ports.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
    }
}
