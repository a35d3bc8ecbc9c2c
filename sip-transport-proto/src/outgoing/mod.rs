//! Messages to be sent.

pub(crate) mod derive;
pub(crate) mod dispatch;
pub(crate) mod next_hop;
pub(crate) mod options;
pub(crate) mod outcome;
pub(crate) mod send_ids;
pub(crate) mod sent;
pub(crate) mod size_rule;
pub(crate) mod stateless;
pub(crate) mod substitute;

use core::net::SocketAddr;
use std::collections::VecDeque;
use std::time::Instant;

use sip_core::header::Via;
use sip_core::message::{HeaderError, Message};

use crate::config::Substitution;
use crate::endpoint::Hints;
use crate::error::{Attempt, AttemptCause, SendCause, SendError};
use crate::ids::{ChannelId, ConnectionId, SendId, TransportId};
use crate::outgoing::next_hop::{NextHop, request_hop, response_hop};
use crate::outgoing::options::SendOptions;
use crate::protocol::Protocol;
use crate::resolve::Target;
use crate::tls::TlsName;
use crate::tokens::Branch;

/// A message to be sent, with the facts that routing needs.
///
/// It is boxed, as it is passed on often.
#[derive(Debug)]
pub struct Outgoing {
    pub(crate) id: SendId,
    pub(crate) message: Message,
    pub(crate) options: SendOptions,
    pub(crate) next_hop: NextHop,
    /// The request URI or the top Route is `sips`.
    pub(crate) secure: bool,
    /// The targets still to be tried, best first, once they are known.
    pub(crate) targets: Option<VecDeque<Target>>,
    pub(crate) tried: Vec<Attempt>,
    /// The carrier of the current attempt.
    pub(crate) carrier: Option<ChosenCarrier>,
    /// The current attempt has a connection: one that asks for a new one opens no second.
    pub(crate) uses_connection: bool,
    /// The connection to the current target was gone once: the target is not tried a third time.
    pub(crate) connection_gone: bool,
    /// The state of the size rule for the current target.
    pub(crate) size: SizeState,
    /// The targets of its sent-by are still to be found after these.
    pub(crate) sent_by_left: bool,
    /// It was sent before, and this is another transaction (RFC 3261 §8.1.2).
    pub(crate) new_branch: bool,
    /// The transport that gave it an id, if it has one.
    pub(crate) owner: Option<TransportId>,
    /// The branch for a request's top Via, if that has none or that of another transaction.
    pub(crate) branch: Option<Branch>,
    /// The substitution mode, unless the options give one.
    pub(crate) substitution: Substitution,
}

/// The carrier chosen for an attempt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChosenCarrier {
    pub(crate) channel: ChannelId,
    pub(crate) connection: Option<ConnectionId>,
    /// True if it was open when it was chosen.
    pub(crate) open: bool,
}

/// The state of a request under the size rule (RFC 3261 §18.1.1).
#[derive(Debug)]
pub(crate) enum SizeState {
    /// It may be sent over UDP, as far as known.
    Unknown,
    /// It is so long that TCP is tried until this time.
    Tcp { len: usize, until: Instant },
    /// TCP failed for this cause.
    Failed(Box<AttemptCause>),
}

impl Outgoing {
    /// Reads the facts that routing needs from the message. It is cheap, and needs no lock.
    ///
    /// A message that names no usable destination is not an error yet: a hinted connection may
    /// still carry it.
    pub fn new(message: impl Into<Message>, options: SendOptions) -> Box<Self> {
        let message = message.into();
        let (next_hop, secure) = if message.is_request() {
            request_hop(&message).unwrap_or_else(|cause| (NextHop::Unknown(cause), false))
        } else {
            (
                response_hop(&message).unwrap_or_else(NextHop::Unknown),
                false,
            )
        };
        Box::new(Self {
            id: SendId(0),
            message,
            options,
            next_hop,
            secure,
            targets: None,
            tried: Vec::new(),
            carrier: None,
            uses_connection: false,
            connection_gone: false,
            size: SizeState::Unknown,
            sent_by_left: false,
            new_branch: false,
            owner: None,
            branch: None,
            substitution: Substitution::default(),
        })
    }

    /// Turns the message into the error of its send.
    pub(crate) fn into_error(self: Box<Self>, cause: SendCause) -> SendError {
        SendError::new(cause, self.id, self.message, self.tried)
    }

    /// The options of the send.
    pub fn options(&self) -> &SendOptions {
        &self.options
    }

    /// Changes the options of the send. Another destination replaces all targets that were left to
    /// try.
    pub fn change_options(&mut self, change: impl FnOnce(SendOptions) -> SendOptions) {
        let before = self.options.to;
        self.options = change(core::mem::take(&mut self.options));
        if self.options.to != before {
            self.targets = None;
            self.sent_by_left = false;
        }
    }

    /// The message as it was given.
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// The id of the send: known from [`SendIds::assign`](crate::parts::SendIds::assign) on, and
    /// from [`Router::send`](crate::parts::Router::send) at the latest; before that, 0.
    pub fn id(&self) -> SendId {
        self.id
    }

    /// The branch that the top Via of this request has on the wire, whichever target it goes to:
    /// its own, or the one assigned to it. `None` for a response, for an unreadable Via, and as long
    /// as the branch depends on an [`id`](Self::id) not given yet. A header hook
    /// ([`Config::header_hook`](crate::Config::header_hook)) may still replace it.
    pub fn branch(&self) -> Option<&str> {
        let made = self.branch.as_ref();
        substitute::branch(&self.message, self.mode(), made, self.new_branch)
    }

    /// The substitution mode.
    pub(crate) fn mode(&self) -> Substitution {
        self.options.substitution.unwrap_or(self.substitution)
    }

    pub(crate) fn target(&self) -> Option<Target> {
        self.targets.as_ref()?.front().cloned()
    }

    /// The targets that race with the current one (RFC 8305 §5).
    pub(crate) fn rivals(&self) -> impl Iterator<Item = &Target> {
        let others = self.targets.iter().flatten().skip(1);
        others.take_while(|target| target.races)
    }

    /// Moves another address of the current server to the front.
    pub(crate) fn prefer(&mut self, rival: SocketAddr) -> Option<Target> {
        let targets = self.targets.as_mut()?;
        let place = targets.iter().position(|target| target.addr == rival)?;
        let mut preferred = targets.remove(place)?;
        preferred.races = false;
        if let Some(other) = targets.front_mut() {
            other.races = true;
        }
        targets.push_front(preferred);
        self.target()
    }

    /// Returns true if the current target has failed for this cause before, or there is none.
    pub(crate) fn was_failed_by(&self, cause: &AttemptCause) -> bool {
        self.target().is_none_or(|Target { protocol, addr, .. }| {
            self.tried.iter().any(|Attempt { target, cause: of }| {
                of == cause && (target.protocol, target.addr) == (protocol, addr)
            })
        })
    }

    /// Records that another address of the current server was connected first. The target is kept,
    /// in case that one fails.
    pub(crate) fn overtaken(&mut self, cause: AttemptCause) {
        let attempt = self.target().map(|target| Attempt { target, cause });
        self.tried.extend(attempt);
    }

    /// Returns true if it must not be sent over an existing connection.
    pub(crate) fn wants_new_connection(&self) -> bool {
        self.options.new_connection && !self.uses_connection && self.message.is_request()
    }

    /// Gives up the current target.
    pub(crate) fn drop_target(&mut self, cause: AttemptCause) {
        self.uses_connection = false;
        self.connection_gone = false;
        self.size = SizeState::Unknown;
        let target = self.targets.as_mut().and_then(VecDeque::pop_front);
        let attempt = target.map(|target| Attempt { target, cause });
        self.tried.extend(attempt);
    }

    /// The time until which it may wait for a connection that is being opened.
    pub(crate) fn patience(&self) -> Option<Instant> {
        match self.size {
            SizeState::Tcp { until, .. } => Some(until),
            SizeState::Unknown | SizeState::Failed(_) => None,
        }
    }

    /// The name that the peer must authenticate as: the domain that the message is for, regardless
    /// of `maddr` and DNS (RFC 5922 §7.3). Unused by UDP and TCP.
    pub(crate) fn peer_name(&self, protocol: Protocol) -> Option<TlsName> {
        if matches!(protocol, Protocol::Udp | Protocol::Tcp) {
            return None;
        }
        let given = self.options.name.clone();
        given.or_else(|| match &self.next_hop {
            NextHop::Host { host, domain, .. } => {
                let domain = domain.as_ref().unwrap_or(host);
                TlsName::try_from(domain.as_host()).ok()
            }
            NextHop::Unknown(_) => None,
            NextHop::Flow(_) | NextHop::Via(_) => {
                TlsName::try_from(self.top_via()?.sent_by().host()).ok()
            }
        })
    }

    /// The top Via, if it can be read.
    pub(crate) fn top_via(&self) -> Option<Via<'_>> {
        self.message.top_via().ok()
    }

    /// The hints, with the connection that the destination names if no hint names one.
    pub(crate) fn wanted_hints(&self) -> Hints {
        let mut hints = self.options.hints;
        if let Some(to) = self.options.to {
            hints.connection = hints.connection.or(to.connection);
        }
        hints
    }
}

/// The top Via of a message, which may violate the grammar where that does no harm.
pub(crate) fn top_via(message: &Message) -> Result<Via<'_>, SendCause> {
    message.top_via().map_err(|error| match error {
        HeaderError::Value { error, .. } => SendCause::Malformed { what: "Via", error },
        _ => SendCause::Missing("Via"),
    })
}
