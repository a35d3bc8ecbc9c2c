use std::sync::Arc;
use std::thread;

use sip_transport_proto::ChannelId;
use sip_transport_proto::error::ChannelFailure;

use crate::hub::Hub;

/// Held by the task of a socket or listener: if that ends and nobody has asked for it, its channel
/// is taken off the list, so that nothing is sent into the void, and the application hears of it.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) hub: Arc<Hub>,
    pub(super) channel: ChannelId,
}

impl Drop for Watch {
    fn drop(&mut self) {
        let cause = match thread::panicking() {
            true => ChannelFailure::Panicked,
            false => ChannelFailure::Dropped,
        };
        self.hub.task_ended(self.channel, cause);
    }
}
