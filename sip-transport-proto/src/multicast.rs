//! Groups: multicast over UDP (RFC 3261 §18.1.1, §18.2.2).

use core::net::{IpAddr, Ipv4Addr};

use sip_core::header::Via;

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

/// Which of the joined groups a request wants its response sent to, and with what TTL.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Wanted {
    /// Its place among the channel's memberships.
    pub(crate) index: u8,
    pub(crate) ttl: u8,
}

impl Wanted {
    /// What a request's top Via says, where its `maddr` is among these groups.
    pub(crate) fn read(via: &Via<'_>, groups: &[Membership]) -> Option<Self> {
        let maddr = via.maddr()?.ip()?;
        let index = groups.iter().position(|joined| joined.group == maddr)?;
        Some(Self {
            index: u8::try_from(index).ok()?,
            ttl: via.ttl().unwrap_or(DEFAULT_TTL),
        })
    }
}

/// The membership of that group, if it is one of these.
pub(crate) fn member(groups: &[Membership], ip: IpAddr) -> Option<&Membership> {
    groups.iter().find(|joined| joined.group == ip)
}

/// Whether that is the address of one host: not of a group or everybody, which nothing may come
/// from, and no response go to (RFC 1122 §3.2.1.3, RFC 4475 §3.3.10).
pub(crate) fn is_one_host(ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    let everybody = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    !(everybody || ip.is_multicast() || ip.is_unspecified())
}
