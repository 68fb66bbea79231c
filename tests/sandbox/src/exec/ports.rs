//! Which ports of this machine's loopback are listened on, as the kernel's tables say. Pure, but for reading them.

use std::collections::BTreeSet;

/// How a port is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Transport {
    /// A stream.
    Tcp,
    /// Datagrams.
    Udp,
}

/// A port that somebody listens on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Port {
    pub(super) transport: Transport,
    pub(super) number: u16,
}

/// The state of a listening TCP socket, and of a UDP socket that is bound and not connected.
const STATES: [(Transport, &str); 2] = [(Transport::Tcp, "0A"), (Transport::Udp, "07")];

/// All ports that 127.0.0.1 answers on.
pub(super) fn of_machine() -> BTreeSet<Port> {
    let tables = [
        (Transport::Tcp, "/proc/self/net/tcp"),
        (Transport::Tcp, "/proc/self/net/tcp6"),
        (Transport::Udp, "/proc/self/net/udp"),
    ];
    tables
        .into_iter()
        .filter_map(|(transport, file)| Some((transport, std::fs::read_to_string(file).ok()?)))
        .flat_map(|(transport, table)| listed(transport, &table))
        .collect()
}

fn listed(transport: Transport, table: &str) -> Vec<Port> {
    let wanted = STATES.iter().find(|(of, _)| *of == transport).map_or("", |(_, state)| state);
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let mut words = line.split_ascii_whitespace().skip(1);
            let (local, _remote, state) = (words.next()?, words.next()?, words.next()?);
            let (address, port) = local.split_once(':')?;
            let number = u16::from_str_radix(port, 16).ok()?;
            (state == wanted && is_reached_by_loopback(address)).then_some(Port { transport, number })
        })
        .collect()
}

/// 127.0.0.1, or all addresses, in the kernel's spelling of this machine's byte order.
fn is_reached_by_loopback(address: &str) -> bool {
    let loopback = format!("{:08X}", u32::from_ne_bytes([127, 0, 0, 1]));
    address == loopback || address.bytes().all(|digit| digit == b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0
   1: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0
   2: 0100007F:C350 0100007F:1F90 01 00000000:00000000 00:00000000 00000000     0        0 1 1 0
   3: 0A00000A:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0
";

    #[test]
    #[cfg(target_endian = "little")]
    fn only_what_listens_on_the_loopback_counts() {
        let numbers: Vec<u16> = listed(Transport::Tcp, TABLE).iter().map(|port| port.number).collect();
        assert_eq!(numbers, [8080, 22]);
    }

    #[test]
    fn a_port_of_this_process_is_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let number = listener.local_addr().unwrap().port();
        assert!(of_machine().contains(&Port { transport: Transport::Tcp, number }));
    }
}
