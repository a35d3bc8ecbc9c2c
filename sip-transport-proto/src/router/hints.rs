//! Hints, and the reasons to overrule them.

use core::net::IpAddr;

use super::Router;
use super::channels::Channel;
use super::connections::ConnectionRecord;
use crate::ids::{ChannelId, ConnectionId};
use crate::incoming::flow;
use crate::outgoing::Outgoing;
use crate::outgoing::next_hop::NextHop;
use crate::outgoing::sent::{HintOutcome, Overruled};
use crate::protocol::Protocol;
use crate::resolve::Target;

impl Router {
    /// Returns the hinted connection if it can carry the message. The destination's address does
    /// not matter: sending elsewhere is the purpose of the hint.
    pub(super) fn hinted_connection(
        &self,
        id: ConnectionId,
        outgoing: &Outgoing,
    ) -> Result<ConnectionRecord, Overruled> {
        if id.transport != self.context.id {
            return Err(Overruled::OtherTransport);
        }
        let record = self
            .connections
            .get(id)
            .filter(|r| !r.is_closing())
            .ok_or(Overruled::Closed)?;
        if outgoing.secure && !record.protocol.is_secure() {
            return Err(Overruled::Insecure);
        }
        if self.wanted_protocol(outgoing) == Some(Protocol::Udp) {
            return Err(Overruled::Protocol);
        }
        Ok(record.clone())
    }

    /// Returns the hinted channel if it can carry the message, whether `remote` is known yet or
    /// not.
    pub(super) fn hinted_channel(
        &self,
        id: ChannelId,
        outgoing: &Outgoing,
        remote: Option<IpAddr>,
    ) -> Result<&Channel, Overruled> {
        if id.transport != self.context.id {
            return Err(Overruled::OtherTransport);
        }
        let channel = self.channels.get(id).ok_or(Overruled::UnknownChannel)?;
        let protocol = channel.protocol();
        if outgoing.secure && !protocol.is_secure() {
            return Err(Overruled::Insecure);
        }
        if let Some(wanted) = self.wanted_protocol(outgoing)
            && !wanted.is_served_by(protocol)
        {
            return Err(Overruled::Protocol);
        }
        if remote.is_some_and(|remote| !channel.config.reaches(remote)) {
            return Err(Overruled::Unreachable);
        }
        Ok(channel)
    }

    /// The hinted channel, or the reason that it cannot carry the message to a target; `None`
    /// without such a hint.
    pub(super) fn hinted_channel_to(
        &self,
        target: &Target,
        outgoing: &Outgoing,
    ) -> Option<Result<ChannelId, Overruled>> {
        let id = outgoing.options.hints.channel?;
        let hinted = self.hinted_channel(id, outgoing, Some(target.addr.ip()));
        Some(hinted.map(|channel| channel.id))
    }

    /// The protocol that the message asks for, if it asks for one.
    pub(super) fn wanted_protocol(&self, outgoing: &Outgoing) -> Option<Protocol> {
        if let Some(to) = outgoing.options.to {
            return Some(to.protocol);
        }
        match &outgoing.next_hop {
            NextHop::Unknown(_) => None,
            // `sips` with transport=tcp means TLS over TCP (RFC 3261 §26.2.2), with ws WSS.
            NextHop::Host { transport, .. } if outgoing.secure => transport.map(|t| match t {
                Protocol::Tcp => Protocol::Tls,
                Protocol::Ws => Protocol::Wss,
                other => other,
            }),
            NextHop::Host { transport, .. } => *transport,
            NextHop::Via(via) => via.protocol,
            NextHop::Flow(flow) => Some(flow::decode(flow, self.context.id)?.protocol),
        }
    }
}

impl<T> From<&Result<T, Overruled>> for HintOutcome {
    fn from(result: &Result<T, Overruled>) -> Self {
        match result {
            Ok(_) => Self::Honoured,
            Err(reason) => Self::Overruled(*reason),
        }
    }
}
