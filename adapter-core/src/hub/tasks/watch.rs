//! A guard for the tasks of a channel.

use std::sync::Arc;
use std::thread;

use sip_transport_proto::ChannelId;
use sip_transport_proto::error::ChannelFailure;

use crate::hub::Hub;

/// A guard held by the task of a socket or listener: if the task ends unasked, its channel is
/// removed, so that nothing more is sent on it, and the application is notified.
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
