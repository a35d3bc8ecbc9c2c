//! The kinds of crash of a host.

/// The kind of a host's crash.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "made by users, and complete")]
pub enum Crash {
    /// Its program dies. The host still notifies its peers: connections are reset, new ones
    /// refused, datagrams answered by ICMP.
    Program,
    /// Its power fails. Peers are not notified, and nothing is answered until the host is back;
    /// bytes that then arrive for an earlier connection reset it.
    Power,
}
