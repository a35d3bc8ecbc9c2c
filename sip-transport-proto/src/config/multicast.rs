//! Multicast groups of UDP channels (RFC 3261 §18.1.1, §18.2.2).

use core::net::{IpAddr, Ipv4Addr};

/// The default TTL of a datagram to a group (RFC 3261 §18.1.1, §18.2.2).
pub(crate) const DEFAULT_TTL: u8 = 1;

/// An IPv4 multicast group that a channel has joined, with the address of the interface for joining
/// and sending; the unspecified address leaves the choice to the operating system.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "made by users, and complete")]
pub struct Membership {
    /// The group's address.
    pub group: Ipv4Addr,
    /// An address of the interface.
    pub interface: Ipv4Addr,
}

/// The membership of the group `ip`, if it is among `groups`.
pub(crate) fn member(groups: &[Membership], ip: IpAddr) -> Option<&Membership> {
    groups.iter().find(|joined| joined.group == ip)
}
