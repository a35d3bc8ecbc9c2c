use std::io;
use std::panic::resume_unwind;

use sip_transport_proto::sim::HostId;

use super::executor::Shared;
use super::runtime::MemoryRuntime;

/// A call on the system of a host that can be made to fail.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[allow(missing_docs)]
pub enum Call {
    Accept,
    BindDatagrams,
    Connect,
    Receive,
}

/// What a call does in the place of what it is for.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// It fails, with this error of the operating system.
    Error(i32),
    /// It panics, which ends the task that makes it and no other.
    Panic,
}

impl MemoryRuntime {
    /// Has a call fail on this host until told otherwise.
    pub fn set_fault(&self, call: Call, fault: Option<Fault>) {
        let mut world = self.shared.world();
        match fault {
            Some(fault) => drop(world.faults.insert((self.host, call), fault)),
            None => drop(world.faults.remove(&(self.host, call))),
        }
        world.wake_all();
    }

    /// How often a call was made on this host.
    pub fn calls(&self, call: Call) -> usize {
        let world = self.shared.world();
        world.calls.get(&(self.host, call)).copied().unwrap_or(0)
    }
}

/// The payload of a panic that ends a task.
pub(super) struct TaskEnded;

/// Counts a call, which fails if it is to fail on that host.
pub(super) fn check(shared: &Shared, host: HostId, call: Call) -> io::Result<()> {
    let fault = {
        let mut world = shared.world();
        *world.calls.entry((host, call)).or_default() += 1;
        world.faults.get(&(host, call)).copied()
    };
    match fault {
        None => Ok(()),
        Some(Fault::Error(code)) => Err(io::Error::from_raw_os_error(code)),
        // It prints nothing.
        Some(Fault::Panic) => resume_unwind(Box::new(TaskEnded)),
    }
}
