//! Handling of a received message, on datagram sockets and connections alike: from its parsed head
//! to an event.

pub(crate) mod flow;
pub(crate) mod flow_token;
pub(crate) mod reply;

use core::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;
use sip_core::Flow;
use sip_core::message::{Head, ParseError, Request, Response};
use tracing::warn;

use crate::config::calls::{Direction, Tapped};
use crate::config::multicast::Membership;
use crate::context::own_names::SentByKey;
use crate::context::{ChannelContext, TransportContext};
use crate::endpoint::SipEndpoint;
use crate::event::Event;
use crate::ids::{Carrier, ChannelId};
use crate::incoming::flow::{ReplyGroup, ReturnPath};
use crate::observe::trace::MESSAGE;
use crate::protocol::Protocol;

/// The origin of a received message: channel, carrier and both addresses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    pub(crate) protocol: Protocol,
    pub(crate) channel: ChannelId,
    pub(crate) carrier: Carrier,
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    pub(crate) force_rport: bool,
}

impl Arrival {
    pub(crate) fn local_endpoint(&self) -> SipEndpoint {
        self.endpoint(self.local)
    }

    pub(crate) fn remote_endpoint(&self) -> SipEndpoint {
        self.endpoint(self.remote)
    }

    pub(crate) fn endpoint(&self, addr: SocketAddr) -> SipEndpoint {
        SipEndpoint::carried(self.protocol, addr, self.channel, self.carrier)
    }

    /// The message for the tap.
    pub(crate) fn tapped<'a>(
        &self,
        context: &ChannelContext,
        at: Instant,
        bytes: &'a [u8],
        error: Option<ParseError>,
    ) -> Tapped<'a> {
        Tapped {
            direction: Direction::In,
            local: self.local_endpoint(),
            remote: self.remote_endpoint(),
            bound: context.bound,
            at,
            bytes,
            error,
        }
    }

    /// The return path for responses to a request.
    fn flow(&self, groups: &[Membership], head: &Head, data: &[u8]) -> Flow {
        let default_port = self.protocol.default_port();
        let mut group = None;
        let reply_port = match head.top_via(data) {
            Ok(via) => {
                group = ReplyGroup::read(&via, groups);
                // RFC 3261 §18.2.2: `maddr` takes precedence.
                let to_source = group.is_none() && (self.force_rport || via.rport().is_some());
                if to_source && !self.protocol.is_stream() {
                    self.remote.port()
                } else {
                    via.sent_by().port().unwrap_or(default_port)
                }
            }
            Err(_) => default_port,
        };
        let return_path = ReturnPath {
            protocol: self.protocol,
            channel: self.channel,
            carrier: self.carrier,
            reply_port,
            group,
        };
        flow::encode(return_path, self.local, self.remote)
    }

    /// Converts a checked message into an event; `None` for a response that is not ours. `groups`
    /// are those that its socket has joined.
    ///
    /// Only what the transport and transactions depend on has been checked; every other header is
    /// parsed when the application asks for it.
    #[inline]
    pub(crate) fn event(
        &self,
        now: Instant,
        context: &ChannelContext,
        groups: &[Membership],
        head: &Head,
        data: &[u8],
    ) -> Option<Event> {
        let len = head.len();
        if !head.tolerated().is_empty() {
            context.counters.tolerated(head.tolerated());
        }
        let (local, remote) = (self.local_endpoint(), self.remote_endpoint());
        if head.is_request() {
            let flow = self.flow(groups, head, data);
            let mut message = head.to_received(data, self.remote, self.force_rport);
            message.set_flow(flow);
            context.counters.requests_in.one();
            context.counters.bytes_in.add(len);
            return Some(Event::Request {
                local,
                remote,
                request: Request::new(message)?,
            });
        }
        if context.config.drop_stray_responses && !self.is_ours(now, context, head, data) {
            context.counters.stray_responses.one();
            self.log_stray(now, context, head, data);
            return None;
        }
        context.counters.responses_in.one();
        context.counters.bytes_in.add(len);
        // No flow: a proxy forwards a response by its next Via, not back to where it came from.
        Some(Event::Response {
            local,
            remote,
            response: Response::new(head.to_message(data))?,
        })
    }

    /// Returns true if the sent-by in the top Via of a response is one that we insert (RFC 3261
    /// §18.1.2).
    fn is_ours(&self, now: Instant, context: &TransportContext, head: &Head, data: &[u8]) -> bool {
        let Ok(via) = head.top_via(data) else {
            return false;
        };
        let sent_by = via.sent_by();
        let default_port = self.protocol.default_port();
        let port = sent_by.port().unwrap_or(default_port);
        if port == self.local.port() && sent_by.host().ip() == Some(self.local.ip()) {
            return true;
        }
        context
            .names
            .contains(now, &SentByKey::new(sent_by, default_port))
    }

    /// Logs a dropped response, for the operator of a server whose configuration lacks one of its
    /// names.
    fn log_stray(&self, now: Instant, context: &TransportContext, head: &Head, data: &[u8]) {
        const LONGEST: usize = 256;
        let Some(left_out) = context.log_limits.strays.now(now) else {
            return;
        };
        let sent_by = head.top_via(data).map(|via| via.sent_by().to_string());
        let sent_by: String = sent_by.into_iter().collect();
        warn!(
            target: MESSAGE,
            local = %self.local_endpoint(),
            remote = %self.remote_endpoint(),
            sent_by = sent_by.get(..LONGEST).unwrap_or(&sent_by),
            left_out,
            "response dropped: its Via is not ours (see Config::own_name, ChannelConfig::advertised)"
        );
    }

    pub(crate) fn malformed(
        &self,
        context: &ChannelContext,
        error: ParseError,
        bytes: &[u8],
    ) -> Event {
        context.counters.malformed(error.kind());
        Event::Malformed {
            local: self.local_endpoint(),
            remote: self.remote_endpoint(),
            error,
            bytes: Bytes::copy_from_slice(bytes),
        }
    }
}
