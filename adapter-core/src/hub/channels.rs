//! The adding and removing of channels.

use std::io;
use std::sync::Arc;

use atomic_waker::AtomicWaker;
use sip_transport_proto::error::{ChannelError, ChannelFailure};
use sip_transport_proto::parts::DatagramSocket;
use sip_transport_proto::{ChannelConfig, ChannelId, SocketId};

use super::{Hub, Worker};
use crate::error::BindError;
use crate::hub::socket::SharedSocket;
use crate::hub::tasks;
use crate::runtime::Datagrams;
use crate::sync::{lock, read, write};

impl Hub {
    /// Binds a channel's sockets, registers it and starts its tasks.
    pub(crate) fn add_channel(
        self: &Arc<Self>,
        config: ChannelConfig,
    ) -> Result<ChannelId, BindError> {
        let (protocol, local) = (config.protocol(), config.local());
        let refused = |source| BindError::Io {
            protocol,
            addr: local,
            source,
        };
        let mut options = self.socket_options.clone();
        options.dual_stack = config.is_dual_stack();
        if protocol.is_stream() && !config.is_listener() {
            return Ok(self.with_router(|router| router.add_channel(config))?);
        }
        if protocol.is_stream() {
            let worker = self.worker(0).map_err(refused)?;
            let listener = worker.runtime.listen(local, &options).map_err(refused)?;
            let config = config.at(listener.local_addr());
            let id = self.with_router(|router| router.add_channel(config))?;
            let wake = Arc::new(AtomicWaker::new());
            lock(&self.listeners).insert(id, Arc::clone(&wake));
            self.spawn(0, tasks::accept(Arc::clone(self), id, listener, wake));
            return Ok(id);
        }
        options.reuse_port = self.workers.len() > 1;
        let mut bound = local;
        let mut sockets = Vec::new();
        // Every socket that joins a group receives a copy of what is sent to it: one is enough.
        options.groups = config.memberships().to_vec();
        for worker in &self.workers {
            let socket = worker.runtime.bind_datagrams(bound, &options);
            let socket = socket.map_err(refused)?;
            options.groups.clear();
            // The port for port 0 is chosen once, for all workers.
            bound = socket.local_addr();
            sockets.push(socket);
        }
        let count = u16::try_from(sockets.len()).unwrap_or(u16::MAX);
        let config = config.at(bound).sockets(count);
        let id = self.with_router(|router| router.add_channel(config))?;
        for (worker, socket) in sockets.into_iter().enumerate().take(usize::from(count)) {
            let index = u16::try_from(worker).unwrap_or_default();
            self.add_socket(id.socket(index), socket, worker);
        }
        Ok(id)
    }

    fn add_socket(self: &Arc<Self>, id: SocketId, io: Box<dyn Datagrams>, worker: usize) {
        if let Some(machine) = self.with_router(|router| router.datagram_socket(id)) {
            let (socket, machine) = self.insert_socket(id, machine, io, worker);
            self.spawn(worker, tasks::datagrams(Arc::clone(self), socket, machine));
        }
    }

    pub(super) fn insert_socket(
        &self,
        id: SocketId,
        machine: DatagramSocket,
        io: Box<dyn Datagrams>,
        worker: usize,
    ) -> (Arc<SharedSocket>, DatagramSocket) {
        let socket = Arc::new(SharedSocket::new(id, io, worker, self.datagram_queue));
        write(&self.sockets).insert(id, Arc::clone(&socket));
        (socket, machine)
    }

    pub(crate) fn remove_channel(self: &Arc<Self>, id: ChannelId) -> Result<(), ChannelError> {
        let now = self.now();
        let (removed, outputs) = self.call_router(|router| router.remove_channel(now, id));
        removed?;
        self.close_sockets(id);
        self.run(outputs);
        Ok(())
    }

    /// Handles the end of the task of a channel's listener, or of one of its sockets, whether
    /// requested or not: the channel is removed.
    pub(crate) fn task_ended(self: &Arc<Self>, id: ChannelId, cause: ChannelFailure) {
        if self.is_stopping() {
            return;
        }
        let now = self.now();
        let (failed, outputs) = self.call_router(|router| router.fail_channel(now, id, cause));
        if failed.is_ok() {
            self.close_sockets(id);
        }
        self.run(outputs);
    }

    fn close_sockets(&self, id: ChannelId) {
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
        gone.iter().for_each(|socket| socket.waker.wake());
    }

    /// Removes a socket whose task has ended.
    pub(crate) fn remove_socket(&self, id: SocketId) {
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
            .ok_or_else(|| io::Error::other("there are no workers"))
    }
}
