//! The errors of keep-alives.

use core::fmt;

use thiserror::Error;

/// The error of a request to keep a flow alive.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum KeepError {
    /// The connection or UDP channel does not exist (any more), or does not reach the peer.
    #[error("there is no such flow")]
    UnknownFlow,
}

/// The reason why keep-alives on a flow stopped, without evidence that it is dead.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum KeepStop {
    /// The peer answered no STUN request and had not promised to: it may not support STUN. No more
    /// are sent (RFC 6223 §10).
    NoAnswer,
    /// The flow made room for another, as [`Config::max_kept_flows`](crate::Config::max_kept_flows)
    /// was reached.
    Crowded,
}

impl fmt::Display for KeepStop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoAnswer => "no keep-alive was answered",
            Self::Crowded => "too many flows are kept alive",
        })
    }
}
