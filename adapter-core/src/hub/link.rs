//! A connection as its task and senders share it.

use std::sync::Mutex;

use atomic_waker::AtomicWaker;
use sip_transport_proto::parts::Connection;

/// What senders see of a connection: its machine, and its task to wake.
#[derive(Debug)]
pub(crate) struct SharedConnection {
    pub(crate) machine: Mutex<Connection>,
    pub(crate) worker: usize,
    pub(crate) task: AtomicWaker,
}

impl SharedConnection {
    pub(crate) fn new(machine: Connection, worker: usize) -> Self {
        Self {
            machine: Mutex::new(machine),
            worker,
            task: AtomicWaker::new(),
        }
    }
}
