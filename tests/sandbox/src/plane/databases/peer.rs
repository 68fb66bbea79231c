//! Which process is at the other end of a local connection, by `/proc`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::plane::runner::groups::processes;

/// Whether the connection from `peer` to `here` is held by a process for which `admitted` holds.
pub(super) fn is_of(peer: SocketAddr, here: SocketAddr, admitted: impl Fn(u32) -> bool) -> bool {
    let Some(inode) = inode_of(peer, here) else { return false };
    let name = format!("socket:[{inode}]");
    // The table of open files first: few processes hold this socket, and only theirs are asked about.
    processes().any(|pid| holds(pid, &name) && admitted(pid))
}

fn inode_of(peer: SocketAddr, here: SocketAddr) -> Option<u64> {
    ["/proc/net/tcp", "/proc/net/tcp6"].into_iter().find_map(|table| {
        let table = std::fs::read_to_string(table).ok()?;
        find_inode(&table, peer, here)
    })
}

/// The row whose local end is `peer`: we see the connection from the other side.
fn find_inode(table: &str, peer: SocketAddr, here: SocketAddr) -> Option<u64> {
    table.lines().skip(1).find_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let ends = (address(fields.next()?)?, address(fields.next()?)?);
        (ends == (peer, here)).then(|| fields.nth(6)?.parse().ok()).flatten()
    })
}

/// `0100007F:1F90`, or its form in IPv6, where IPv4 addresses are mapped.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let mapped = ip.strip_prefix("0000000000000000FFFF0000").unwrap_or(ip);
    if mapped.len() != 8 {
        return None;
    }
    // The kernel prints the number as it lies in memory.
    let ip = Ipv4Addr::from(u32::from_str_radix(mapped, 16).ok()?.to_ne_bytes());
    Some(SocketAddr::new(IpAddr::V4(ip), u16::from_str_radix(port, 16).ok()?))
}

fn holds(pid: u32, socket: &str) -> bool {
    let links = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    links.filter_map(|link| std::fs::read_link(link.path()).ok()).any(|target| target.as_os_str() == socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 11 1 0 100 0 0 10 0
   1: 0100007F:C350 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  1000        0 4242 1 0 20 4 30 10 -1
";

    #[test]
    fn the_row_of_the_other_end_is_found() {
        let (peer, here) = ("127.0.0.1:50000".parse().unwrap(), "127.0.0.1:8080".parse().unwrap());
        assert_eq!(find_inode(TABLE, peer, here), Some(4242));
        assert_eq!(find_inode(TABLE, here, peer), None);
    }

    #[test]
    fn a_mapped_address_is_the_same() {
        assert_eq!(address("0000000000000000FFFF00000100007F:0050"), "127.0.0.1:80".parse().ok());
        assert_eq!(address("00000000000000000000000001000000:0050"), None);
    }

    #[test]
    fn a_connection_of_ours_is_ours() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (peer, here) = (client.local_addr().unwrap(), listener.local_addr().unwrap());
        assert!(is_of(peer, here, |pid| pid == std::process::id()));
        assert!(!is_of(peer, here, |_| false));
    }
}
