use core::fmt;

use thiserror::Error;

/// Why a flow is not kept.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum KeepError {
    /// There is no such connection or UDP channel (any more), or it does not reach the peer.
    #[error("there is no such flow")]
    UnknownFlow,
}

/// Why keep-alives on a flow have stopped though nothing says that it is dead.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum KeepStop {
    /// The peer answered none and had promised nothing: it may know no STUN. No more are sent
    /// (RFC 6223 §10).
    NoAnswer,
    /// More UDP flows are kept than [`Config::max_kept_flows`](crate::Config::max_kept_flows): the one that was asked for first
    /// makes room.
    Crowded,
}

impl fmt::Display for KeepStop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoAnswer => "no keep-alive was answered",
            Self::Crowded => "too many flows are kept",
        })
    }
}
