/// What makes a host crash.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Crash {
    /// Its program dies. The host tells whoever it concerns: connections are reset, new ones
    /// refused, datagrams answered by ICMP.
    Program,
    /// Its power fails. Nobody hears of it, and nothing is answered until the host is back; bytes
    /// that then come for a connection from before have it reset.
    Power,
}
