//! The owner of a transport.

use std::sync::Arc;

use crate::hub::Hub;

/// A guard that every handle of a transport holds: when the last is dropped, the transport ends.
#[derive(Debug)]
pub(crate) struct Owner(pub(crate) Arc<Hub>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.stop();
    }
}
