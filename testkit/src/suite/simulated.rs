use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::future::{Future as _, poll_fn};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use adapter_core::runtime::{Datagrams, Listener, RecvBatch, SendBatch, Stream};
use sip_transport_proto::error::SendError;
use sip_transport_proto::resolve::Family;
use sip_transport_proto::sim::{HostId, Machine, SocketHandle, World};
use sip_transport_proto::sip_core::Message;
use sip_transport_proto::{
    Advertised, ChannelConfig, ChannelId, Config, ConnectionId, ConnectionInfo, Event, Outgoing,
    SendId, SendOptions, Sent, SipEndpoint, Stats, Submitted, Transport,
};

use super::{Endpoint, Host, Place, Setup};
use crate::split::Split;

/// The facade of sip-transport-proto, without any driver loop.
pub type FacadeHost = SimulatedHost<Transport>;

/// The parts of sip-transport-proto, driven as an adapter with many tasks would.
pub type SplitHost = SimulatedHost<Split>;

/// A machine that a [`SimulatedHost`] can have.
pub trait Simulate: Machine + fmt::Debug + Send + 'static {
    /// How many connections it has time for at once.
    const CROWD: usize;
}

impl Simulate for Transport {
    const CROWD: usize = 1_000;
}

impl Simulate for Split {
    // Its tasks rest now and then, one after the other.
    const CROWD: usize = 50;
}

/// A machine of sip-transport-proto in a simulated world: each place is a host there.
#[derive(Debug)]
pub struct SimulatedHost<M> {
    shared: Arc<Mutex<Shared<M>>>,
    places: Cell<u8>,
}

#[derive(Debug)]
struct Shared<M> {
    world: World<M>,
    hosts: BTreeMap<IpAddr, HostId>,
    events: BTreeMap<HostId, VecDeque<Event>>,
    completed: BTreeMap<(HostId, SendId), Result<Box<Sent>, SendError>>,
    /// When sleepers wake.
    timers: BTreeSet<Instant>,
    ended: BTreeSet<HostId>,
}

/// More virtual time than any case takes.
const PATIENCE: Duration = Duration::from_secs(60);

impl<M: Machine> Shared<M> {
    /// Lets the next thing happen. False if nothing ever will.
    fn step(&mut self) -> bool {
        let now = self.world.network().now();
        let mut due = self.world.next_event_at();
        due = due.into_iter().chain(self.timers.first().copied()).min();
        let event = self.world.next_event_by(due.unwrap_or(now).max(now));
        let now = self.world.network().now();
        self.timers.retain(|&at| at > now);
        match event {
            Some((host, Event::SendCompleted { send, result })) => {
                self.completed.insert((host, send), result);
                true
            }
            Some((host, event)) => {
                self.events.entry(host).or_default().push_back(event);
                true
            }
            None => due.is_some(),
        }
    }

    /// The host at an address, for sockets of a peer; made when it is first asked for.
    fn host_at(&mut self, ip: IpAddr) -> HostId {
        if let Some(&host) = self.hosts.get(&ip) {
            return host;
        }
        let addresses = addresses_beside(ip);
        let network = self.world.network_mut();
        let host = network.add_host("peer", &addresses);
        self.hosts
            .extend(addresses.into_iter().map(|ip| (ip, host)));
        host
    }
}

fn addresses(number: u8) -> [IpAddr; 2] {
    [
        IpAddr::from([192, 0, 2, number]),
        IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, number.into()]),
    ]
}

/// All addresses of the place that has this one.
fn addresses_beside(ip: IpAddr) -> [IpAddr; 2] {
    let last = match ip {
        IpAddr::V4(ip) => ip.octets().last().copied(),
        IpAddr::V6(ip) => ip.octets().last().copied(),
    };
    addresses(last.unwrap_or_default())
}

impl<M: Simulate> Host for SimulatedHost<M> {
    type Endpoint = Simulated<M>;

    fn run(case: impl AsyncFn(&Self)) {
        let start = Instant::now();
        let host = Self {
            shared: Arc::new(Mutex::new(Shared {
                world: World::new(1, start),
                hosts: BTreeMap::new(),
                events: BTreeMap::new(),
                completed: BTreeMap::new(),
                timers: BTreeSet::new(),
                ended: BTreeSet::new(),
            })),
            places: Cell::new(0),
        };
        let mut case = pin!(case(&host));
        // Nobody is woken: the case is asked after every step.
        let mut cx = Context::from_waker(Waker::noop());
        while case.as_mut().poll(&mut cx).is_pending() {
            let mut shared = host.lock();
            let goes_on = shared.step();
            let late = shared.world.network().elapsed() > PATIENCE;
            drop(shared);
            if !goes_on || late {
                assert!(
                    case.as_mut().poll(&mut cx).is_ready(),
                    "what the case waits for does not come\n{}",
                    host.lock().world.trace()
                );
                return;
            }
        }
    }

    fn place(&self) -> Place {
        self.places.set(self.places.get() + 1);
        let [v4, v6] = addresses(self.places.get());
        let name = format!("host{}", self.places.get());
        Place { name, v4, v6 }
    }

    fn crowd(&self) -> usize {
        M::CROWD
    }

    async fn start(&self, place: &Place, setup: Setup) -> io::Result<Simulated<M>> {
        let host = self.add(place, setup.config);
        if let Some(zone) = setup.zone {
            self.lock().world.network_mut().set_zone(zone);
        }
        let endpoint = Simulated {
            shared: Arc::clone(&self.shared),
            host,
        };
        for channel in setup.channels {
            endpoint.add_channel(channel).await?;
        }
        Ok(endpoint)
    }

    async fn sleep(&self, time: Duration) {
        let until = self.lock().world.network().now() + time;
        poll_fn(|_| {
            let mut shared = self.lock();
            if shared.world.network().now() >= until {
                return Poll::Ready(());
            }
            shared.timers.insert(until);
            Poll::Pending
        })
        .await;
    }

    fn bind_datagrams(&self, local: SocketAddr) -> io::Result<Box<dyn Datagrams>> {
        Ok(Box::new(self.bare(|shared| {
            let host = shared.host_at(local.ip());
            shared.world.network_mut().bind(host, local)
        })?))
    }

    fn listen(&self, local: SocketAddr) -> io::Result<Box<dyn Listener>> {
        Ok(Box::new(self.bare(|shared| {
            let host = shared.host_at(local.ip());
            shared.world.network_mut().listen(host, local)
        })?))
    }

    async fn connect(&self, place: &Place, remote: SocketAddr) -> io::Result<Box<dyn Stream>> {
        let bare = self.bare(|shared| {
            let host = shared.host_at(place.v4);
            shared.world.network_mut().connect(host, None, remote)
        })?;
        poll_fn(|_| {
            let state = bare.lock().world.network().is_connected(bare.socket);
            match state {
                Ok(false) => Poll::Pending,
                Ok(true) => Poll::Ready(Ok(())),
                Err(kind) => Poll::Ready(Err(io::Error::from(kind))),
            }
        })
        .await?;
        Ok(Box::new(bare))
    }
}

impl<M: Machine> SimulatedHost<M> {
    fn lock(&self) -> MutexGuard<'_, Shared<M>> {
        lock(&self.shared)
    }

    fn add(&self, place: &Place, config: Config) -> HostId {
        let mut shared = self.lock();
        let ips = [place.v4, place.v6];
        let host = shared.world.add_host(&place.name, &ips, config);
        shared.hosts.extend(ips.map(|ip| (ip, host)));
        host
    }

    fn bare(
        &self,
        open: impl FnOnce(&mut Shared<M>) -> Result<SocketHandle, io::ErrorKind>,
    ) -> io::Result<Bare<M>> {
        let mut shared = self.lock();
        let socket = open(&mut shared)?;
        Ok(Bare::new(&self.shared, &shared, socket))
    }
}

/// A transport of sip-transport-proto on a host of its own.
#[derive(Debug)]
pub struct Simulated<M> {
    shared: Arc<Mutex<Shared<M>>>,
    host: HostId,
}

impl<M: Machine> Simulated<M> {
    fn lock(&self) -> MutexGuard<'_, Shared<M>> {
        lock(&self.shared)
    }

    fn end(&self) {
        let mut shared = self.lock();
        shared.world.shutdown(self.host);
        shared.ended.insert(self.host);
    }
}

impl<M: Machine> Endpoint for Simulated<M> {
    async fn send(&self, message: Message, options: SendOptions) -> Result<Sent, SendError> {
        let outgoing = Outgoing::new(message, options);
        let submitted = self.lock().world.send(self.host, outgoing)?;
        let send = match submitted {
            Submitted::Sent(sent) => return Ok(sent),
            Submitted::Waiting(send) => send,
        };
        poll_fn(|_| match self.lock().completed.remove(&(self.host, send)) {
            Some(result) => Poll::Ready(result.map(|sent| *sent)),
            None => Poll::Pending,
        })
        .await
    }

    async fn event(&mut self) -> Option<Event> {
        poll_fn(|_| {
            let mut shared = self.lock();
            let event = shared.events.entry(self.host).or_default().pop_front();
            let load = shared.world.machine(self.host).router().load();
            let idle = load == (0, 0) && shared.world.is_idle(self.host);
            match event {
                None if shared.ended.contains(&self.host) && idle => Poll::Ready(None),
                None => Poll::Pending,
                event => Poll::Ready(event),
            }
        })
        .await
    }

    fn channels(&self) -> Vec<SipEndpoint> {
        let shared = self.lock();
        let endpoint = |(id, config): (ChannelId, &ChannelConfig)| {
            let mut endpoint = SipEndpoint::new(config.protocol(), config.local());
            endpoint.channel = Some(id);
            endpoint
        };
        let machine = shared.world.machine(self.host);
        machine.router().channels().map(endpoint).collect()
    }

    async fn add_channel(&self, channel: ChannelConfig) -> io::Result<ChannelId> {
        self.lock().world.add_channel(self.host, channel)
    }

    async fn remove_channel(&self, channel: ChannelId) {
        assert!(self.lock().world.remove_channel(self.host, channel));
    }

    fn advertise(&self, channel: ChannelId, advertised: Option<Advertised>) {
        let world = &mut self.lock().world;
        let known = world.advertise(self.host, channel, Family::Ipv4, advertised);
        assert_eq!(known, Ok(()));
    }

    fn connections(&self) -> Vec<ConnectionInfo> {
        let shared = self.lock();
        let machine = shared.world.machine(self.host);
        let listed = machine.router().connections().map(|mut info| {
            info.queued = machine.transmit(info.id).len();
            info
        });
        listed.collect()
    }

    fn close(&self, connection: ConnectionId) -> bool {
        self.lock().world.close(self.host, connection)
    }

    fn trust(&self, connection: ConnectionId) -> bool {
        self.lock().world.trust(self.host, connection)
    }

    fn queued_bytes(&self) -> usize {
        let shared = self.lock();
        shared.world.machine(self.host).router().queued_bytes()
    }

    fn channel_stats(&self) -> Vec<(SipEndpoint, Stats)> {
        let shared = self.lock();
        let router = shared.world.machine(self.host).router();
        router.channel_stats().collect()
    }

    fn stats(&self) -> Stats {
        self.lock().world.machine(self.host).router().stats()
    }

    async fn shutdown(&self) {
        self.end();
        poll_fn(|_| {
            let shared = self.lock();
            match shared.world.machine(self.host).router().load() {
                (0, 0) => Poll::Ready(()),
                _ => Poll::Pending,
            }
        })
        .await;
    }
}

/// A socket of the simulated network that no transport owns. It asks the network each time it is
/// polled, and wakes nobody.
struct Bare<M: Machine> {
    shared: Arc<Mutex<Shared<M>>>,
    socket: SocketHandle,
    local: SocketAddr,
    remote: SocketAddr,
}

impl<M: Machine> Bare<M> {
    fn new(shared: &Arc<Mutex<Shared<M>>>, locked: &Shared<M>, socket: SocketHandle) -> Self {
        let network = locked.world.network();
        let none = SocketAddr::from(([0, 0, 0, 0], 0));
        Self {
            shared: Arc::clone(shared),
            socket,
            local: network.local_addr(socket).unwrap_or(none),
            remote: network.remote_addr(socket).unwrap_or(none),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shared<M>> {
        lock(&self.shared)
    }
}

impl<M: Machine> Drop for Bare<M> {
    fn drop(&mut self) {
        let socket = self.socket;
        self.lock().world.network_mut().close(socket);
    }
}

impl<M: Machine> fmt::Debug for Bare<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} on {}", self.socket, self.local)
    }
}

impl<M: Machine + Send + 'static> Datagrams for Bare<M> {
    fn local_addr(&self) -> SocketAddr {
        self.local
    }

    fn poll_recv(&self, _cx: &mut Context<'_>, batch: &mut RecvBatch) -> Poll<io::Result<()>> {
        batch.clear();
        match self.lock().world.network_mut().recv_datagram(self.socket) {
            None => Poll::Pending,
            Some(datagram) => {
                batch.push(datagram.remote, datagram.local, &datagram.data);
                Poll::Ready(Ok(()))
            }
        }
    }

    fn try_send(&self, batch: &mut SendBatch) -> io::Result<()> {
        let mut shared = self.lock();
        let network = shared.world.network_mut();
        for entry in batch.iter() {
            network.send_datagram(self.socket, entry.source, entry.destination, entry.data)?;
        }
        batch.sent(batch.len());
        Ok(())
    }

    fn poll_send_ready(&self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl<M: Machine + Send + 'static> Listener for Bare<M> {
    fn local_addr(&self) -> SocketAddr {
        self.local
    }

    fn poll_accept(
        &self,
        _cx: &mut Context<'_>,
    ) -> Poll<io::Result<(Box<dyn Stream>, SocketAddr)>> {
        let mut shared = self.lock();
        match shared.world.network_mut().accept(self.socket) {
            Ok((socket, remote)) => {
                let stream = Self::new(&self.shared, &shared, socket);
                Poll::Ready(Ok((Box::new(stream), remote)))
            }
            Err(io::ErrorKind::WouldBlock) => Poll::Pending,
            Err(kind) => Poll::Ready(Err(kind.into())),
        }
    }
}

impl<M: Machine + Send + 'static> Stream for Bare<M> {
    fn local_addr(&self) -> SocketAddr {
        self.local
    }

    fn remote_addr(&self) -> SocketAddr {
        self.remote
    }

    fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut shared = self.lock();
        Ok(shared.world.network_mut().read(self.socket, buffer)?)
    }

    fn poll_read_ready(&self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut shared = self.lock();
        Ok(shared.world.network_mut().write(self.socket, bytes)?)
    }

    fn poll_write_ready(&self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn shutdown(&self) -> io::Result<()> {
        self.lock().world.network_mut().shutdown(self.socket);
        Ok(())
    }

    // The default waits for readiness and tries again at once, which here would never end.
    fn poll_read(&self, _cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        pending_if_blocked(self.try_read(buffer))
    }

    fn poll_write(&self, _cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        pending_if_blocked(self.try_write(bytes))
    }
}

fn pending_if_blocked(result: io::Result<usize>) -> Poll<io::Result<usize>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
        result => Poll::Ready(result),
    }
}

fn lock<M>(shared: &Mutex<Shared<M>>) -> MutexGuard<'_, Shared<M>> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
