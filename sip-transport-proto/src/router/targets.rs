//! The targets of a message: those that it, or the application, names.

use core::net::{IpAddr, SocketAddr};
use std::collections::VecDeque;
use std::time::Instant;

use sip_core::Flow;

use super::channels::Channel;
use super::queries::PlanWaiter;
use super::{Router, RouterOutput};
use crate::config::advertised::HostText;
use crate::config::multicast;
use crate::config::multicast::Membership;
use crate::endpoint::{is_one_host, normalise};
use crate::error::{Attempt, SendCause};
use crate::ids::QueryId;
use crate::incoming::flow;
use crate::outgoing::Outgoing;
use crate::outgoing::next_hop::{NextHop, ViaFacts};
use crate::protocol::Protocol;
use crate::resolve::{
    AddressRule, Capabilities, Family, PlanError, PlanId, Progress, Question, ResolveOutput,
    Target, mark_races,
};
use crate::tokens::Tokens;

/// The targets of a message, or the plan that will find them.
pub(super) enum TargetLookup {
    Targets(VecDeque<Target>),
    Waits(PlanId),
}

impl Router {
    /// Finds the targets of a message that no hint decides (RFC 3261 §8.1.2 and §18.2.2, RFC 3263).
    pub(super) fn find_targets(
        &mut self,
        now: Instant,
        outgoing: &mut Outgoing,
    ) -> Result<TargetLookup, SendCause> {
        let one = |target| Ok(TargetLookup::Targets(VecDeque::from([target])));
        if let Some(to) = outgoing.options.to {
            if outgoing.secure && !to.protocol.is_secure() {
                return Err(SendCause::Insecure(to.protocol));
            }
            let protocol = self.protocol_for(outgoing)?;
            return one(Target::plain(
                protocol,
                normalise(to.addr),
                outgoing.peer_name(protocol),
                AddressRule::Given,
            ));
        }
        let back = match &outgoing.next_hop {
            NextHop::Unknown(cause) => Err(cause.clone()),
            NextHop::Host { host, port, .. } => return self.resolve(now, outgoing, host, *port),
            NextHop::Flow(flow) => self.flow_back(outgoing, flow),
            NextHop::Via(via) => self.via_back(outgoing, via),
        };
        if back == Err(SendCause::NoResponseAddress) && self.turn_to_sent_by(outgoing) {
            // Recurses at most once: `next_hop` is now `Host`.
            return self.find_targets(now, outgoing);
        }
        one(back?)
    }

    /// RFC 3263 for a host.
    fn resolve(
        &mut self,
        now: Instant,
        outgoing: &Outgoing,
        host: &HostText,
        port: Option<u16>,
    ) -> Result<TargetLookup, SendCause> {
        let hinted = outgoing.options.hints.channel;
        let hinted = hinted.and_then(|id| self.hinted_channel(id, outgoing, None).ok());
        let wanted = hinted.map(Channel::protocol);
        let wanted = wanted.or_else(|| self.wanted_protocol(outgoing));
        let question = Question::new(host.as_host(), port, wanted, outgoing.secure);
        let mut question = question.map_err(|error| self.explain(error, host, outgoing))?;
        if let Some(name) = outgoing.peer_name(Protocol::Tls) {
            question = question.name(name);
        }
        let can = self.capabilities(outgoing);
        let mut given = outgoing.options.draw_by.map(Tokens::new);
        let tokens = given.as_mut().unwrap_or(&mut self.tokens);
        let progress = self.resolver.start(now, question, can, tokens);
        self.follow_resolver(now);
        match progress {
            Progress::Waiting(plan) => Ok(TargetLookup::Waits(plan)),
            Progress::Done(result) => self.found(outgoing, result).map(TargetLookup::Targets),
        }
    }

    /// The protocols and families that a message can be sent on: those of the channels, and of
    /// channels that may be made.
    fn capabilities(&self, outgoing: &Outgoing) -> Capabilities {
        let mut can = Capabilities::NONE;
        for channel in self.channels.iter() {
            for family in channel.config.families() {
                can = can.with(channel.protocol(), family);
            }
        }
        if self.context.config.create_client_channels && outgoing.message.is_request() {
            for protocol in Protocol::ALL {
                let may = self.check_client(protocol, &outgoing.options);
                if protocol.is_compiled_in() && may.is_ok() {
                    can = can.with(protocol, Family::Ipv4);
                    can = can.with(protocol, Family::Ipv6);
                }
            }
        }
        can
    }

    /// Turns the result of a plan into targets.
    pub(super) fn found(
        &self,
        outgoing: &Outgoing,
        result: Result<Vec<Target>, PlanError>,
    ) -> Result<VecDeque<Target>, SendCause> {
        let NextHop::Host { host, .. } = &outgoing.next_hop else {
            return Err(SendCause::NoResponseAddress);
        };
        let mut targets = result.map_err(|error| self.explain(error, host, outgoing))?;
        if !outgoing.message.is_request() {
            // A peer's DNS is as untrusted as its Via; the source address may have been tried
            // already.
            let tried = |target: &Target| {
                let same = |old: &Attempt| {
                    (old.target.protocol, old.target.addr) == (target.protocol, target.addr)
                };
                outgoing.tried.iter().any(same)
            };
            targets.retain(|target| is_one_host(target.addr.ip()) && !tried(target));
            if targets.is_empty() && outgoing.tried.is_empty() {
                return Err(SendCause::NoResponseAddress);
            }
        }
        let hinted = outgoing.options.hints.channel;
        if let Some(Ok(channel)) = hinted.map(|id| self.hinted_channel(id, outgoing, None)) {
            // A hint is overruled only if no target can be reached from its channel.
            targets.sort_by_key(|target| !channel.config.reaches(target.addr.ip()));
        }
        // Removal and sorting may have changed which targets are adjacent.
        mark_races(&mut targets);
        Ok(targets.into())
    }

    /// The cause of a failed plan, as the sender sees it.
    fn explain(&self, error: PlanError, host: &HostText, outgoing: &Outgoing) -> SendCause {
        let has_no_tls = |protocol| self.check_client(protocol, &outgoing.options).is_err();
        match (error, host) {
            (PlanError::Insecure(protocol), _) => SendCause::Insecure(protocol),
            (PlanError::CannotSend(protocol), _) if has_no_tls(protocol) => SendCause::NoTlsConfig,
            (PlanError::CannotSend(protocol), HostText::Ip(ip)) => SendCause::NoChannel {
                protocol,
                remote: *ip,
            },
            (error, _) => SendCause::Resolve(error),
        }
    }

    /// Resumes the message that waited for a plan.
    pub(super) fn planned(
        &mut self,
        now: Instant,
        plan: PlanId,
        result: Result<Vec<Target>, PlanError>,
    ) {
        match self.queries.planned(plan) {
            None => {}
            Some(PlanWaiter::Send(mut waiting)) => match self.found(&waiting, result) {
                Ok(targets) => {
                    waiting.targets = Some(targets);
                    self.resume(now, waiting);
                }
                Err(cause) => self.report_failed_send(cause, waiting),
            },
            Some(PlanWaiter::Plan(query, outgoing)) => {
                let result = self.found(&outgoing, result).map(Into::into);
                self.outputs
                    .push_back(RouterOutput::Planned { query, result });
            }
        }
    }

    /// Finds the targets of a message without sending it: the targets, best first, each with the
    /// reason for it. The answer is [`RouterOutput::Planned`], even if it is known at once.
    pub fn plan(&mut self, now: Instant, mut outgoing: Box<Outgoing>) -> QueryId {
        let query = self.queries.next_id();
        let found = match self.at_hand(&outgoing) {
            _ if self.closing => Err(SendCause::ShuttingDown),
            Some(target) => Ok(TargetLookup::Targets(VecDeque::from([target]))),
            None => self.find_targets(now, &mut outgoing),
        };
        let result = match found {
            Ok(TargetLookup::Waits(plan)) if self.has_room() => {
                self.queries.ask_for_plan(plan, query, outgoing);
                return query;
            }
            Ok(TargetLookup::Waits(plan)) => {
                self.resolver.cancel(plan);
                let limit = self.context.config.max_waiting_sends;
                Err(SendCause::TooManyWaiting { limit })
            }
            Ok(TargetLookup::Targets(targets)) => Ok(targets.into()),
            Err(cause) => Err(cause),
        };
        self.outputs
            .push_back(RouterOutput::Planned { query, result });
        query
    }

    /// The remote address of the connection that a message would use regardless of its destination.
    fn at_hand(&self, outgoing: &Outgoing) -> Option<Target> {
        let hinted = outgoing.wanted_hints().connection;
        let hinted = hinted.and_then(|id| self.hinted_connection(id, outgoing).ok());
        let record = hinted.or_else(|| {
            let (_, record) = self.request_connection(outgoing)?;
            Some(record.clone())
        })?;
        let (protocol, remote) = (record.protocol, record.remote);
        let address = AddressRule::Connection;
        Some(Target::plain(protocol, remote, record.name, address))
    }

    /// Passes on the resolver's lookups, and handles the plans that it has completed.
    pub(super) fn follow_resolver(&mut self, now: Instant) {
        while let Some(output) = self.resolver.poll_output() {
            match output {
                ResolveOutput::Lookup { id, kind, name } => self
                    .outputs
                    .push_back(RouterOutput::Lookup { id, kind, name }),
                ResolveOutput::CancelLookup(id) => {
                    self.outputs.push_back(RouterOutput::CancelLookup(id));
                }
                ResolveOutput::Planned { plan, result } => self.planned(now, plan, result),
            }
        }
    }

    /// The protocol to use: the one asked for, upgraded to a secure one if a hinted channel has it;
    /// without one, the hinted channel's, else TLS for `sips`, else UDP.
    pub(super) fn protocol_for(&self, outgoing: &Outgoing) -> Result<Protocol, SendCause> {
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

    /// The target of a response whose connection is gone (RFC 3261 §18.2.2): the source of its
    /// request, and never a name or another address that the sender wrote, or anyone could direct
    /// our traffic at anyone.
    fn flow_back(&self, outgoing: &Outgoing, flow: &Flow) -> Result<Target, SendCause> {
        let return_path =
            flow::decode(flow, self.context.id).ok_or(SendCause::NoResponseAddress)?;
        let protocol = self.reconnectable(outgoing)?;
        if let Some(target) = self.maddr_back(outgoing, protocol) {
            return Ok(target);
        }
        let joined = return_path.group.and_then(|wanted| {
            let groups = &self.channels.get(return_path.channel)?.config.groups;
            groups.get(usize::from(wanted.index))
        });
        if let Some(Membership { group, .. }) = joined {
            let addr = SocketAddr::new((*group).into(), return_path.reply_port);
            return Ok(Target::plain(protocol, addr, None, AddressRule::Via));
        }
        let mut addr = flow.remote();
        addr.set_port(return_path.reply_port);
        let name = outgoing.peer_name(protocol);
        Ok(Target::plain(protocol, addr, name, AddressRule::Source))
    }

    /// The target of a response without a flow (RFC 3261 §18.2.2, RFC 3581 §4).
    fn via_back(&self, outgoing: &Outgoing, via: &ViaFacts) -> Result<Target, SendCause> {
        let protocol = self.protocol_for(outgoing)?;
        if let Some(target) = self.maddr_back(outgoing, protocol) {
            return Ok(target);
        }
        let port = via.port.unwrap_or_else(|| protocol.default_port());
        if let Some((group, _)) = via.group.filter(|(group, _)| self.hears(*group))
            && protocol == Protocol::Udp
        {
            let addr = SocketAddr::new(group, port);
            return Ok(Target::plain(protocol, addr, None, AddressRule::Via));
        }
        let ip = via.ip.filter(|ip| is_one_host(*ip));
        let ip = ip.ok_or(SendCause::NoResponseAddress)?;
        let source = via.rport.flatten().map(|port| SocketAddr::new(ip, port));
        // Over a stream: the client's own connection, if it is still open.
        let is_there = |source: &SocketAddr| {
            let tls = Some(&outgoing.options.tls).filter(|tls| tls.is_given());
            let find = || self.connections.find(protocol, *source, None, None, tls);
            !protocol.is_stream() || find().is_some()
        };
        let (addr, name) = match source.filter(is_there) {
            Some(source) => (source, None),
            None if protocol.is_websocket() => return Err(SendCause::ConnectionClosed),
            None => (SocketAddr::new(ip, port), outgoing.peer_name(protocol)),
        };
        Ok(Target::plain(protocol, addr, name, AddressRule::Via))
    }

    /// Returns true if a channel has joined that group.
    fn hears(&self, group: IpAddr) -> bool {
        let mut channels = self.channels.iter();
        channels.any(|channel| multicast::member(&channel.config.groups, group).is_some())
    }

    /// The protocol of a response that may need a new connection. RFC 7118 §5: nobody can connect
    /// to a WebSocket client.
    fn reconnectable(&self, outgoing: &Outgoing) -> Result<Protocol, SendCause> {
        match self.protocol_for(outgoing)? {
            Protocol::Ws | Protocol::Wss => Err(SendCause::ConnectionClosed),
            protocol => Ok(protocol),
        }
    }
}
