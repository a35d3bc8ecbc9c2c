use std::sync::Arc;

use crate::hub::Hub;

/// Held by every handle of a transport: when the last is dropped, the transport ends.
#[derive(Debug)]
pub(crate) struct Owner(pub(crate) Arc<Hub>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.stop();
    }
}
