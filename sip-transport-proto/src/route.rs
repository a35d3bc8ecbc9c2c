use core::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use crate::error::{SendCause, SendError};
use crate::outgoing::HostText;
use crate::own_names::Key;
use crate::shared::Shared;
use crate::substitute::{self, Fill};
use crate::tokens::Branch;
use crate::{
    ChannelId, ConnectionId, HintReport, Outgoing, Protocol, SendId, Sent, SipEndpoint, SocketId,
};

/// The largest UDP payload: 65,535 less the IP and UDP headers (an IPv6 header is not counted in
/// its payload length).
const MAX_DATAGRAM_V4: usize = 65_507;
const MAX_DATAGRAM_V6: usize = 65_527;

/// The way out that was chosen for a message. [`Route::render`] makes the bytes for it.
#[derive(Clone, Debug)]
pub struct Route {
    pub(crate) shared: Arc<Shared>,
    pub(crate) send: SendId,
    pub(crate) way: Way,
    pub(crate) protocol: Protocol,
    pub(crate) channel: ChannelId,
    pub(crate) remote: SocketAddr,
    /// Our own end; for a connection that is being opened, not known yet.
    pub(crate) local: Option<SocketAddr>,
    pub(crate) place: Place,
    pub(crate) branch: Option<Branch>,
    pub(crate) hints: HintReport,
}

/// What carries the bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Way {
    /// A datagram socket, with the source address to send from where it is bound to all.
    Datagram {
        /// The socket.
        socket: SocketId,
        /// The source address, where the socket has several.
        source: Option<IpAddr>,
    },
    /// A connection, open or being opened.
    Connection(ConnectionId),
}

/// What stands for the sending socket in headers. Without host or port: the connection's own.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) host: Option<HostText>,
    pub(crate) port: PlacePort,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum PlacePort {
    /// An advertised name without a port.
    Absent,
    Port(u16),
    Own,
}

impl Route {
    /// What carries the bytes.
    pub fn way(&self) -> Way {
        self.way
    }

    /// Where they go.
    pub fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// Which send it is.
    pub fn send(&self) -> SendId {
        self.send
    }

    /// Whether [`Route::render`] has all that it needs; a connection that is being opened lacks
    /// its own address until it is open.
    pub fn is_ready(&self) -> bool {
        self.local.is_some()
    }

    /// The error of a message that was to take this route.
    pub fn failed(&self, cause: SendCause, outgoing: Box<Outgoing>) -> SendError {
        self.shared.counters.sends_failed.one();
        SendError::new(cause, outgoing)
    }

    pub(crate) fn opened(&mut self, local: SocketAddr) {
        self.local = Some(local);
    }

    /// Makes the bytes: placeholders filled in, Via and Content-Length right. Pure but for the
    /// counters and the memory of our own names; call it outside all locks.
    ///
    /// # Errors
    /// The message is larger than a datagram can be, or its own top Via, From or Contact cannot be
    /// read.
    pub fn render(&self, now: Instant, outgoing: &Outgoing) -> Result<Sent, SendCause> {
        let local = self
            .local
            .unwrap_or_else(|| SocketAddr::new(self.unspecified(), 0));
        let mode = outgoing
            .options
            .substitution
            .unwrap_or(self.shared.config.substitution);
        let host = self
            .place
            .host
            .clone()
            .unwrap_or_else(|| HostText::Ip(local.ip().to_canonical()));
        let port = match self.place.port {
            PlacePort::Absent => None,
            PlacePort::Port(port) => Some(port),
            PlacePort::Own => Some(local.port()),
        };
        let fill = Fill {
            host: host.as_host(),
            port,
            protocol: self.protocol,
            secure: outgoing.secure,
            branch: self.branch.as_ref(),
            new_branch: outgoing.new_branch,
            mode,
            forwarded: outgoing.options.fill_forwarded,
        };
        let (bytes, filled, sent_by) = match &self.shared.config.hook {
            None => substitute::render(&outgoing.message, &fill)?,
            Some(hook) => {
                let mut message = outgoing.message.clone();
                hook.call(
                    &mut message,
                    self.endpoint(local),
                    self.endpoint(self.remote),
                );
                substitute::render(&message, &fill)?
            }
        };
        self.check_size(&bytes)?;
        if let Some(name) = sent_by {
            self.remember(now, &name);
        }
        self.shared.counters.messages_out.one();
        self.shared.counters.bytes_out.add(bytes.len());
        Ok(Sent {
            id: self.send,
            bytes,
            way: self.way,
            local: self.endpoint(local),
            remote: self.endpoint(self.remote),
            filled,
            hints: self.hints,
            rest: None,
        })
    }

    fn remember(&self, now: Instant, sent_by: &Key) {
        self.shared.names.saw(now, sent_by);
    }

    fn check_size(&self, bytes: &Bytes) -> Result<(), SendCause> {
        let max = match (self.way, self.remote) {
            (Way::Connection(_), _) => return Ok(()),
            (Way::Datagram { .. }, SocketAddr::V4(_)) => MAX_DATAGRAM_V4,
            (Way::Datagram { .. }, SocketAddr::V6(_)) => MAX_DATAGRAM_V6,
        };
        if bytes.len() > max {
            return Err(SendCause::TooLarge { len: bytes.len() });
        }
        Ok(())
    }

    fn endpoint(&self, addr: SocketAddr) -> SipEndpoint {
        let connection = match self.way {
            Way::Connection(id) => Some(id),
            Way::Datagram { .. } => None,
        };
        SipEndpoint {
            protocol: self.protocol,
            addr,
            channel: Some(self.channel),
            connection,
        }
    }

    fn unspecified(&self) -> IpAddr {
        match self.remote {
            SocketAddr::V4(_) => core::net::Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => core::net::Ipv6Addr::UNSPECIFIED.into(),
        }
    }
}
