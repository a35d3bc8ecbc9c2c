//! The dispatch of a message: the channel, socket or connection chosen for it, and its rendering.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use sip_core::HostPort;

use crate::config::advertised::HostText;
use crate::config::calls::{Direction, Tapped};
use crate::context::ChannelContext;
use crate::context::callbacks::Callback;
use crate::context::tap::TapCall;
use crate::endpoint::SipEndpoint;
use crate::error::{AttemptCause, SendCause};
use crate::ids::{Carrier, ChannelId, SendId};
use crate::outgoing::sent::{HintReport, Sent};
use crate::outgoing::size_rule::{SizeLimit, SizeOutcome, max_datagram, must_avoid_udp};
use crate::outgoing::substitute::{Fill, Filled, ViaMarks};
use crate::outgoing::{Outgoing, substitute};
use crate::protocol::Protocol;

/// The channel and the socket or connection chosen for a message. [`Dispatch::render`] makes the
/// bytes for it.
///
/// It is shared, as it is passed on often and stays with the sent message.
#[derive(Clone, Debug)]
pub struct Dispatch(Arc<DispatchParts>);

#[derive(Clone, Debug)]
pub(crate) struct DispatchParts {
    pub(crate) context: Arc<ChannelContext>,
    pub(crate) send: SendId,
    pub(crate) carrier: Carrier,
    pub(crate) protocol: Protocol,
    pub(crate) channel: ChannelId,
    pub(crate) remote: SocketAddr,
    /// The local address; not known yet for a connection that is being opened.
    pub(crate) local: Option<SocketAddr>,
    pub(crate) sent_by: SentBy,
    /// The sent-by of the side on which a forwarded request was received, for a second
    /// Record-Route.
    pub(crate) arrival: Option<(HostText, Option<u16>)>,
    pub(crate) marks: ViaMarks,
    /// The TTL of a message to a group.
    pub(crate) ttl: Option<u8>,
    pub(crate) hints: HintReport,
    pub(crate) sizing: SizeLimit,
}

/// The host and port that stand for the sending socket in headers. Without host or port: the
/// connection's own.
#[derive(Clone, Debug)]
pub(crate) struct SentBy {
    pub(crate) host: Option<HostText>,
    pub(crate) port: SentByPort,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum SentByPort {
    /// An advertised name without a port.
    Absent,
    Port(u16),
    Own,
}

impl Dispatch {
    pub(crate) fn new(chosen: DispatchParts) -> Self {
        Self(Arc::new(chosen))
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

    /// The local endpoint, as far as known.
    pub(crate) fn local_endpoint(&self) -> SipEndpoint {
        self.0.local_endpoint()
    }

    /// The peer's end.
    pub(crate) fn remote_endpoint(&self) -> SipEndpoint {
        self.0.endpoint(self.remote())
    }

    pub(crate) fn size_outcome(&self, len: usize) -> SizeOutcome {
        self.0.sizing.outcome(len)
    }

    /// The carrier of the bytes: a socket or a connection.
    pub fn carrier(&self) -> Carrier {
        self.0.carrier
    }

    /// The remote address.
    pub fn remote(&self) -> SocketAddr {
        self.0.remote
    }

    /// The id of the send.
    pub fn send(&self) -> SendId {
        self.0.send
    }

    /// Returns true if [`Dispatch::render`] has all that it needs; a connection that is being
    /// opened lacks its own address until it is open.
    pub fn is_ready(&self) -> bool {
        self.0.local.is_some()
    }

    /// The call that shows a message on this dispatch to the tap.
    pub(crate) fn tap(&self, at: Instant, bytes: &[u8]) -> Option<TapCall> {
        self.0.context.tap(|context| Tapped {
            direction: Direction::Out,
            local: self.local_endpoint(),
            remote: self.remote_endpoint(),
            bound: context.bound,
            at,
            bytes,
            error: None,
        })
    }

    pub(crate) fn queue_full(&self, limit: usize) -> SendCause {
        self.0.context.counters.send_queue_full.one();
        SendCause::QueueFull { limit }
    }

    pub(crate) fn set_local(&mut self, local: SocketAddr) {
        Arc::make_mut(&mut self.0).local = Some(local);
    }

    /// Renders the message: placeholders filled in, Via and Content-Length correct. It changes
    /// nothing but the counters and the remembered sent-bys; call it outside all locks.
    ///
    /// # Errors
    /// The message is too large for this carrier; its own top Via, From or Contact cannot be read;
    /// or the header hook panicked. Pass the error to
    /// [`Router::retry`](crate::parts::Router::retry), which continues or ends the send.
    pub fn render(&self, now: Instant, outgoing: &Outgoing) -> Result<Sent, AttemptCause> {
        let (bytes, filled) = self.0.render(now, outgoing)?;
        Ok(Sent::new(self.clone(), bytes, filled))
    }
}

impl DispatchParts {
    fn render(&self, now: Instant, outgoing: &Outgoing) -> Result<(Bytes, Filled), AttemptCause> {
        let local = self.local_endpoint();
        let host = match &self.sent_by.host {
            Some(host) => host.clone(),
            None => HostText::Ip(local.addr.ip().to_canonical()),
        };
        let port = match self.sent_by.port {
            SentByPort::Absent => None,
            SentByPort::Port(port) => Some(port),
            SentByPort::Own => Some(local.addr.port()),
        };
        let arrival = self.arrival.as_ref();
        let fill = Fill {
            host: host.as_host(),
            port,
            arrival: arrival.map(|(host, port)| HostPort::new(host.as_host(), *port)),
            protocol: self.protocol,
            secure: outgoing.secure,
            branch: outgoing.branch.as_ref(),
            new_branch: outgoing.new_branch,
            marks: self.marks,
            mode: outgoing.mode(),
            transport_tls: self.context.config.contact_transport_tls,
            forwarded: outgoing.options.fill_forwarded,
        };
        let (bytes, filled, sent_by) = match &self.context.config.hook {
            None => substitute::render(&outgoing.message, &fill)?,
            Some(hook) => {
                let mut message = outgoing.message.clone();
                let edit = || hook.call(&mut message, local, self.endpoint(self.remote));
                let edited = self.context.call(Callback::HeaderHook, edit);
                edited.map_err(|_| SendCause::HookPanicked)?;
                substitute::render(&message, &fill)?
            }
        };
        self.check_size(bytes.len(), outgoing)?;
        let counters = &self.context.counters;
        if let Some(name) = sent_by
            && self.context.names.saw(now, &name)
        {
            counters.sent_by_forgotten.one();
        }
        if outgoing.message.is_request() {
            counters.requests_out.one();
        } else {
            counters.responses_out.one();
        }
        counters.bytes_out.add(bytes.len());
        Ok((bytes, filled))
    }

    fn check_size(&self, len: usize, outgoing: &Outgoing) -> Result<(), AttemptCause> {
        let counters = &self.context.counters;
        if let Carrier::Connection(_) = self.carrier {
            if let SizeLimit::Tcp = self.sizing {
                counters.size_rule_tcp.one();
            }
            return Ok(());
        }
        match self.sizing {
            SizeLimit::Limit(limit) if len > limit && must_avoid_udp(outgoing.message()) => {
                return Err(AttemptCause::TooLargeForUdp { len, limit });
            }
            _ if len > max_datagram(self.remote.ip()) => {
                return Err(SendCause::TooLarge { len }.into());
            }
            SizeLimit::Failed(_) => counters.size_rule_udp.one(),
            SizeLimit::TcpFailedRecently(limit) if len > limit => counters.size_rule_udp.one(),
            _ => {}
        }
        Ok(())
    }

    fn local_endpoint(&self) -> SipEndpoint {
        let unspecified = match self.remote {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let local = self.local;
        self.endpoint(local.unwrap_or_else(|| SocketAddr::new(unspecified, 0)))
    }

    fn endpoint(&self, addr: SocketAddr) -> SipEndpoint {
        SipEndpoint::carried(self.protocol, addr, self.channel, self.carrier)
    }
}
