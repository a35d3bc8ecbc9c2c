use core::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use crate::config::Callback;
use crate::error::{AttemptCause, SendCause};
use crate::outgoing::HostText;
use crate::own_names::Key;
use crate::shared::Scope;
use crate::size_rule::{Sizing, max_datagram, must_avoid_udp};
use crate::substitute::{self, Fill};
use crate::tap::{Direction, TapCall, Tapped};
use crate::{
    ChannelId, ConnectionId, HintReport, Outgoing, Protocol, SendId, Sent, SipEndpoint,
    SizeOutcome, SocketId,
};

/// The way out that was chosen for a message. [`Route::render`] makes the bytes for it.
///
/// It changes hands often and stays with what was sent, and so is shared.
#[derive(Clone, Debug)]
pub struct Route(Arc<Chosen>);

#[derive(Clone, Debug)]
pub(crate) struct Chosen {
    pub(crate) shared: Arc<Scope>,
    pub(crate) send: SendId,
    pub(crate) way: Way,
    pub(crate) protocol: Protocol,
    pub(crate) channel: ChannelId,
    pub(crate) remote: SocketAddr,
    /// Our own end; for a connection that is being opened, not known yet.
    pub(crate) local: Option<SocketAddr>,
    pub(crate) place: Place,
    pub(crate) marks: ViaMarks,
    /// Where it goes to a group.
    pub(crate) ttl: Option<u8>,
    pub(crate) hints: HintReport,
    pub(crate) sizing: Sizing,
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

/// What the top Via says about the flow, beside where it is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ViaMarks {
    /// A request offers keep-alives (RFC 6223 §4.3).
    pub(crate) keep: bool,
    /// A request offers its connection for requests the other way (RFC 5923 §8.1).
    pub(crate) alias: bool,
    /// A response agrees to keep-alives, at this interval in seconds (RFC 6223 §4.4).
    pub(crate) agreed: Option<u32>,
    /// A request goes to this group, over IPv4 with this TTL (RFC 3261 §18.1.1).
    pub(crate) group: Option<(IpAddr, Option<u8>)>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum PlacePort {
    /// An advertised name without a port.
    Absent,
    Port(u16),
    Own,
}

impl Route {
    pub(crate) fn new(chosen: Chosen) -> Self {
        Self(Arc::new(chosen))
    }

    /// Our own end, where it is known.
    pub(crate) fn local(&self) -> SipEndpoint {
        let local = self.0.local;
        self.endpoint(local.unwrap_or_else(|| SocketAddr::new(self.unspecified(), 0)))
    }

    /// The peer's end.
    pub(crate) fn remote_endpoint(&self) -> SipEndpoint {
        self.endpoint(self.0.remote)
    }

    pub(crate) fn hints(&self) -> HintReport {
        self.0.hints
    }

    pub(crate) fn ttl(&self) -> Option<u8> {
        self.0.ttl
    }

    pub(crate) fn channel(&self) -> ChannelId {
        self.0.channel
    }

    pub(crate) fn size_outcome(&self, len: usize) -> SizeOutcome {
        self.0.sizing.outcome(len)
    }

    /// What carries the bytes.
    pub fn way(&self) -> Way {
        self.0.way
    }

    /// Where they go.
    pub fn remote(&self) -> SocketAddr {
        self.0.remote
    }

    /// Which send it is.
    pub fn send(&self) -> SendId {
        self.0.send
    }

    /// Whether [`Route::render`] has all that it needs; a connection that is being opened lacks
    /// its own address until it is open.
    pub fn is_ready(&self) -> bool {
        self.0.local.is_some()
    }

    /// A message that takes this route, for those who watch.
    pub(crate) fn tap(&self, at: Instant, bytes: &[u8]) -> Option<TapCall> {
        self.0.shared.tap(|| Tapped {
            direction: Direction::Out,
            local: self.local(),
            remote: self.remote_endpoint(),
            at,
            bytes,
            error: None,
        })
    }

    pub(crate) fn queue_full(&self, limit: usize) -> SendCause {
        self.0.shared.counters.send_queue_full.one();
        SendCause::QueueFull { limit }
    }

    pub(crate) fn opened(&mut self, local: SocketAddr) {
        Arc::make_mut(&mut self.0).local = Some(local);
    }

    /// Makes the bytes: placeholders filled in, Via and Content-Length right. Pure but for the
    /// counters and the memory of our own names; call it outside all locks.
    ///
    /// # Errors
    /// The message is too large to go this way, its own top Via, From or Contact cannot be read, or
    /// the header hook panicked:
    /// for [`Router::retry`](crate::Router::retry), which goes on or ends the send.
    pub fn render(&self, now: Instant, outgoing: &Outgoing) -> Result<Sent, AttemptCause> {
        let local = self.local();
        let host = self
            .0
            .place
            .host
            .clone()
            .unwrap_or_else(|| HostText::Ip(local.addr.ip().to_canonical()));
        let port = match self.0.place.port {
            PlacePort::Absent => None,
            PlacePort::Port(port) => Some(port),
            PlacePort::Own => Some(local.addr.port()),
        };
        let fill = Fill {
            host: host.as_host(),
            port,
            protocol: self.0.protocol,
            secure: outgoing.secure,
            branch: outgoing.branch.as_ref(),
            new_branch: outgoing.new_branch,
            marks: self.0.marks,
            mode: outgoing.mode(),
            transport_tls: self.0.shared.config.contact_transport_tls,
            forwarded: outgoing.options.fill_forwarded,
        };
        let (bytes, filled, sent_by) = match &self.0.shared.config.hook {
            None => substitute::render(&outgoing.message, &fill)?,
            Some(hook) => {
                let mut message = outgoing.message.clone();
                let edit = || hook.call(&mut message, local, self.remote_endpoint());
                let edited = self.0.shared.call(Callback::HeaderHook, edit);
                edited.map_err(|_| SendCause::HookPanicked)?;
                substitute::render(&message, &fill)?
            }
        };
        self.check_size(&bytes, outgoing)?;
        if let Some(name) = sent_by {
            self.remember(now, &name);
        }
        let counters = &self.0.shared.counters;
        if outgoing.message.is_request() {
            counters.requests_out.one();
        } else {
            counters.responses_out.one();
        }
        counters.bytes_out.add(bytes.len());
        Ok(Sent::new(self.clone(), bytes, filled))
    }

    fn remember(&self, now: Instant, sent_by: &Key) {
        if self.0.shared.names.saw(now, sent_by) {
            self.0.shared.counters.sent_by_forgotten.one();
        }
    }

    fn check_size(&self, bytes: &Bytes, outgoing: &Outgoing) -> Result<(), AttemptCause> {
        let counters = &self.0.shared.counters;
        if let Way::Connection(_) = self.0.way {
            if let Sizing::Tcp = self.0.sizing {
                counters.size_rule_tcp.one();
            }
            return Ok(());
        }
        let len = bytes.len();
        match self.0.sizing {
            Sizing::Limit(limit) if len > limit && must_avoid_udp(outgoing.message()) => {
                return Err(AttemptCause::TooLargeForUdp { len, limit });
            }
            _ if len > max_datagram(self.0.remote.ip()) => {
                return Err(SendCause::TooLarge { len }.into());
            }
            Sizing::Failed(_) => counters.size_rule_udp.one(),
            Sizing::Lately(limit) if len > limit => counters.size_rule_udp.one(),
            _ => {}
        }
        Ok(())
    }

    fn endpoint(&self, addr: SocketAddr) -> SipEndpoint {
        let connection = match self.0.way {
            Way::Connection(id) => Some(id),
            Way::Datagram { .. } => None,
        };
        SipEndpoint {
            protocol: self.0.protocol,
            addr,
            channel: Some(self.0.channel),
            connection,
        }
    }

    fn unspecified(&self) -> IpAddr {
        match self.0.remote {
            SocketAddr::V4(_) => core::net::Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => core::net::Ipv6Addr::UNSPECIFIED.into(),
        }
    }
}
