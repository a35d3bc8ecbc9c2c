//! The state shared by all tasks and handles of one transport.

pub(crate) mod alarm;
mod channels;
pub(crate) mod connection;
pub(crate) mod follower;
pub(crate) mod outcome;
mod outputs;
pub(crate) mod owner;
pub(crate) mod queue;
mod sending;
pub(crate) mod socket;
mod stats;
pub(crate) mod tasks;

use std::collections::{BTreeMap, VecDeque};
use std::iter;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Instant;

use atomic_waker::AtomicWaker;
use futures_channel::oneshot;
use sip_transport_proto::error::{CloseReason, SendCause, SendError};
use sip_transport_proto::parts::{Connection, Notice, Router, RouterOutput, SendIds};
use sip_transport_proto::resolve::{Answer, LookupId, Target};
use sip_transport_proto::{
    ChannelId, ConnectionId, ConnectionInfo, Keep, KeepError, QueryId, SendId, Sent, SipEndpoint,
    SocketId,
};

use crate::hub::connection::SharedConnection;
use crate::hub::follower::Follower;
use crate::hub::queue::Queue;
use crate::hub::socket::SharedSocket;
use crate::runtime::{Resolve, Runtime, SocketOptions};
use crate::sync::{lock, read, write};

/// A runtime, and the queue of the application that runs on it.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) runtime: Arc<dyn Runtime>,
    pub(crate) queue: Arc<Queue>,
}

/// The outputs of the router, to be run once its lock is released.
#[derive(Debug)]
#[must_use = "the router relies on it"]
pub(crate) struct RouterOutputs(Vec<RouterOutput>);

/// The result of a plan.
pub(crate) type PlanResult = Result<Vec<Target>, SendCause>;

#[derive(Debug)]
enum Waiter {
    Waiting(oneshot::Sender<Result<Sent, SendError>>),
    /// The outcome is reported to the application as an event.
    Started,
    /// It ended before its sender had started to wait.
    Ended(Box<Result<Sent, SendError>>),
}

/// The answers to lookups, for the router.
#[derive(Debug, Default)]
struct Answers {
    waiting: VecDeque<(LookupId, Answer)>,
    /// True while a thread passes them to it.
    busy: bool,
}

#[derive(Debug)]
pub(crate) struct Hub {
    router: Mutex<Router>,
    send_ids: SendIds,
    /// Returns true if the current thread runs inside a runtime of the same kind.
    is_inside: fn() -> bool,
    pub(crate) workers: Vec<Worker>,
    resolver: Arc<dyn Resolve>,
    sockets: RwLock<BTreeMap<SocketId, Arc<SharedSocket>>>,
    connections: RwLock<BTreeMap<ConnectionId, Arc<SharedConnection>>>,
    listeners: Mutex<BTreeMap<ChannelId, Arc<AtomicWaker>>>,
    lookups: Mutex<BTreeMap<LookupId, Arc<AtomicWaker>>>,
    answers: Mutex<Answers>,
    plans: Mutex<BTreeMap<QueryId, oneshot::Sender<PlanResult>>>,
    waiters: Mutex<BTreeMap<SendId, Waiter>>,
    pub(crate) router_waker: AtomicWaker,
    pub(crate) datagram_queue: usize,
    pub(crate) socket_options: SocketOptions,
    stopping: AtomicBool,
    tasks: AtomicUsize,
    pub(crate) idle: AtomicWaker,
    pub(crate) followers: Vec<Arc<dyn Follower>>,
}

impl Hub {
    pub(crate) fn new(
        router: Router,
        is_inside: fn() -> bool,
        workers: Vec<Worker>,
        resolver: Arc<dyn Resolve>,
        datagram_queue: usize,
        socket_options: SocketOptions,
        followers: Vec<Arc<dyn Follower>>,
    ) -> Self {
        Self {
            send_ids: router.send_ids(),
            is_inside,
            router: Mutex::new(router),
            workers,
            sockets: RwLock::default(),
            connections: RwLock::default(),
            listeners: Mutex::default(),
            lookups: Mutex::default(),
            answers: Mutex::default(),
            plans: Mutex::default(),
            resolver,
            waiters: Mutex::default(),
            router_waker: AtomicWaker::new(),
            datagram_queue,
            socket_options,
            stopping: AtomicBool::new(false),
            tasks: AtomicUsize::new(0),
            idle: AtomicWaker::new(),
            followers,
        }
    }

    pub(crate) fn now(&self) -> Instant {
        self.workers
            .first()
            .map_or_else(Instant::now, |worker| worker.runtime.now())
    }

    /// Locks the router briefly, for calls that produce no output.
    pub(crate) fn with_router<T>(&self, call: impl FnOnce(&mut Router) -> T) -> T {
        call(&mut lock(&self.router))
    }

    /// Locks the router briefly, for routing only. The caller [`run`](Self::run)s the outputs once
    /// it has handed its message to the connection: earlier, that could fail before the message is
    /// there. New connections are in the index before any other sender can be routed to them.
    pub(crate) fn call_router<T>(&self, call: impl FnOnce(&mut Router) -> T) -> (T, RouterOutputs) {
        let mut router = lock(&self.router);
        let result = call(&mut router);
        while let Some(machine) = router.take_machine() {
            self.insert_connection(machine);
        }
        let outputs: Vec<_> = iter::from_fn(|| router.poll_output()).collect();
        for output in &outputs {
            // Entered under the lock: another thread may run its `CancelLookup` before this output.
            if let RouterOutput::Lookup { id, .. } = output {
                lock(&self.lookups).insert(*id, Arc::default());
            }
        }
        (result, RouterOutputs(outputs))
    }

    pub(crate) fn is_inside_runtime(&self) -> bool {
        (self.is_inside)()
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// The number of live tasks.
    pub(crate) fn tasks(&self) -> usize {
        self.tasks.load(Ordering::Acquire)
    }

    /// Starts the shutdown: connections close, sockets send what is queued, tasks end.
    pub(crate) fn stop(self: &Arc<Self>) {
        if self.stopping.swap(true, Ordering::AcqRel) {
            return;
        }
        let ((), outputs) = self.call_router(Router::shutdown);
        self.run(outputs);
        self.router_waker.wake();
        read(&self.sockets)
            .values()
            .for_each(|socket| socket.waker.wake());
        lock(&self.listeners)
            .values()
            .for_each(|listener| listener.wake());
        lock(&self.lookups)
            .values()
            .for_each(|lookup| lookup.wake());
    }

    /// Handles the end of the last task: nothing more will follow.
    fn ended(&self) {
        for worker in &self.workers {
            worker.queue.close();
        }
        self.followers.iter().for_each(|follower| follower.end());
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
        let counted = TaskCount(Arc::clone(self));
        worker.runtime.spawn(Box::pin(async move {
            let _counted = counted;
            task.await;
        }));
    }

    /// Adds a state machine to the index; its task is to be started.
    pub(crate) fn insert_connection(&self, machine: Connection) -> Arc<SharedConnection> {
        let id = machine.id();
        let connection = Arc::new(SharedConnection::new(machine, id.shard(self.workers.len())));
        write(&self.connections).insert(id, Arc::clone(&connection));
        connection
    }

    /// Removes a connection whose task ends, whatever the state of its state machine, and notifies
    /// the router.
    fn abandon_connection(self: &Arc<Self>, id: ConnectionId, reason: CloseReason) {
        self.remove_connection(id);
        self.notify(id, Notice::closed(reason));
    }

    /// Removes a connection, so that nothing more is given to it.
    fn remove_connection(&self, id: ConnectionId) {
        write(&self.connections).remove(&id);
    }

    /// Passes a connection's notice on to the router.
    fn notify(self: &Arc<Self>, id: ConnectionId, notice: Notice) {
        let now = self.now();
        let ((), outputs) = self.call_router(|router| router.handle_notice(now, id, notice));
        self.run(outputs);
    }

    fn connection(&self, id: ConnectionId) -> Option<Arc<SharedConnection>> {
        read(&self.connections).get(&id).cloned()
    }

    /// Fills in the fields that the connection's state machine knows, and the router does not.
    pub(crate) fn fill_in(&self, info: &mut ConnectionInfo) {
        if let Some(connection) = self.connection(info.id) {
            lock(&connection.machine).fill_in(info);
        }
    }

    pub(crate) fn keep(
        self: &Arc<Self>,
        remote: &SipEndpoint,
        keep: Keep,
    ) -> Result<(), KeepError> {
        let now = self.now();
        let (result, outputs) = self.call_router(|router| router.keep(now, remote, keep));
        self.run(outputs);
        result
    }

    pub(crate) fn stop_keeping(self: &Arc<Self>, remote: &SipEndpoint) -> bool {
        let (known, outputs) = self.call_router(|router| router.stop_keeping(remote));
        self.run(outputs);
        known
    }

    pub(crate) fn close(self: &Arc<Self>, id: ConnectionId) -> bool {
        let (known, outputs) = self.call_router(|router| router.close(id));
        self.run(outputs);
        known
    }
}

/// A guard that counts a task for as long as it lives.
struct TaskCount(Arc<Hub>);

impl Drop for TaskCount {
    fn drop(&mut self) {
        if self.0.tasks.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.ended();
        }
    }
}
