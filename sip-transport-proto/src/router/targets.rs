//! Where a message goes: the targets that it, or the application, names.

use core::net::{IpAddr, SocketAddr};
use std::collections::VecDeque;
use std::io;
use std::time::Instant;

use sip_core::Flow;

use super::Router;
use super::queries::Waiting;
use crate::endpoint::normalise;
use crate::error::SendCause;
use crate::flow::{self, Came};
use crate::outgoing::{HostText, NextHop, Target, ViaFacts};
use crate::{Outgoing, Protocol};

/// Addresses of one name that are tried.
const MAX_ADDRESSES: usize = 32;

/// The targets of a message, or what has to be known first.
pub(super) enum Plan {
    Targets(VecDeque<Target>),
    LookUp(String),
}

impl Router {
    pub(super) fn plan(&self, outgoing: &Outgoing) -> Result<Plan, SendCause> {
        let one = |target| Ok(Plan::Targets(VecDeque::from([target])));
        if let Some(to) = outgoing.options.to {
            if outgoing.secure && !to.protocol.is_secure() {
                return Err(SendCause::Insecure(to.protocol));
            }
            let protocol = self.protocol_for(outgoing)?;
            return one(Target {
                protocol,
                addr: normalise(to.addr),
                name: outgoing.peer_name(protocol),
            });
        }
        match &outgoing.next_hop {
            NextHop::Unknown(cause) => Err(cause.clone()),
            NextHop::Host { host, port, .. } => {
                let protocol = self.protocol_for(outgoing)?;
                match host {
                    HostText::Name(name) => Ok(Plan::LookUp(name.to_string())),
                    HostText::Ip(ip) => {
                        let port = port.unwrap_or(protocol.default_port());
                        one(Target {
                            protocol,
                            addr: SocketAddr::new(ip.to_canonical(), port),
                            name: outgoing.peer_name(protocol),
                        })
                    }
                }
            }
            NextHop::Flow(flow) => {
                let came = flow::decode(flow, self.shared.id);
                let came = came.ok_or(SendCause::NoResponseAddress)?;
                one(self.flow_back(outgoing, flow, came)?)
            }
            NextHop::Via(via) => one(self.via_back(outgoing, via)?),
        }
    }

    /// Takes up a send whose next hop was looked up.
    pub(super) fn resolved(
        &mut self,
        now: Instant,
        mut waiting: Waiting,
        name: &str,
        result: Result<&[IpAddr], io::ErrorKind>,
    ) {
        let outgoing = &waiting.outgoing;
        let targets = match (&outgoing.next_hop, result) {
            (NextHop::Host { port, .. }, Ok(ips)) if !ips.is_empty() => {
                self.protocol_for(outgoing).map(|protocol| {
                    let port = port.unwrap_or(protocol.default_port());
                    let name = outgoing.peer_name(protocol);
                    let target = |ip: &IpAddr| Target {
                        protocol,
                        addr: SocketAddr::new(ip.to_canonical(), port),
                        name: name.clone(),
                    };
                    ips.iter().take(MAX_ADDRESSES).map(target).collect()
                })
            }
            (_, result) => {
                let kind = result.err().unwrap_or(io::ErrorKind::NotFound);
                Err(SendCause::Lookup {
                    name: name.to_owned(),
                    kind,
                })
            }
        };
        match targets {
            Ok(targets) => {
                waiting.outgoing.targets = Some(targets);
                self.resume(now, waiting);
            }
            Err(cause) => self.fail(cause, waiting.outgoing),
        }
    }

    /// The protocol to use: what is asked for, with protection added where a hinted channel has
    /// it; without a wish, the hinted channel's, else UDP, else for `sips` TLS.
    fn protocol_for(&self, outgoing: &Outgoing) -> Result<Protocol, SendCause> {
        let hinted = outgoing.options.hints.channel;
        if let Some(Ok(channel)) = hinted.map(|id| self.hinted_channel(id, outgoing, None)) {
            return Ok(channel.protocol());
        }
        match self.wanted_protocol(outgoing) {
            Some(protocol) if outgoing.secure && !protocol.is_secure() => {
                Err(SendCause::Insecure(protocol))
            }
            Some(protocol) => Ok(protocol),
            None if outgoing.secure => Ok(Protocol::Tls),
            None => Ok(Protocol::Udp),
        }
    }

    /// Where a response goes whose connection is not at hand (RFC 3261 §18.2.2): to the source of
    /// its request, and never to a name or another address that the sender wrote, or anyone could
    /// aim us at anyone.
    fn flow_back(&self, outgoing: &Outgoing, flow: &Flow, came: Came) -> Result<Target, SendCause> {
        let protocol = self.reconnectable(outgoing)?;
        let mut addr = flow.remote();
        addr.set_port(came.reply_port);
        Ok(Target {
            protocol,
            addr,
            name: outgoing.peer_name(protocol),
        })
    }

    /// Where a response without a flow goes (RFC 3261 §18.2.2, RFC 3581 §4).
    fn via_back(&self, outgoing: &Outgoing, via: &ViaFacts) -> Result<Target, SendCause> {
        let protocol = self.reconnectable(outgoing)?;
        let ip = via.ip.filter(|ip| is_one_host(*ip));
        let ip = ip.ok_or(SendCause::NoResponseAddress)?;
        let sent_by = SocketAddr::new(ip, via.port.unwrap_or_else(|| protocol.default_port()));
        let source = via.rport.flatten().map(|port| SocketAddr::new(ip, port));
        let (addr, name) = match source {
            Some(source) if !protocol.is_stream() => (source, None),
            // The client's own connection, if it is still there.
            Some(source)
                if self
                    .connections
                    .find(protocol, source, None, None)
                    .is_some() =>
            {
                (source, None)
            }
            _ => (sent_by, outgoing.peer_name(protocol)),
        };
        Ok(Target {
            protocol,
            addr,
            name,
        })
    }

    /// RFC 7118 §5: nobody can connect to a WebSocket client.
    fn reconnectable(&self, outgoing: &Outgoing) -> Result<Protocol, SendCause> {
        match self.protocol_for(outgoing)? {
            Protocol::Ws | Protocol::Wss => Err(SendCause::ConnectionClosed),
            protocol => Ok(protocol),
        }
    }
}

/// Whether a response may go there: not to a group or everybody (RFC 4475 §3.3.10).
fn is_one_host(ip: IpAddr) -> bool {
    let everybody = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    !(everybody || ip.is_multicast() || ip.is_unspecified())
}
