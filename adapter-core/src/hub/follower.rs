//! What goes on for a while when a transport has ended.

use std::fmt;
use std::task::{Context, Poll};

/// A job that follows a transport and ends behind its tasks, as it may still have to write what
/// they have shown it.
pub(crate) trait Follower: fmt::Debug + Send + Sync {
    /// Tells it that nothing more will come.
    fn end(&self);

    /// Ready once it has ended.
    fn poll_ended(&self, cx: &mut Context<'_>) -> Poll<()>;
}
