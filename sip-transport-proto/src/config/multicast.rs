//! Groups: multicast over UDP (RFC 3261 §18.1.1, §18.2.2).

use core::net::{IpAddr, Ipv4Addr};

/// The TTL of a datagram to a group, where nobody asks for another (RFC 3261 §18.1.1, §18.2.2).
pub(crate) const DEFAULT_TTL: u8 = 1;

/// An IPv4 group that a channel hears, and the address of the interface that it is joined and sent
/// to on; the unspecified one leaves the choice to the system.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Membership {
    /// The group.
    pub group: Ipv4Addr,
    /// An address of the interface.
    pub interface: Ipv4Addr,
}

/// The membership of that group, if it is one of these.
pub(crate) fn member(groups: &[Membership], ip: IpAddr) -> Option<&Membership> {
    groups.iter().find(|joined| joined.group == ip)
}
