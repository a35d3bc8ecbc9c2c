use std::cell::Cell;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use adapter_core::runtime::{Datagrams, Listener, Runtime as _, SocketOptions, Stream};
use sip_transport_proto::sim::Link;

use super::{Adapter, AdapterHost, Host, Place, Setup};
use crate::memory::{MemoryRuntime, Simulation};

/// adapter-core on the runtime in memory: one machine with an IPv4 address for each place.
#[derive(Debug)]
pub struct MemoryHost {
    simulation: Simulation,
    runtime: MemoryRuntime,
    started: Cell<u16>,
}

/// How many seeds each case runs with. Tasks run in another order with each.
const SEEDS: u64 = 6;
/// More virtual time than any case takes.
const PATIENCE: Duration = Duration::from_secs(60);

impl MemoryHost {
    fn run_once(seed: u64, case: &impl AsyncFn(&Self)) {
        let simulation = Simulation::new(seed);
        if !seed.is_multiple_of(2) {
            // Nothing is lost, but nothing goes at once or in one piece.
            let rough = Link::default()
                .with_latency(Duration::from_micros(300))
                .with_would_block(0.1)
                .with_write_sizes(1..=700)
                .with_read_sizes(1..=700);
            simulation.set_default_link(rough);
            simulation.set_datagram_would_block(0.1);
        }
        let runtime = simulation.add_host("here", &[]);
        let host = Self {
            simulation,
            runtime,
            started: Cell::new(0),
        };
        let late = async {
            host.runtime.sleep(PATIENCE).await;
            panic!("seed {seed}: the case takes too long");
        };
        host.runtime.block_on(super::wait::first(case(&host), late));
    }
}

impl Host for MemoryHost {
    type Endpoint = Adapter<MemoryRuntime>;

    fn run(case: impl AsyncFn(&Self)) {
        for seed in 0..SEEDS {
            Self::run_once(seed, &case);
        }
    }

    fn place(&self) -> Place {
        let number = self.started.get().wrapping_add(1);
        self.started.set(number);
        let [high, low] = number.to_be_bytes();
        Place {
            name: format!("here{number}"),
            v4: Ipv4Addr::new(127, 1, high, low).into(),
            v6: Ipv6Addr::LOCALHOST.into(),
        }
    }

    fn crowd(&self) -> usize {
        // Each case runs with several seeds.
        50
    }

    async fn start(&self, _place: &Place, setup: Setup) -> io::Result<Self::Endpoint> {
        Adapter::start(self.runtime.clone(), setup).await
    }

    async fn sleep(&self, time: Duration) {
        self.runtime.sleep(time).await;
    }

    fn bind_datagrams(&self, local: SocketAddr) -> io::Result<Box<dyn Datagrams>> {
        self.runtime
            .bind_datagrams(local, &SocketOptions::default())
    }

    fn listen(&self, local: SocketAddr) -> io::Result<Box<dyn Listener>> {
        self.runtime.listen(local, &SocketOptions::default())
    }

    async fn connect(&self, place: &Place, remote: SocketAddr) -> io::Result<Box<dyn Stream>> {
        let local = remote.is_ipv4().then(|| SocketAddr::new(place.v4, 0));
        self.runtime.connect(remote, local).await
    }
}

impl AdapterHost for MemoryHost {
    type Runtime = MemoryRuntime;

    fn runtime(&self) -> MemoryRuntime {
        self.runtime.clone()
    }

    fn tasks(&self) -> usize {
        self.simulation.tasks()
    }

    async fn outside<T: Send + 'static>(&self, call: impl FnOnce() -> T + Send + 'static) -> T {
        self.runtime.outside(call).await
    }
}
