//! The source of send ids and branches.

use std::sync::Arc;

use crate::context::ChannelContext;
use crate::ids::SendId;
use crate::outgoing::Outgoing;
use crate::tokens::Branch;

/// The source of a router's send ids and branches, usable without the router's lock.
///
/// A table of transactions has to contain a message before it is sent, as a response or a failure
/// may be reported before the call that sends it has returned.
///
/// ```
/// use std::collections::BTreeMap;
/// use sip_transport_proto::sip_core::{Method, build::RequestBuilder};
/// use sip_transport_proto::parts::Router;
/// use sip_transport_proto::{Config, Outgoing, SendOptions};
///
/// let router = Router::new(Config::default(), [0; 32]);
/// let ids = router.send_ids(); // clone it to wherever messages are sent
/// let request = RequestBuilder::new(Method::Options, "sip:192.0.2.2").build(|r| r.fill(1))?;
/// let mut outgoing = Outgoing::new(request, SendOptions::new());
/// ids.assign(&mut outgoing);
/// let mut transactions = BTreeMap::new();
/// transactions.insert(outgoing.id(), outgoing.branch().map(str::to_owned));
/// // Now Router::send.
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct SendIds(Arc<ChannelContext>);

impl SendIds {
    pub(crate) fn new(context: &Arc<ChannelContext>) -> Self {
        Self(Arc::clone(context))
    }

    /// Gives a message its id, and a request the branch for its top Via if it has none.
    /// [`Router::send`](crate::parts::Router::send) does so for messages that have no id yet.
    pub fn assign(&self, outgoing: &mut Outgoing) -> SendId {
        let context = &self.0;
        if outgoing.owner != Some(context.id) {
            outgoing.id = context.next_send();
            outgoing.owner = Some(context.id);
            outgoing.substitution = context.config.substitution;
            let request = outgoing.message.is_request();
            let branch = || Branch::of_send(context.branches, outgoing.id);
            outgoing.branch = request.then(branch);
        }
        outgoing.id
    }
}
