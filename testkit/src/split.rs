//! The parts of a transport driven by hand, as an adapter with many tasks would: in any order, with
//! other things happening between any two steps.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use sip_transport_proto::error::{
    AcceptError, AttemptCause, ChannelError, NextError, SendCause, SendError,
};
use sip_transport_proto::parts::{
    Carrier, Connection, ConnectionEvent, DatagramSocket, Dispatch, Returned, Routed, Router,
    RouterOutput,
};
use sip_transport_proto::resolve::{Answer, Family, LookupId};
use sip_transport_proto::sim::Machine;
use sip_transport_proto::{
    Advertised, ChannelConfig, ChannelId, Config, ConnectionId, Deadline, Event, Outgoing, Output,
    QueryId, SendId, Sent, SocketId, Submitted, Tokens,
};

/// See the [module](self).
#[derive(Debug)]
pub struct Split {
    router: Router,
    sockets: BTreeMap<SocketId, DatagramSocket>,
    connections: BTreeMap<ConnectionId, Connection>,
    /// What has still to be done, in no order.
    tasks: Vec<Task>,
    /// Connections that may have events.
    touched: BTreeSet<ConnectionId>,
    /// Connections that have handed out a send, which is being rendered.
    rendering: BTreeSet<ConnectionId>,
    outputs: VecDeque<Output>,
    /// When the tasks go on: other inputs may come before.
    asleep: Option<Instant>,
    dice: Tokens,
}

#[derive(Debug)]
enum Task {
    Router,
    Push(Dispatch, Box<Outgoing>),
    Give(Dispatch, Box<Outgoing>),
    /// The same of one that waited in this connection, whose next event comes after it.
    Render(ConnectionId, Dispatch, Box<Outgoing>),
    /// Order within one connection's events is kept.
    Connection(ConnectionId),
    Retry(Returned),
}

impl Split {
    fn fetch_machines(&mut self) {
        while let Some(machine) = self.router.take_machine() {
            self.connections.insert(machine.id(), machine);
        }
    }

    fn die(&mut self, sides: usize) -> usize {
        let mut bytes = [0; 8];
        self.dice.fill(&mut bytes);
        usize::try_from(u64::from_be_bytes(bytes) % sides as u64).unwrap()
    }

    fn with<T>(&mut self, id: ConnectionId, call: impl FnOnce(&mut Connection) -> T) -> Option<T> {
        let machine = self.connections.get_mut(&id)?;
        self.touched.insert(id);
        Some(call(machine))
    }

    fn deliver_outcome(&mut self, result: Result<Sent, SendError>) {
        let send = match &result {
            Ok(sent) => sent.id(),
            Err(error) => error.send(),
        };
        let result = result.map(Box::new);
        let event = Event::SendCompleted { send, result };
        self.outputs.push_back(Output::Event(event));
    }

    fn routed(&mut self, routed: Result<Routed, SendError>) {
        match routed {
            Ok(Routed::Ready(dispatch, outgoing)) => {
                self.tasks.push(Task::Push(dispatch, outgoing))
            }
            Ok(Routed::Waiting(_)) => {}
            Err(error) => self.deliver_outcome(Err(error)),
        }
        self.tasks.push(Task::Router);
    }

    fn hand_over(&mut self, now: Instant, dispatch: Dispatch, outgoing: Box<Outgoing>) {
        let Carrier::Connection(id) = dispatch.carrier() else {
            return self.render_and_queue(now, &dispatch, outgoing);
        };
        self.fetch_machines();
        self.touched.insert(id);
        let pushed = match self.connections.get_mut(&id) {
            Some(machine) => machine.push(dispatch, outgoing),
            None => Err(Returned::new(outgoing, AttemptCause::Gone)),
        };
        match pushed {
            Ok(Routed::Waiting(_)) => {}
            // Others may get in between the push and the bytes.
            Ok(Routed::Ready(dispatch, outgoing)) if self.die(2) == 0 => {
                self.tasks.push(Task::Give(dispatch, outgoing));
            }
            Ok(Routed::Ready(dispatch, outgoing)) => {
                self.render_and_queue(now, &dispatch, outgoing)
            }
            Err(returned) => self.tasks.push(Task::Retry(returned)),
        }
    }

    fn render_and_queue(&mut self, now: Instant, dispatch: &Dispatch, outgoing: Box<Outgoing>) {
        let given = dispatch.render(now, &outgoing).and_then(|sent| {
            self.queue_bytes(now, &sent)?;
            Ok(sent)
        });
        match given {
            Ok(sent) => self.deliver_outcome(Ok(sent.with_outgoing(outgoing))),
            Err(cause) => self.tasks.push(Task::Retry(Returned::new(outgoing, cause))),
        }
    }

    fn queue_bytes(&mut self, now: Instant, sent: &Sent) -> Result<(), SendCause> {
        if let Some((socket, transmit)) = sent.datagram() {
            if let Some(call) = sent.tap(now) {
                call.run();
            }
            self.outputs
                .push_back(Output::Datagram { socket, transmit });
        }
        let Carrier::Connection(id) = sent.carrier() else {
            return Ok(());
        };
        self.with(id, |machine| machine.queue(now, sent.bytes(), sent.id()))
            .unwrap_or(Err(SendCause::ConnectionClosed))
    }

    fn connection_event(&mut self, now: Instant, id: ConnectionId) {
        let Some(machine) = self.connections.get_mut(&id) else {
            return;
        };
        let Some(event) = machine.poll_event(now) else {
            if machine.is_closed() {
                self.connections.remove(&id);
            } else if !machine.transmit().is_empty() {
                self.outputs.push_back(Output::Writable(id));
            }
            return;
        };
        match event {
            ConnectionEvent::Event(event) => self.outputs.push_back(Output::Event(event)),
            ConnectionEvent::Notice(notice) => {
                self.router.handle_notice(now, id, notice);
                self.tasks.push(Task::Router);
            }
            ConnectionEvent::Call(call) => {
                if let Some(answer) = call.run() {
                    machine.handle_command(now, answer);
                }
            }
            ConnectionEvent::Ready(dispatch, outgoing) => {
                // It is seen to before the next event.
                self.rendering.insert(id);
                return self.tasks.push(Task::Render(id, dispatch, outgoing));
            }
            ConnectionEvent::Returned(returned) => self.tasks.push(Task::Retry(returned)),
            ConnectionEvent::Closed => self.outputs.push_back(Output::Close(id)),
        }
        self.tasks.push(Task::Connection(id));
    }

    fn router_output(&mut self, now: Instant, output: RouterOutput) {
        match output {
            RouterOutput::Connect {
                connection,
                remote,
                local,
            } => {
                self.fetch_machines();
                self.touched.insert(connection);
                self.outputs.push_back(Output::Connect {
                    connection,
                    remote,
                    local,
                });
            }
            RouterOutput::Command {
                connection,
                command,
            } => {
                self.with(connection, |machine| machine.handle_command(now, command));
            }
            RouterOutput::Datagram { socket, transmit } => {
                self.outputs
                    .push_back(Output::Datagram { socket, transmit });
            }
            RouterOutput::Event(event) => self.outputs.push_back(Output::Event(event)),
            RouterOutput::Rearm => {}
            RouterOutput::Bind { channel, local } => {
                self.outputs.push_back(Output::Bind { channel, local });
            }
            RouterOutput::Lookup { id, kind, name } => {
                self.outputs.push_back(Output::Lookup { id, kind, name });
            }
            RouterOutput::CancelLookup(id) => self.outputs.push_back(Output::CancelLookup(id)),
            RouterOutput::Planned { query, result } => {
                self.outputs.push_back(Output::Planned { query, result });
            }
            RouterOutput::LocalAddress { query, remote } => {
                self.outputs
                    .push_back(Output::LocalAddress { query, remote });
            }
            RouterOutput::Routed(dispatch, outgoing) => {
                self.tasks.push(Task::Push(dispatch, outgoing))
            }
            RouterOutput::Failed(error) => self.deliver_outcome(Err(error)),
        }
    }

    /// One step of one task. Sends to one destination stay in order, as those of one task do.
    fn step(&mut self, now: Instant) -> bool {
        self.tasks.extend(
            core::mem::take(&mut self.touched)
                .into_iter()
                .map(Task::Connection),
        );
        if self.tasks.is_empty() {
            return false;
        }
        let chosen = self.die(self.tasks.len());
        let is_send = |task: &Task| matches!(task, Task::Push(..) | Task::Router);
        let chosen = match self.tasks.get(chosen) {
            Some(task) if is_send(task) => self.tasks.iter().position(is_send).unwrap_or(chosen),
            _ => chosen,
        };
        match self.tasks.remove(chosen) {
            Task::Router => {
                if let Some(output) = self.router.poll_output() {
                    self.tasks.push(Task::Router);
                    self.router_output(now, output);
                }
            }
            Task::Push(dispatch, outgoing) => self.hand_over(now, dispatch, outgoing),
            Task::Give(dispatch, outgoing) => self.render_and_queue(now, &dispatch, outgoing),
            Task::Render(id, dispatch, outgoing) => {
                self.render_and_queue(now, &dispatch, outgoing);
                self.rendering.remove(&id);
                self.tasks.push(Task::Connection(id));
            }
            Task::Connection(id) if self.rendering.contains(&id) => {}
            Task::Connection(id) => self.connection_event(now, id),
            Task::Retry(returned) => {
                let routed = self.router.retry(now, returned);
                self.routed(routed);
            }
        }
        true
    }

    fn add_socket(&mut self, socket: SocketId) {
        if let Some(machine) = self.router.datagram_socket(socket) {
            self.sockets.insert(socket, machine);
        }
    }
}

impl Machine for Split {
    fn new(config: Config, seed: [u8; 32]) -> Self {
        Self {
            router: Router::new(config, seed),
            sockets: BTreeMap::new(),
            connections: BTreeMap::new(),
            tasks: Vec::new(),
            touched: BTreeSet::new(),
            rendering: BTreeSet::new(),
            outputs: VecDeque::new(),
            asleep: None,
            dice: Tokens::new(seed),
        }
    }

    fn router(&self) -> &Router {
        &self.router
    }

    fn recv_capacity(&self, id: ConnectionId) -> usize {
        self.connections
            .get(&id)
            .map_or(0, Connection::recv_capacity)
    }

    fn transmit(&self, id: ConnectionId) -> &[u8] {
        self.connections
            .get(&id)
            .map(Connection::transmit)
            .unwrap_or_default()
    }

    fn add_channel(&mut self, config: ChannelConfig) -> Result<ChannelId, ChannelError> {
        let id = self.router.add_channel(config)?;
        self.add_socket(id.socket(0));
        Ok(id)
    }

    fn remove_channel(&mut self, now: Instant, id: ChannelId) -> Result<(), ChannelError> {
        self.router.remove_channel(now, id)?;
        self.sockets.retain(|socket, _| socket.channel != id);
        self.tasks.push(Task::Router);
        Ok(())
    }

    fn advertise(
        &mut self,
        now: Instant,
        channel: ChannelId,
        family: Family,
        advertised: Option<Advertised>,
    ) -> Result<(), ChannelError> {
        self.router.advertise(now, channel, family, advertised)
    }

    fn send(&mut self, now: Instant, outgoing: Box<Outgoing>) -> Result<Submitted, SendError> {
        let routed = self.router.send(now, outgoing)?;
        let send = match &routed {
            Routed::Waiting(send) => *send,
            Routed::Ready(_, outgoing) => outgoing.id(),
        };
        self.routed(Ok(routed));
        Ok(Submitted::Waiting(send))
    }

    fn try_next(&mut self, now: Instant, sent: Sent) -> Result<Box<Outgoing>, NextError> {
        self.router.try_next(now, sent)
    }

    fn trust(&mut self, connection: ConnectionId) -> bool {
        self.router.trust(connection)
    }

    fn close(&mut self, _: Instant, connection: ConnectionId) -> bool {
        self.tasks.push(Task::Router);
        self.router.close(connection)
    }

    fn shutdown(&mut self, _: Instant) {
        self.router.shutdown();
        self.tasks.push(Task::Router);
    }

    fn handle_datagram(
        &mut self,
        now: Instant,
        socket: SocketId,
        remote: SocketAddr,
        local_ip: Option<IpAddr>,
        data: &[u8],
    ) {
        let Some(machine) = self.sockets.get_mut(&socket) else {
            return;
        };
        let event = machine.handle_datagram(now, remote, local_ip, data);
        self.outputs.extend(event.map(Output::Event));
        while let Some(transmit) = machine.poll_transmit() {
            self.outputs
                .push_back(Output::Datagram { socket, transmit });
        }
    }

    fn handle_datagram_failed(
        &mut self,
        now: Instant,
        send: Option<SendId>,
        remote: SocketAddr,
        kind: ErrorKind,
    ) {
        if let Some(send) = send {
            let event = self.router.handle_datagram_failed(now, send, remote, kind);
            self.outputs.extend(event.map(Output::Event));
        }
    }

    fn handle_accepted(
        &mut self,
        now: Instant,
        channel: ChannelId,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Result<ConnectionId, AcceptError> {
        self.tasks.push(Task::Router);
        let filter = self.router.accept_filter(channel);
        if filter.is_some_and(|filter| !filter.allows(local, remote)) {
            return Err(AcceptError::Filtered);
        }
        let machine = self.router.accept(now, channel, local, remote)?;
        let id = machine.id();
        self.connections.insert(id, machine);
        self.touched.insert(id);
        Ok(id)
    }

    fn handle_connected(&mut self, now: Instant, id: ConnectionId, local: SocketAddr) {
        self.with(id, |machine| machine.handle_connected(now, local));
    }

    fn handle_error(&mut self, id: ConnectionId, kind: ErrorKind) {
        self.with(id, |machine| machine.handle_error(kind));
    }

    fn handle_data(&mut self, now: Instant, id: ConnectionId, data: &[u8]) -> usize {
        self.with(id, |machine| machine.handle_data(now, data))
            .unwrap_or(0)
    }

    fn handle_eof(&mut self, id: ConnectionId) {
        self.with(id, Connection::handle_eof);
    }

    fn handle_written(&mut self, now: Instant, id: ConnectionId, n: usize) {
        self.with(id, |machine| machine.handle_written(now, n));
    }

    fn handle_bound(
        &mut self,
        now: Instant,
        channel: ChannelId,
        result: Result<SocketAddr, ErrorKind>,
    ) {
        self.router.handle_bound(now, channel, result);
        self.add_socket(channel.socket(0));
        self.tasks.push(Task::Router);
    }

    fn handle_lookup(&mut self, now: Instant, id: LookupId, answer: Answer) {
        self.router.handle_lookup(now, id, answer);
        self.tasks.push(Task::Router);
    }

    fn handle_local_address(
        &mut self,
        now: Instant,
        query: QueryId,
        result: Result<IpAddr, ErrorKind>,
    ) {
        self.router.handle_local_address(now, query, result);
        self.tasks.push(Task::Router);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.router.handle_timeout(now);
        self.tasks.push(Task::Router);
        for (&id, machine) in &mut self.connections {
            if machine.poll_timeout().is_some_and(|(at, _)| at <= now) {
                machine.handle_timeout(now);
                self.touched.insert(id);
            }
        }
    }

    fn poll_output(&mut self, now: Instant) -> Output {
        loop {
            if let Some(output) = self.outputs.pop_front() {
                return output;
            }
            if self.asleep.is_some_and(|until| until > now) || !self.step(now) {
                break;
            }
            self.asleep = None;
            if self.die(8) == 0 && !(self.tasks.is_empty() && self.touched.is_empty()) {
                let nap = Duration::from_micros(self.die(20_000) as u64);
                self.asleep = Some(now + nap);
            }
        }
        let asleep = self.asleep.filter(|until| *until > now);
        let connections = self
            .connections
            .values()
            .filter_map(Connection::poll_timeout)
            .filter(|(at, _)| *at > now || asleep.is_none());
        let asleep = asleep.map(|until| (until, Deadline::Query));
        let deadlines = connections.chain(self.router.poll_timeout());
        Output::Timeout(deadlines.chain(asleep).min())
    }
}
