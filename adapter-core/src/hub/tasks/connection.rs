//! The task of a connection.

use std::cell::RefCell;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::{io, thread};

use sip_transport_proto::error::CloseReason;
use sip_transport_proto::parts::ConnectionEvent;
use sip_transport_proto::trace::CONNECTION;
use sip_transport_proto::{ConnectionId, Event};
use tracing::debug;

use crate::hub::alarm::Alarm;
use crate::hub::connection::SharedConnection;
use crate::hub::{Hub, Worker};
use crate::runtime::{Stream, sys};
use crate::sync::lock;

/// The number of bytes read at once.
const READ: usize = 32 * 1024;
/// The rounds in one turn, before other tasks run.
const ROUNDS: usize = 8;
/// The messages passed to the application at once.
const BATCH: usize = 64;

thread_local! {
    /// The buffer between socket and state machine: no connection keeps one of its own.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; READ]);
}

/// Opens a connection and runs it.
pub(crate) fn connect(
    hub: Arc<Hub>,
    connection: Arc<SharedConnection>,
    remote: SocketAddr,
    local: Option<SocketAddr>,
) -> impl Future<Output = ()> + Send {
    let mut task = ConnectionTask::new(hub, connection);
    async move {
        let stream = task.connect(remote, local).await;
        task.run(stream).await;
    }
}

/// Runs an open connection to its end.
pub(crate) fn run(
    hub: Arc<Hub>,
    connection: Arc<SharedConnection>,
    stream: Box<dyn Stream>,
) -> impl Future<Output = ()> + Send {
    let mut task = ConnectionTask::new(hub, connection);
    async move { task.run(Some(stream)).await }
}

/// The task of a connection.
struct ConnectionTask {
    hub: Arc<Hub>,
    connection: Arc<SharedConnection>,
    id: ConnectionId,
    alarm: Alarm,
    events: Vec<Event>,
    last_batch: usize,
    paused: bool,
}

impl Drop for ConnectionTask {
    /// However the task ends, even if its runtime drops it: the connection is closed, and the sends
    /// that wait on it continue.
    fn drop(&mut self) {
        if !thread::panicking() {
            lock(&self.connection.machine).handle_error(io::ErrorKind::Interrupted);
            self.pump_final_events();
        }
        let interrupted = CloseReason::Io(io::ErrorKind::Interrupted);
        self.hub.abandon_connection(self.id, interrupted);
    }
}

/// The outcome of a round.
enum Round {
    /// Progress was made: there may be more to do.
    More,
    Wait,
    Closed,
}

impl ConnectionTask {
    fn new(hub: Arc<Hub>, connection: Arc<SharedConnection>) -> Self {
        let id = lock(&connection.machine).id();
        Self {
            hub,
            connection,
            id,
            alarm: Alarm::default(),
            events: Vec::new(),
            last_batch: 1,
            paused: false,
        }
    }

    /// Connects. `None` if that failed, or the connection was closed meanwhile.
    async fn connect(
        &mut self,
        remote: SocketAddr,
        local: Option<SocketAddr>,
    ) -> Option<Box<dyn Stream>> {
        let hub = Arc::clone(&self.hub);
        let worker = hub.workers.get(self.connection.worker)?;
        let mut opening = worker.runtime.connect(remote, local);
        let stream = poll_fn(|cx| {
            self.connection.waker.register(cx.waker());
            match opening.as_mut().poll(cx) {
                Poll::Ready(Ok(stream)) => Poll::Ready(Some(stream)),
                Poll::Ready(Err(error)) => {
                    debug!(target: CONNECTION, %remote, %error, "cannot connect");
                    let mut machine = lock(&self.connection.machine);
                    match sys::local_fault(&error) {
                        Some(fault) => machine.handle_local_fault(fault),
                        None => machine.handle_error(error.kind()),
                    }
                    Poll::Ready(None)
                }
                Poll::Pending => loop {
                    if self.poll_deadline(cx, worker).is_pending() {
                        return Poll::Pending;
                    }
                    if lock(&self.connection.machine).is_closed() {
                        return Poll::Ready(None);
                    }
                    // Sends whose wait has ended.
                    self.pump_events(cx, worker);
                },
            }
        })
        .await?;
        lock(&self.connection.machine).handle_connected(hub.now(), stream.local_addr());
        Some(stream)
    }

    async fn run(&mut self, stream: Option<Box<dyn Stream>>) {
        let hub = Arc::clone(&self.hub);
        let Some(worker) = hub.workers.get(self.connection.worker) else {
            return;
        };
        poll_fn(|cx| self.turn(cx, worker, stream.as_deref())).await;
        if let Some(stream) = stream {
            // The peer may have closed already.
            drop(stream.shutdown());
        }
    }

    fn turn(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
        stream: Option<&dyn Stream>,
    ) -> Poll<()> {
        self.connection.waker.register(cx.waker());
        for _ in 0..ROUNDS {
            self.pump_events(cx, worker);
            let round = match stream {
                Some(stream) => self.read_and_write(cx, stream),
                None if lock(&self.connection.machine).is_closed() => Round::Closed,
                None => Round::Wait,
            };
            match round {
                Round::More => {}
                Round::Closed => {
                    self.pump_events(cx, worker);
                    return Poll::Ready(());
                }
                Round::Wait => {
                    if self.poll_deadline(cx, worker).is_pending() {
                        return Poll::Pending;
                    }
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Handles a deadline that is due. Ready if something has changed.
    fn poll_deadline(&mut self, cx: &mut Context<'_>, worker: &Worker) -> Poll<()> {
        let mut machine = lock(&self.connection.machine);
        if machine.is_closed() {
            return Poll::Ready(());
        }
        let deadline = machine.poll_timeout().map(|(at, _)| at);
        if self.alarm.poll(cx, &*worker.runtime, deadline).is_pending() {
            return Poll::Pending;
        }
        machine.handle_timeout(worker.runtime.now());
        Poll::Ready(())
    }

    /// Takes the state machine's events: messages to the application while it has room.
    fn pump_events(&mut self, cx: &Context<'_>, worker: &Worker) {
        loop {
            let mut room = match worker.queue.poll_room(cx) {
                Poll::Ready(room) => Some(room),
                Poll::Pending => None,
            };
            let now = worker.runtime.now();
            let mut machine = lock(&self.connection.machine);
            if room.is_some() == self.paused {
                self.paused = room.is_none();
                if self.paused {
                    machine.pause(now)
                } else {
                    machine.resume(now)
                }
            }
            let mut other = None;
            let mut full = false;
            while !full {
                let event = match room {
                    Some(_) => machine.poll_event(now),
                    None => machine.poll_control(now),
                };
                match event {
                    Some(ConnectionEvent::Event(event)) => {
                        room = room.and_then(|room| room.after(&event));
                        if self.events.is_empty() {
                            // This batch will be about as long as the last.
                            self.events.reserve(self.last_batch);
                        }
                        self.events.push(event);
                        full = self.events.len() == BATCH || (room.is_none() && !self.paused);
                    }
                    Some(event) => {
                        other = Some(event);
                        break;
                    }
                    None => break,
                }
            }
            drop(machine);
            if !self.events.is_empty() {
                self.last_batch = self.events.len();
                worker.queue.push(&mut self.events);
            }
            match other {
                Some(event) => self.handle_event(event),
                None if full => {}
                None => return,
            }
        }
    }

    /// Takes the last events after the end.
    fn pump_final_events(&mut self) {
        loop {
            let event = lock(&self.connection.machine).poll_control(self.hub.now());
            match event {
                Some(ConnectionEvent::Event(event)) => self.events.push(event),
                Some(event) => self.handle_event(event),
                None => break,
            }
        }
        if let Some(worker) = self.hub.workers.get(self.connection.worker) {
            worker.queue.push(&mut self.events);
        }
    }

    /// Handles an event that is not for the application.
    fn handle_event(&self, event: ConnectionEvent) {
        let (hub, id) = (&self.hub, self.id);
        match event {
            ConnectionEvent::Event(event) => hub.deliver(self.connection.worker, event),
            ConnectionEvent::Notice(notice) => hub.notify(id, notice),
            ConnectionEvent::Call(call) => {
                if let Some(answer) = call.run() {
                    lock(&self.connection.machine).handle_command(hub.now(), answer);
                }
            }
            ConnectionEvent::Ready(dispatch, outgoing) => {
                let now = hub.now();
                let attempt = hub.render_and_queue(now, &dispatch, outgoing);
                hub.resume_send(now, attempt);
            }
            ConnectionEvent::Returned(returned) => hub.resume_send(hub.now(), Err(returned)),
            ConnectionEvent::Closed => hub.remove_connection(id),
        }
    }

    /// One write and one read.
    fn read_and_write(&self, cx: &mut Context<'_>, stream: &dyn Stream) -> Round {
        let wrote = self.write(cx, stream);
        let capacity = {
            let machine = lock(&self.connection.machine);
            if machine.is_closed() {
                return Round::Closed;
            }
            machine.recv_capacity().min(READ)
        };
        if capacity == 0 {
            return if wrote { Round::More } else { Round::Wait };
        }
        let read = SCRATCH.with_borrow_mut(|scratch| {
            let buffer = scratch.get_mut(..capacity).unwrap_or_default();
            match stream.poll_read(cx, buffer) {
                Poll::Pending => None,
                Poll::Ready(result) => {
                    let now = self.hub.now();
                    let mut machine = lock(&self.connection.machine);
                    match result {
                        Ok(0) => machine.handle_eof(),
                        Ok(n) => {
                            machine.handle_data(now, buffer.get(..n).unwrap_or_default());
                        }
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        Err(error) => machine.handle_error(error.kind()),
                    }
                    Some(())
                }
            }
        });
        if wrote || read.is_some() {
            Round::More
        } else {
            Round::Wait
        }
    }

    /// Writes as much as the socket accepts at once. Returns true if it accepted something.
    fn write(&self, cx: &mut Context<'_>, stream: &dyn Stream) -> bool {
        loop {
            let now = self.hub.now();
            let mut machine = lock(&self.connection.machine);
            let bytes = machine.transmit();
            if bytes.is_empty() {
                return false;
            }
            match stream.try_write(bytes) {
                Ok(n) => {
                    machine.handle_written(now, n);
                    return true;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    drop(machine);
                    match stream.poll_write_ready(cx) {
                        Poll::Pending => return false,
                        Poll::Ready(Ok(())) => {}
                        Poll::Ready(Err(error)) => {
                            lock(&self.connection.machine).handle_error(error.kind());
                            return true;
                        }
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    machine.handle_error(error.kind());
                    return true;
                }
            }
        }
    }
}
