//! Flows that are kept alive, flow tokens, and connections that serve both ways.

use core::net::{Ipv4Addr, SocketAddr};
use std::time::Instant;

use sip_core::{Flow, Method};

use super::channels::Channel;
use super::{Router, RouterOutput};
use crate::config::ChannelConfig;
use crate::config::keep::Keep;
use crate::connection::notice::CommandKind;
use crate::endpoint::{Hints, SipEndpoint, normalise};
use crate::error::KeepError;
use crate::ids::{Carrier, ConnectionId, SendId};
use crate::incoming::flow;
use crate::incoming::flow::ReturnPath;
use crate::incoming::flow_token::{self, TokenFacts};
use crate::keep::{Due, KeepSource};
use crate::outgoing::Outgoing;
use crate::outgoing::options::SendOptions;
use crate::outgoing::substitute::ViaMarks;
use crate::protocol::Protocol;

impl Router {
    /// Keeps a flow alive from now on, or changes how. `remote` is the peer's end, as in
    /// [`Sent::remote`](crate::Sent::remote) and events, with the connection or the UDP channel.
    ///
    /// # Errors
    /// There is no such flow.
    pub fn keep(
        &mut self,
        now: Instant,
        remote: &SipEndpoint,
        keep: Keep,
    ) -> Result<(), KeepError> {
        if remote.protocol.is_stream() {
            let connection = self.kept_connection(remote).ok_or(KeepError::UnknownFlow)?;
            self.command(connection, CommandKind::Keep(Some(keep)));
            return Ok(());
        }
        let addr = normalise(remote.addr);
        let channel = remote.channel.and_then(|id| self.channels.get(id));
        let fits = |channel: &&Channel| {
            channel.protocol() == Protocol::Udp && channel.config.reaches(addr.ip())
        };
        let channel = channel.filter(fits).ok_or(KeepError::UnknownFlow)?.id;
        let from = KeepSource {
            socket: channel.socket(0),
            source: None,
        };
        self.keep_datagrams(now, addr, from, keep, None);
        Ok(())
    }

    /// A token that stands for a flow, for a Via of our own that comes back in the response, or for
    /// Path or Record-Route: at most 72 letters, digits, hyphens and underscores. It is encrypted
    /// and signed, so that a peer can neither read addresses in it nor forge one (RFC 5626 §5.2).
    /// The token of a flow is always the same.
    pub fn flow_token(&self, flow: &Flow) -> String {
        flow_token::seal(flow, &self.context.key)
    }

    /// The flow of a token, for [`Message::set_flow`](sip_core::Message::set_flow). `None` if this
    /// transport did not make the token.
    pub fn flow_from_token(&self, token: &str) -> Option<Flow> {
        let TokenFacts {
            words,
            local,
            remote,
        } = flow_token::open(token, self.context.id, &self.context.key)?;
        let flow = Flow::new(words, remote, remote);
        let path = flow::decode(&flow, self.context.id)?;
        let bound = self.channels.get(path.channel).map(|c| c.config.local);
        let connected = match path.carrier {
            Carrier::Connection(id) => self.connections.get(id).and_then(|record| record.local),
            Carrier::Datagram { .. } => None,
        };
        // Of a flow whose connection or channel is gone, only the peer's address is left.
        let unknown = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0);
        let ours = connected.or(bound).unwrap_or(unknown);
        let local = local.map_or(ours, |ip| SocketAddr::new(ip, ours.port()));
        Some(Flow::new(words, local, remote))
    }

    /// The peer's end of a flow: protocol and address, our channel, and the connection of a stream.
    /// `None` for a flow of another transport.
    pub fn flow_endpoint(&self, flow: &Flow) -> Option<SipEndpoint> {
        let path = flow::decode(flow, self.context.id)?;
        let (protocol, remote) = (path.protocol, flow.remote());
        Some(SipEndpoint::carried(
            protocol,
            remote,
            path.channel,
            path.carrier,
        ))
    }

    /// The options to send a request over a saved flow, as for a contact registered with `ob` (RFC
    /// 5626 §5.3): the same connection, or the same socket, address and peer. `None` if the flow is
    /// gone, or belongs to another transport: a proxy then answers 430.
    pub fn flow_options(&self, flow: &Flow) -> Option<SendOptions> {
        let ReturnPath {
            channel, carrier, ..
        } = flow::decode(flow, self.context.id)?;
        let protocol = self.channels.get(channel)?.protocol();
        let connection = match carrier {
            Carrier::Datagram { .. } => None,
            Carrier::Connection(id) => {
                Some(id).filter(|&id| self.connections.get(id).is_some_and(|c| !c.is_closing()))
            }
        };
        if protocol.is_stream() && connection.is_none() {
            return None;
        }
        let hints = Hints {
            channel: Some(channel),
            connection,
            local: Some(flow.local().ip()),
        };
        let remote = SipEndpoint::new(protocol, flow.remote());
        Some(SendOptions::new().to(remote).hints(hints))
    }

    /// Stops keeping a flow alive. Returns false if there is no such connection, or the UDP flow
    /// was not kept alive.
    pub fn stop_keeping(&mut self, remote: &SipEndpoint) -> bool {
        if remote.protocol.is_stream() {
            let connection = self.kept_connection(remote);
            if let Some(connection) = connection {
                self.command(connection, CommandKind::Keep(None));
            }
            return connection.is_some();
        }
        let addr = normalise(remote.addr);
        remote
            .channel
            .is_some_and(|channel| self.kept.forget((channel, addr)))
    }

    /// The number of UDP flows kept alive.
    pub fn kept_flows(&self) -> usize {
        self.kept.len()
    }

    /// Handles the offer of an authenticated peer to receive requests over its connection too (RFC
    /// 5923 §8.2): those for this port of its address.
    pub(super) fn offered(&mut self, connection: ConnectionId, port: u16) {
        let record = self.connections.get(connection);
        let Some(channel) = record.and_then(|record| self.channels.get(record.channel)) else {
            return;
        };
        let allowed = record.is_some_and(|record| {
            record.protocol == Protocol::Tls
                && record.accepted
                && record.identity.is_some()
                && channel.config.alias
        });
        if allowed && self.connections.alias(connection, port) {
            channel.context.counters.aliases.one();
        }
    }

    /// Keeps the flow of a message alive, if that was asked for.
    pub(super) fn keep_if_asked(
        &mut self,
        now: Instant,
        from: KeepSource,
        remote: SocketAddr,
        keep: Option<Keep>,
        send: SendId,
    ) {
        // No one peer answers for a group.
        if let Some(keep) = keep.filter(|_| !remote.ip().is_multicast()) {
            self.keep_datagrams(now, remote, from, keep, Some(send));
        }
    }

    /// Undoes the keep-alive request of a message whose datagram was not sent.
    pub(super) fn take_back_keep(&self, outgoing: &Outgoing) {
        if let (Some(carrier), Some(target)) = (outgoing.carrier, outgoing.target()) {
            let key = (carrier.channel, target.addr);
            self.kept.take_back(key, outgoing.id);
        }
    }

    fn keep_datagrams(
        &mut self,
        now: Instant,
        remote: SocketAddr,
        from: KeepSource,
        keep: Keep,
        send: Option<SendId>,
    ) {
        let before = self.kept.deadline();
        let context = &self.context;
        let room = self.kept.ask(now, remote, from, keep, send, context);
        self.outputs.extend(room.map(RouterOutput::Event));
        let sooner = |(at, _)| before.is_none_or(|(before, _)| at < before);
        if self.kept.deadline().is_some_and(sooner) {
            self.outputs.push_back(RouterOutput::Rearm);
        }
    }

    /// Sends the keep-alives that are due.
    pub(super) fn keep_alive(&mut self, now: Instant) {
        let context = |channel| self.channels.context_of(channel, &self.context);
        while let Some(due) = self.kept.poll(now, context) {
            self.outputs.push_back(match due {
                Due::Send(socket, transmit) => RouterOutput::Datagram { socket, transmit },
                Due::Report(event) => RouterOutput::Event(event),
            });
        }
    }

    fn kept_connection(&self, remote: &SipEndpoint) -> Option<ConnectionId> {
        let Some(id) = remote.connection else {
            let SipEndpoint {
                protocol,
                addr,
                channel,
                ..
            } = *remote;
            let found = self.connections.find(protocol, addr, channel, None, None);
            return found.map(|(id, _)| id);
        };
        let open = self
            .connections
            .get(id)
            .filter(|record| !record.is_closing());
        open.map(|_| id)
    }
}

/// The keep-alive settings for the flow of a message, if any: its own, and for a request otherwise
/// the channel's.
pub(super) fn keep_of(channel: Option<&ChannelConfig>, outgoing: &Outgoing) -> Option<Keep> {
    let of_channel = || channel.filter(|_| outgoing.message.is_request())?.keep;
    outgoing.options.keep.or_else(of_channel)
}

/// The parameters that the top Via of a message gets.
pub(super) fn via_marks(
    channel: Option<&ChannelConfig>,
    protocol: Protocol,
    outgoing: &Outgoing,
) -> ViaMarks {
    if !outgoing.message.is_request() {
        return ViaMarks {
            agreed: channel.and_then(|channel| channel.accept_keep),
            ..ViaMarks::default()
        };
    }
    let offers = keep_of(channel, outgoing).is_some_and(Keep::is_negotiated);
    ViaMarks {
        // RFC 6223 §4.3: an ACK has no response that could accept it.
        keep: offers && outgoing.message.method() != Some(Method::Ack),
        alias: protocol == Protocol::Tls && channel.is_some_and(|channel| channel.alias),
        agreed: None,
        group: None,
    }
}
