//! Free ports for private servers.
//!
//! They lie below the range from which the kernel takes ports for outgoing connections. A server
//! that is killed and started again on such a port finds it free: otherwise a client that keeps
//! reconnecting can be given the very port it dials, connect to itself, and hold the port.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Mutex, PoisonError};

/// Handed out by this process; never twice, although the first user may not listen yet.
static TAKEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

const LOWEST: u16 = 10_240;

/// A port on 127.0.0.1 that nobody listens on. Another process may still take it first: whoever
/// starts a server on it tries again with another on a clash.
///
/// # Errors
/// None of a few hundred candidates is free.
pub fn free_port() -> anyhow::Result<u16> {
    let mut rng = fastrand::Rng::new();
    let below = first_ephemeral_port().max(LOWEST.saturating_add(1000));
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    (0..400)
        .map(|_| rng.u16(LOWEST..below))
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok() && taken.insert(*port))
        .ok_or_else(|| anyhow::anyhow!("no free port was found between {LOWEST} and {below}"))
}

/// Where the kernel's range for outgoing connections begins.
fn first_ephemeral_port() -> u16 {
    std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|range| range.split_whitespace().next()?.parse().ok())
        .unwrap_or(32_768)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_never_handed_out_twice() {
        let ports: BTreeSet<u16> = (0..50).map(|_| free_port().unwrap()).collect();
        assert_eq!(ports.len(), 50);
    }
}
