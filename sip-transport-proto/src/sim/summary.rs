//! The text of events in a trace.

use core::fmt;

use super::trace::Digest;
use crate::event::Event;

/// An event, as written in a trace.
pub(super) struct Summary<'a>(pub(super) &'a Event);

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Event::Request {
                local,
                remote,
                request,
            } => write!(
                f,
                "request {local}<-{remote}: {} {}",
                request.start_line(),
                Digest(&request.to_bytes())
            ),
            Event::Response {
                local,
                remote,
                response,
            } => write!(
                f,
                "response {local}<-{remote}: {} {}",
                response.start_line(),
                Digest(&response.to_bytes())
            ),
            Event::Malformed {
                local,
                remote,
                error,
                bytes,
            } => write!(f, "malformed {local}<-{remote}: {error} {}", Digest(bytes)),
            Event::ConnectionOpened {
                local,
                remote,
                accepted,
                ..
            } => {
                let how = if *accepted { "accepted" } else { "opened" };
                write!(f, "{how} {local}<->{remote}")
            }
            Event::ConnectionClosed {
                connection,
                remote,
                reason,
                ..
            } => write!(f, "{connection} {remote} closed: {reason}"),
            Event::SendCompleted { send, result } => match result {
                Ok(sent) => write!(f, "{send} sent to {}", sent.remote()),
                Err(error) => write!(f, "{send} failed: {error}"),
            },
            Event::SendFailed { send, cause } => write!(f, "{send} lost: {cause}"),
            Event::FlowDead { remote, cause } => write!(f, "flow to {remote} dead: {cause}"),
            Event::KeepStopped { remote, cause } => {
                write!(f, "keep-alives to {remote} stopped: {cause}")
            }
            Event::MappedAddress { remote, mapped } => write!(f, "{remote} sees us at {mapped}"),
            Event::SourceLimited { remote, .. } => write!(f, "{remote} is over its rate"),
            Event::ChannelClosed { local, cause, .. } => {
                write!(f, "channel {local} closed: {cause}")
            }
        }
    }
}
