//! What all tasks and handles of one transport share.

use std::collections::BTreeMap;
use std::io;
use std::iter;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Instant;

use atomic_waker::AtomicWaker;
use futures_channel::oneshot;
use sip_transport_proto::error::{
    AttemptCause, CloseReason, NextError, SendCause, SendError, SendFailure,
};
use sip_transport_proto::{
    ChannelConfig, ChannelId, Connection, ConnectionId, DatagramSocket, Event, Outgoing, Pushed,
    QueryId, Route, Routed, Router, RouterOutput, SendId, Sent, SocketId, Way,
};

use crate::drive;
use crate::link::Link;
use crate::queue::Queue;
use crate::socket::Socket;
use crate::sync::{lock, read, write};
use crate::{Datagrams, Runtime, SocketOptions};

/// A runtime and the queue of the application that runs beside it.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) runtime: Arc<dyn Runtime>,
    pub(crate) queue: Arc<Queue>,
}

/// What the router asked for, to be done once its lock is free.
#[derive(Debug)]
#[must_use = "the router counts on it"]
pub(crate) struct Asked(Vec<RouterOutput>);

/// What a send fails of whose connection closed before it could be queued there.
pub(crate) const CLOSED: AttemptCause = AttemptCause::Closed(CloseReason::Peer);

/// What became of a send.
#[derive(Debug)]
// Boxing the common case would cost an allocation for each message.
#[allow(clippy::large_enum_variant)]
pub(crate) enum Submitted {
    Sent(Sent),
    Waiting(oneshot::Receiver<Result<Sent, SendError>>),
}

#[derive(Debug)]
enum Waiter {
    Waiting(oneshot::Sender<Result<Sent, SendError>>),
    /// It ended before its sender had begun to wait.
    Ended(Box<Result<Sent, SendError>>),
}

#[derive(Debug)]
pub(crate) struct Core {
    router: Mutex<Router>,
    pub(crate) workers: Vec<Worker>,
    sockets: RwLock<BTreeMap<SocketId, Arc<Socket>>>,
    links: RwLock<BTreeMap<ConnectionId, Arc<Link>>>,
    listeners: Mutex<BTreeMap<ChannelId, Arc<AtomicWaker>>>,
    lookups: Mutex<BTreeMap<QueryId, Arc<AtomicWaker>>>,
    waiters: Mutex<BTreeMap<SendId, Waiter>>,
    pub(crate) router_task: AtomicWaker,
    pub(crate) datagram_queue: usize,
    pub(crate) socket_options: SocketOptions,
    stopping: AtomicBool,
    tasks: AtomicUsize,
    pub(crate) idle: AtomicWaker,
}

impl Core {
    pub(crate) fn new(
        router: Router,
        workers: Vec<Worker>,
        datagram_queue: usize,
        socket_options: SocketOptions,
    ) -> Self {
        Self {
            router: Mutex::new(router),
            workers,
            sockets: RwLock::default(),
            links: RwLock::default(),
            listeners: Mutex::default(),
            lookups: Mutex::default(),
            waiters: Mutex::default(),
            router_task: AtomicWaker::new(),
            datagram_queue,
            socket_options,
            stopping: AtomicBool::new(false),
            tasks: AtomicUsize::new(0),
            idle: AtomicWaker::new(),
        }
    }

    pub(crate) fn now(&self) -> Instant {
        self.workers
            .first()
            .map_or_else(Instant::now, |worker| worker.runtime.now())
    }

    /// The router, for a moment, for what it knows: nothing that makes it ask for something.
    pub(crate) fn with_router<T>(&self, call: impl FnOnce(&mut Router) -> T) -> T {
        call(&mut lock(&self.router))
    }

    /// The router, for a moment: routing only. What it asks for is to be [`run`](Self::run) by the
    /// caller and nobody else, so that a message is with its connection before that can fail. New
    /// connections are in the index before any other sender can be routed to them.
    pub(crate) fn ask<T>(&self, call: impl FnOnce(&mut Router) -> T) -> (T, Asked) {
        let mut router = lock(&self.router);
        let result = call(&mut router);
        while let Some(machine) = router.take_machine() {
            self.adopt(machine);
        }
        let outputs = iter::from_fn(|| router.poll_output()).collect();
        (result, Asked(outputs))
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// How many tasks live.
    pub(crate) fn tasks(&self) -> usize {
        self.tasks.load(Ordering::Acquire)
    }

    /// Begins the end: connections close, sockets send what is queued, tasks end.
    pub(crate) fn stop(self: &Arc<Self>) {
        if self.stopping.swap(true, Ordering::AcqRel) {
            return;
        }
        let ((), asked) = self.ask(Router::shutdown);
        self.run(asked);
        self.router_task.wake();
        read(&self.sockets)
            .values()
            .for_each(|socket| socket.task.wake());
        lock(&self.listeners)
            .values()
            .for_each(|listener| listener.wake());
        lock(&self.lookups)
            .values()
            .for_each(|lookup| lookup.wake());
    }

    /// The last task has ended: nothing more will come.
    fn ended(&self) {
        for worker in &self.workers {
            worker.queue.close();
        }
        self.idle.wake();
    }

    /// Runs a task on a worker's runtime, and counts it.
    pub(crate) fn spawn(
        self: &Arc<Self>,
        worker: usize,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let Some(worker) = self.workers.get(worker) else {
            return;
        };
        self.tasks.fetch_add(1, Ordering::AcqRel);
        let counted = Counted(Arc::clone(self));
        worker.runtime.spawn(Box::pin(async move {
            let _counted = counted;
            task.await;
        }));
    }

    // Channels.

    /// Binds a channel's sockets, makes it known and starts its tasks. An error names the address.
    pub(crate) fn add_channel(self: &Arc<Self>, config: ChannelConfig) -> io::Result<ChannelId> {
        let name = format!("{}:{}", config.protocol(), config.local());
        self.bind_channel(config)
            .map_err(|error| io::Error::new(error.kind(), format!("{name}: {error}")))
    }

    fn bind_channel(self: &Arc<Self>, config: ChannelConfig) -> io::Result<ChannelId> {
        let local = config.local();
        let mut options = self.socket_options.clone();
        options.dual_stack = config.is_dual_stack();
        if config.protocol().is_stream() {
            let worker = self.worker(0)?;
            let listener = worker.runtime.listen(local, &options)?;
            let id =
                self.with_router(|router| router.add_channel(config.at(listener.local_addr())));
            let id = id.map_err(io::Error::other)?;
            let wake = Arc::new(AtomicWaker::new());
            lock(&self.listeners).insert(id, Arc::clone(&wake));
            self.spawn(0, drive::accept(Arc::clone(self), id, listener, wake));
            return Ok(id);
        }
        options.reuse_port = self.workers.len() > 1;
        let mut bound = local;
        let mut sockets = Vec::new();
        for worker in &self.workers {
            let socket = worker.runtime.bind_datagrams(bound, &options)?;
            // Port 0 is chosen once, for all workers.
            bound = socket.local_addr();
            sockets.push(socket);
        }
        let count = u16::try_from(sockets.len()).unwrap_or(u16::MAX);
        let config = config.at(bound).sockets(count);
        let id = self
            .with_router(|router| router.add_channel(config))
            .map_err(io::Error::other)?;
        for (worker, socket) in sockets.into_iter().enumerate().take(usize::from(count)) {
            let index = u16::try_from(worker).unwrap_or_default();
            self.add_socket(id.socket(index), socket, worker);
        }
        Ok(id)
    }

    fn add_socket(self: &Arc<Self>, id: SocketId, io: Box<dyn Datagrams>, worker: usize) {
        if let Some(machine) = self.with_router(|router| router.datagram_socket(id)) {
            let (socket, machine) = self.keep_socket(id, machine, io, worker);
            self.spawn(worker, drive::datagrams(Arc::clone(self), socket, machine));
        }
    }

    fn keep_socket(
        &self,
        id: SocketId,
        machine: DatagramSocket,
        io: Box<dyn Datagrams>,
        worker: usize,
    ) -> (Arc<Socket>, DatagramSocket) {
        let socket = Arc::new(Socket::new(id, io, worker, self.datagram_queue));
        write(&self.sockets).insert(id, Arc::clone(&socket));
        (socket, machine)
    }

    pub(crate) fn remove_channel(self: &Arc<Self>, id: ChannelId) -> io::Result<()> {
        let now = self.now();
        let (removed, asked) = self.ask(|router| router.remove_channel(now, id));
        removed.map_err(io::Error::other)?;
        if let Some(listener) = lock(&self.listeners).remove(&id) {
            listener.wake();
        }
        let mut gone = Vec::new();
        write(&self.sockets).retain(|socket_id, socket| {
            let keep = socket_id.channel != id;
            if !keep {
                gone.push(Arc::clone(socket));
            }
            keep
        });
        gone.iter().for_each(|socket| socket.task.wake());
        self.run(asked);
        Ok(())
    }

    /// A socket's task has ended.
    pub(crate) fn forget_socket(&self, id: SocketId) {
        drop(write(&self.sockets).remove(&id));
    }

    pub(crate) fn has_socket(&self, id: SocketId) -> bool {
        read(&self.sockets).contains_key(&id)
    }

    pub(crate) fn has_listener(&self, id: ChannelId) -> bool {
        lock(&self.listeners).contains_key(&id)
    }

    fn worker(&self, index: usize) -> io::Result<&Worker> {
        self.workers
            .get(index)
            .ok_or_else(|| io::Error::other("there is no worker"))
    }

    // Connections.

    /// Takes a machine into the index; its task is to be started.
    pub(crate) fn adopt(&self, machine: Connection) -> Arc<Link> {
        let id = machine.id();
        let link = Arc::new(Link::new(machine, id.shard(self.workers.len())));
        write(&self.links).insert(id, Arc::clone(&link));
        link
    }

    pub(crate) fn forget_link(self: &Arc<Self>, id: ConnectionId) {
        write(&self.links).remove(&id);
        self.with_router(|router| router.handle_closed(id));
    }

    fn link(&self, id: ConnectionId) -> Option<Arc<Link>> {
        read(&self.links).get(&id).cloned()
    }

    pub(crate) fn close(self: &Arc<Self>, id: ConnectionId) -> bool {
        let (known, asked) = self.ask(|router| router.close(id));
        self.run(asked);
        known
    }

    // Sending.

    /// Sends a message as far as that goes without waiting.
    pub(crate) fn submit(
        self: &Arc<Self>,
        outgoing: Box<Outgoing>,
    ) -> Result<Submitted, SendError> {
        let now = self.now();
        let (routed, asked) = self.ask(|router| router.send(now, outgoing));
        let carried = self.carry_on(now, routed);
        self.run(asked);
        match carried? {
            Ok(sent) => Ok(Submitted::Sent(sent)),
            Err(send) => self.wait_for(send),
        }
    }

    fn wait_for(&self, send: SendId) -> Result<Submitted, SendError> {
        let mut waiters = lock(&self.waiters);
        if let Some(Waiter::Ended(result)) = waiters.remove(&send) {
            return result.map(Submitted::Sent);
        }
        let (sender, receiver) = oneshot::channel();
        waiters.insert(send, Waiter::Waiting(sender));
        Ok(Submitted::Waiting(receiver))
    }

    pub(crate) fn complete(&self, send: SendId, result: Result<Sent, SendError>) {
        let mut waiters = lock(&self.waiters);
        match waiters.remove(&send) {
            Some(Waiter::Waiting(sender)) => {
                drop(waiters);
                // Nobody waits any more: dropping the future does not cancel the send.
                drop(sender.send(result));
            }
            _ => drop(waiters.insert(send, Waiter::Ended(Box::new(result)))),
        }
    }

    /// Takes a routed message as far as it goes: sent, or waiting under its id.
    fn carry_on(
        self: &Arc<Self>,
        now: Instant,
        routed: Result<Routed, SendError>,
    ) -> Result<Result<Sent, SendId>, SendError> {
        let mut asked = Asked(Vec::new());
        let result = self.try_targets(now, routed, &mut asked);
        self.run(asked);
        result
    }

    fn try_targets(
        &self,
        now: Instant,
        mut routed: Result<Routed, SendError>,
        asked: &mut Asked,
    ) -> Result<Result<Sent, SendId>, SendError> {
        loop {
            let (route, outgoing) = match routed? {
                Routed::Waiting(id) => return Ok(Err(id)),
                Routed::Ready(route, outgoing) => (route, outgoing),
            };
            let Way::Connection(id) = route.way() else {
                return match self.give(now, &route, outgoing) {
                    Ok(sent) => Ok(Ok(sent)),
                    Err((cause, outgoing)) => Err(route.failed(cause, outgoing)),
                };
            };
            let send = outgoing.id();
            let pushed = match self.link(id) {
                Some(link) => lock(&link.machine).push(route, outgoing),
                None => Pushed::Returned(outgoing, CLOSED),
            };
            let (outgoing, cause) = match pushed {
                Pushed::Waiting => return Ok(Err(send)),
                Pushed::Returned(outgoing, cause) => (outgoing, cause),
                Pushed::Ready(route, outgoing) => match self.give(now, &route, outgoing) {
                    Ok(sent) => return Ok(Ok(sent)),
                    // It closed while the message was rendered.
                    Err((SendCause::ConnectionClosed, outgoing)) => (outgoing, CLOSED),
                    Err((cause, outgoing)) => return Err(route.failed(cause, outgoing)),
                },
            };
            let (next, more) = self.ask(|router| router.retry(now, outgoing, cause));
            asked.0.extend(more.0);
            routed = next;
        }
    }

    /// Renders a message, outside all locks, and queues it on its socket or connection. If that
    /// fails, the message comes back with the cause.
    pub(crate) fn give(
        &self,
        now: Instant,
        route: &Route,
        outgoing: Box<Outgoing>,
    ) -> Result<Sent, (SendCause, Box<Outgoing>)> {
        let queued = route.render(now, &outgoing).and_then(|sent| {
            self.put(now, &sent)?;
            Ok(sent)
        });
        match queued {
            Ok(sent) => Ok(sent.keep(outgoing)),
            Err(cause) => Err((cause, outgoing)),
        }
    }

    /// Queues the bytes of a message on the way that it takes.
    fn put(&self, now: Instant, sent: &Sent) -> Result<(), SendCause> {
        match sent.way() {
            Way::Datagram { socket, source } => match read(&self.sockets).get(&socket) {
                None => Err(SendCause::ChannelRemoved),
                Some(socket) => socket
                    .queue(sent.remote().addr, source, sent.id().into(), sent.bytes())
                    .map_err(|full| SendCause::QueueFull { limit: full.limit }),
            },
            Way::Connection(id) => {
                let link = self.link(id).ok_or(SendCause::ConnectionClosed)?;
                let queued = lock(&link.machine).queue(now, sent.bytes(), sent.id());
                link.task.wake();
                queued
            }
        }
    }

    /// Sends the same bytes once more.
    pub(crate) fn resend(&self, sent: &Sent) -> Result<(), SendCause> {
        self.with_router(|router| router.check_way(sent))?;
        self.put(self.now(), sent)
    }

    /// Sends a message on to its next target.
    pub(crate) fn try_next(self: &Arc<Self>, sent: Sent) -> Result<Submitted, NextError> {
        let now = self.now();
        let (routed, asked) = self.ask(|router| router.try_next(now, sent));
        let carried = routed.map(|routed| self.carry_on(now, Ok(routed)));
        self.run(asked);
        match carried?? {
            Ok(sent) => Ok(Submitted::Sent(sent)),
            Err(send) => Ok(self.wait_for(send)?),
        }
    }

    /// A send comes back from a connection: on to the next target.
    pub(crate) fn retry(
        self: &Arc<Self>,
        now: Instant,
        outgoing: Box<Outgoing>,
        cause: AttemptCause,
    ) {
        let send = outgoing.id();
        let (routed, asked) = self.ask(|router| router.retry(now, outgoing, cause));
        self.carry_on_waiting(now, send, routed);
        self.run(asked);
    }

    fn carry_on_waiting(
        self: &Arc<Self>,
        now: Instant,
        send: SendId,
        routed: Result<Routed, SendError>,
    ) {
        match self.carry_on(now, routed) {
            Ok(Ok(sent)) => self.complete(send, Ok(sent)),
            Ok(Err(_)) => {}
            Err(error) => self.complete(send, Err(error)),
        }
    }

    // What the router asks for.

    /// Does what the router asked for.
    pub(crate) fn run(self: &Arc<Self>, Asked(outputs): Asked) {
        if outputs.is_empty() {
            return;
        }
        // Connections open last, once they have what is to be sent on them.
        let opens = |output: &RouterOutput| matches!(output, RouterOutput::Connect { .. });
        let (connects, others): (Vec<_>, Vec<_>) = outputs.into_iter().partition(opens);
        for output in others.into_iter().chain(connects) {
            self.run_output(output);
        }
        self.router_task.wake();
    }

    fn run_output(self: &Arc<Self>, output: RouterOutput) {
        let now = self.now();
        match output {
            RouterOutput::Connect {
                connection,
                remote,
                local,
            } => {
                let Some(link) = self.link(connection) else {
                    return;
                };
                let local = local.map(|ip| SocketAddr::new(ip, 0));
                let worker = link.worker;
                self.spawn(
                    worker,
                    drive::connect(Arc::clone(self), link, remote, local),
                );
            }
            RouterOutput::Close { connection, reason } => {
                if let Some(link) = self.link(connection) {
                    lock(&link.machine).close(now, reason);
                    link.task.wake();
                }
            }
            RouterOutput::Bind { channel, local } => {
                let mut options = self.socket_options.clone();
                options.dual_stack = false;
                let bound = self.workers.first().map(|worker| {
                    worker
                        .runtime
                        .bind_datagrams(local, &options)
                        .map_err(|error| error.kind())
                });
                let bound = bound.unwrap_or(Err(io::ErrorKind::Unsupported));
                let local = bound
                    .as_ref()
                    .map(|socket| socket.local_addr())
                    .map_err(|kind| *kind);
                let id = channel.socket(0);
                let (socket, asked) = self.ask(|router| {
                    router.handle_bound(now, channel, local);
                    // Before the lock is free: sends that waited go out on it at once.
                    Some(self.keep_socket(id, router.datagram_socket(id)?, bound.ok()?, 0))
                });
                self.run(asked);
                if let Some((socket, machine)) = socket {
                    self.spawn(0, drive::datagrams(Arc::clone(self), socket, machine));
                }
            }
            RouterOutput::Lookup { query, name } => {
                let Some(worker) = self.workers.first() else {
                    return;
                };
                let answer = worker.runtime.lookup(name);
                let wake = Arc::new(AtomicWaker::new());
                lock(&self.lookups).insert(query, Arc::clone(&wake));
                self.spawn(0, drive::lookup(Arc::clone(self), query, answer, wake));
            }
            RouterOutput::LocalAddress { query, remote } => {
                let Some(worker) = self.workers.first() else {
                    return;
                };
                let local = worker
                    .runtime
                    .local_address(remote)
                    .map_err(|error| error.kind());
                let ((), asked) = self.ask(|router| router.handle_local_address(now, query, local));
                self.run(asked);
            }
            RouterOutput::Routed(route, outgoing) => {
                let send = outgoing.id();
                self.carry_on_waiting(now, send, Ok(Routed::Ready(route, outgoing)));
            }
            RouterOutput::Failed(error) => self.complete(error.send(), Err(error)),
            _ => {}
        }
    }

    /// Takes the answer to a lookup.
    pub(crate) fn answered(self: &Arc<Self>, query: QueryId, answer: io::Result<Vec<IpAddr>>) {
        lock(&self.lookups).remove(&query);
        let result = answer.map_err(|error| error.kind());
        let (now, ips) = (self.now(), result.as_deref().map_err(|kind| *kind));
        let ((), asked) = self.ask(|router| router.handle_lookup(now, query, ips));
        self.run(asked);
    }

    /// Reports a datagram that did not get away.
    pub(crate) fn report(&self, worker: usize, send: SendId, cause: SendFailure) {
        if let Some(worker) = self.workers.get(worker) {
            worker
                .queue
                .push(&mut vec![Event::SendFailed { send, cause }]);
        }
    }
}

/// Counts a task for as long as it lives.
struct Counted(Arc<Core>);

impl Drop for Counted {
    fn drop(&mut self) {
        if self.0.tasks.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.ended();
        }
    }
}
