//! The errors: one enum for each operation.

use std::io;
use std::net::SocketAddr;

use sip_transport_proto::Protocol;
use thiserror::Error;

pub use sip_transport_proto::error::*;

/// The reason that a channel was not bound, or a transport not started.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BindError {
    /// The system provides no socket for the address.
    #[error("{protocol}:{addr}: {source}")]
    Io {
        /// The channel's protocol.
        protocol: Protocol,
        /// The requested address.
        addr: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
    /// The channel is invalid, or exists already.
    #[error("{0}")]
    Channel(#[from] ChannelError),
    /// The file of a capture cannot be opened.
    #[cfg(feature = "capture")]
    #[error("the capture file {}: {source}", path.display())]
    Capture {
        /// The file.
        path: std::path::PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// There is no current runtime, or it lacks what a transport needs.
    #[error("the transport cannot start: {0}")]
    Runtime(#[source] io::Error),
}

impl From<BindError> for io::Error {
    /// The same error as an [`io::Error`], for functions that have no others.
    fn from(error: BindError) -> Self {
        let kind = match &error {
            BindError::Io { source, .. } | BindError::Runtime(source) => source.kind(),
            #[cfg(feature = "capture")]
            BindError::Capture { source, .. } => source.kind(),
            BindError::Channel(_) => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

/// The reason that a blocking send failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BlockingSendError {
    /// The caller runs inside an async runtime; use the async call there.
    #[error("blocking sends must not be called inside an async runtime")]
    InsideRuntime,
    /// The send failed.
    #[error(transparent)]
    Send(#[from] SendError),
}
