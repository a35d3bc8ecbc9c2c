//! The limits on where a response may be sent (RFC 3261 §18.2.2).

use core::net::SocketAddr;

use sip_core::Flow;

use super::Router;
use crate::config::response_policy::ResponsePolicy;
use crate::endpoint::is_one_host;
use crate::incoming::flow;
use crate::incoming::flow::ReturnPath;
use crate::outgoing::Outgoing;
use crate::outgoing::next_hop::NextHop;
use crate::protocol::Protocol;
use crate::resolve::{AddressRule, Target};

impl Router {
    /// RFC 3261 §18.2.2: a response over UDP is sent to the `maddr`, if the policy allows it.
    pub(super) fn maddr_back(&self, outgoing: &Outgoing, protocol: Protocol) -> Option<Target> {
        if protocol.is_stream() || !self.response_policy(outgoing).maddr {
            return None;
        }
        let via = outgoing.top_via()?;
        let ip = via.maddr()?.ip().filter(|ip| is_one_host(*ip))?;
        let port = via
            .sent_by()
            .port()
            .unwrap_or_else(|| protocol.default_port());
        let addr = SocketAddr::new(ip, port);
        Some(Target::plain(protocol, addr, None, AddressRule::Via))
    }

    /// The return path of a response's request, if it was received here.
    pub(super) fn return_path(&self, outgoing: &Outgoing) -> Option<(Flow, ReturnPath)> {
        let response = !outgoing.message.is_request();
        let flow = outgoing.message.flow().filter(|_| response)?;
        Some((flow, flow::decode(&flow, self.context.id)?))
    }

    /// Returns true if a connection may be opened for a message. RFC 7118 §5: nobody can connect to
    /// a WebSocket client.
    pub(super) fn may_connect(&self, outgoing: &Outgoing, protocol: Protocol) -> bool {
        outgoing.message.is_request()
            || !protocol.is_websocket() && self.response_policy(outgoing).connect
    }

    /// The policy for a response: its own, else that of the channel on which its request was
    /// received, or of the hinted one.
    fn response_policy(&self, outgoing: &Outgoing) -> ResponsePolicy {
        let of_channel = || {
            let return_path = self
                .return_path(outgoing)
                .map(|(_, return_path)| return_path.channel);
            let channel = return_path.or(outgoing.options.hints.channel)?;
            self.channels.get(channel)?.config.responses
        };
        let given = outgoing.options.responses.or_else(of_channel);
        given.unwrap_or(self.context.config.responses)
    }

    /// The start of RFC 3263 §5 for a response: the sent-by of its top Via, if its targets have
    /// failed and the policy allows it.
    pub(super) fn sent_by_hop(&self, outgoing: &Outgoing) -> Option<NextHop> {
        if !matches!(outgoing.next_hop, NextHop::Flow(_) | NextHop::Via(_)) {
            return None;
        }
        let policy = self.response_policy(outgoing);
        if !policy.sent_by || outgoing.options.to.is_some() {
            return None;
        }
        let protocol = self.protocol_for(outgoing).ok()?;
        if protocol.is_stream() && !self.may_connect(outgoing, protocol) {
            return None;
        }
        let sent_by = outgoing.top_via()?.sent_by();
        Some(NextHop::Host {
            host: sent_by.host().into(),
            domain: None,
            port: sent_by.port(),
            transport: Some(protocol),
            ttl: None,
        })
    }

    /// Directs a response to the servers of its sent-by. Returns false if that is not allowed.
    pub(super) fn turn_to_sent_by(&self, outgoing: &mut Outgoing) -> bool {
        let Some(hop) = self.sent_by_hop(outgoing) else {
            return false;
        };
        outgoing.next_hop = hop;
        outgoing.targets = None;
        true
    }
}
