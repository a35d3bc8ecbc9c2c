use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use adapter_core::{Datagrams, Listener, Runtime as _, SocketOptions, Stream};

use super::{Adapter, AdapterHost, Host, Place, Setup};
use crate::memory::{MemoryRuntime, Simulation};

/// adapter-core on the runtime in memory: one machine with two addresses.
#[derive(Debug)]
pub struct MemoryHost {
    simulation: Simulation,
    runtime: MemoryRuntime,
    started: Cell<usize>,
}

/// More virtual time than any case takes.
const PATIENCE: Duration = Duration::from_secs(60);

impl Host for MemoryHost {
    type Endpoint = Adapter<MemoryRuntime>;

    fn run(case: impl AsyncFnOnce(&Self)) {
        let simulation = Simulation::new(1);
        let runtime = simulation.add_host("here", &[]);
        let host = Self {
            simulation,
            runtime,
            started: Cell::new(0),
        };
        let until = host.runtime.now() + PATIENCE;
        let late = async {
            host.runtime.sleep(PATIENCE).await;
            panic!("the case takes too long");
        };
        host.runtime.block_on(super::wait::first(case(&host), late));
        assert!(host.runtime.now() < until);
    }

    fn place(&self) -> Place {
        self.started.set(self.started.get() + 1);
        Place {
            name: format!("here{}", self.started.get()),
            v4: std::net::Ipv4Addr::LOCALHOST.into(),
            v6: std::net::Ipv6Addr::LOCALHOST.into(),
        }
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

    async fn connect(&self, _place: &Place, remote: SocketAddr) -> io::Result<Box<dyn Stream>> {
        self.runtime.connect(remote, None).await
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
