use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use adapter_core::runtime::{Listener, Stream};
use sip_transport_proto::sim::{HostId, SocketHandle};

use super::executor::Shared;
use super::faults::{Call, check};
use super::world::{Readiness, Slot, World};

/// A socket of the network, closed when this is dropped.
struct Handle {
    shared: Arc<Shared>,
    socket: SocketHandle,
    local: SocketAddr,
}

impl Handle {
    fn new(shared: &Arc<Shared>, world: &mut World, socket: SocketHandle) -> io::Result<Self> {
        let local = world.network.local_addr(socket);
        let local = local.ok_or(io::ErrorKind::NotConnected)?;
        world.slots.insert(socket, Slot::default());
        Ok(Self {
            shared: Arc::clone(shared),
            socket,
            local,
        })
    }

    /// Makes a call on the socket, and takes its readiness back if the call would block.
    fn call<T>(
        &self,
        direction: fn(&mut Slot) -> &mut Readiness,
        call: impl FnOnce(&mut World) -> Result<T, io::ErrorKind>,
    ) -> Result<T, io::ErrorKind> {
        let mut world = self.shared.world();
        let result = call(&mut world);
        if let Some(slot) = world.slots.get_mut(&self.socket) {
            direction(slot).after(&result);
        }
        result
    }

    fn poll(&self, direction: fn(&mut Slot) -> &mut Readiness, cx: &Context<'_>) -> Poll<()> {
        match self.shared.world().slots.get_mut(&self.socket) {
            Some(slot) => direction(slot).poll(cx),
            None => Poll::Ready(()),
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.world().close(self.socket);
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} on {}", self.socket, self.local)
    }
}

fn read(slot: &mut Slot) -> &mut Readiness {
    &mut slot.read
}

fn write(slot: &mut Slot) -> &mut Readiness {
    &mut slot.write
}

#[derive(Debug)]
pub(super) struct MemoryListener {
    handle: Handle,
    host: HostId,
}

impl MemoryListener {
    pub(super) fn bind(shared: &Arc<Shared>, host: HostId, local: SocketAddr) -> io::Result<Self> {
        let mut world = shared.world();
        let socket = world.network.listen(host, local)?;
        let handle = Handle::new(shared, &mut world, socket)?;
        Ok(Self { handle, host })
    }
}

impl Listener for MemoryListener {
    fn local_addr(&self) -> SocketAddr {
        self.handle.local
    }

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Box<dyn Stream>, SocketAddr)>> {
        loop {
            ready!(self.handle.poll(read, cx));
            check(&self.handle.shared, self.host, Call::Accept)?;
            let accepted = self
                .handle
                .call(read, |world| world.network.accept(self.handle.socket));
            match accepted {
                Ok((socket, remote)) => {
                    let shared = &self.handle.shared;
                    let mut world = shared.world();
                    if let Ok(handle) = Handle::new(shared, &mut world, socket) {
                        return Poll::Ready(Ok((
                            Box::new(MemoryStream { handle, remote }),
                            remote,
                        )));
                    }
                }
                Err(io::ErrorKind::WouldBlock) => {}
                Err(kind) => return Poll::Ready(Err(kind.into())),
            }
        }
    }
}

#[derive(Debug)]
struct MemoryStream {
    handle: Handle,
    remote: SocketAddr,
}

pub(super) async fn connect(
    shared: Arc<Shared>,
    host: HostId,
    remote: SocketAddr,
    local: Option<IpAddr>,
) -> io::Result<Box<dyn Stream>> {
    check(&shared, host, Call::Connect)?;
    let handle = {
        let mut world = shared.world();
        let socket = world.network.connect(host, local, remote)?;
        Handle::new(&shared, &mut world, socket)?
    };
    poll_fn(|cx| {
        loop {
            ready!(handle.poll(write, cx));
            let connected = handle.call(write, |world| {
                match world.network.is_connected(handle.socket) {
                    Ok(true) => Ok(()),
                    Ok(false) => Err(io::ErrorKind::WouldBlock),
                    Err(kind) => Err(kind),
                }
            });
            match connected {
                Err(io::ErrorKind::WouldBlock) => {}
                result => return Poll::Ready(result),
            }
        }
    })
    .await?;
    Ok(Box::new(MemoryStream { handle, remote }))
}

impl Stream for MemoryStream {
    fn local_addr(&self) -> SocketAddr {
        self.handle.local
    }

    fn remote_addr(&self) -> SocketAddr {
        self.remote
    }

    fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let socket = self.handle.socket;
        let result = self
            .handle
            .call(read, |world| world.network.read(socket, buffer));
        Ok(result?)
    }

    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.handle.poll(read, cx).map(Ok)
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let socket = self.handle.socket;
        let result = self
            .handle
            .call(write, |world| world.network.write(socket, bytes));
        Ok(result?)
    }

    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.handle.poll(write, cx).map(Ok)
    }

    fn shutdown(&self) -> io::Result<()> {
        let mut world = self.handle.shared.world();
        world.network.shutdown(self.handle.socket);
        Ok(())
    }
}
