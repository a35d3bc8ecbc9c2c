//! A connection shared by its task and its senders.

use std::sync::Mutex;

use atomic_waker::AtomicWaker;
use sip_transport_proto::parts::Connection;

/// The senders' view of a connection: its state machine, and its task to wake.
#[derive(Debug)]
pub(crate) struct SharedConnection {
    pub(crate) machine: Mutex<Connection>,
    pub(crate) worker: usize,
    pub(crate) waker: AtomicWaker,
}

impl SharedConnection {
    pub(crate) fn new(machine: Connection, worker: usize) -> Self {
        Self {
            machine: Mutex::new(machine),
            worker,
            waker: AtomicWaker::new(),
        }
    }
}
