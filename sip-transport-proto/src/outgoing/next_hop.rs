//! The next hop that a message itself names.

use core::net::IpAddr;

use sip_core::message::Message;
use sip_core::uri::RoutingUri;
use sip_core::{Flow, Name};

use crate::config::advertised::HostText;
use crate::error::SendCause;
use crate::outgoing::top_via;
use crate::protocol::Protocol;

/// The next hop that a message itself names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum NextHop {
    /// None that is usable; only a connection hint can help.
    Unknown(SendCause),
    /// A host of a URI.
    Host {
        host: HostText,
        /// The host of the URI, if `maddr` replaces it.
        domain: Option<HostText>,
        port: Option<u16>,
        transport: Option<Protocol>,
        /// The TTL, for a group.
        ttl: Option<u8>,
    },
    /// The flow on which the request of this response was received.
    Flow(Flow),
    /// The address in the top Via of this response.
    Via(ViaFacts),
}

/// The return address in a response's top Via (RFC 3261 §18.2.2, RFC 3581 §4).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct ViaFacts {
    pub(crate) protocol: Option<Protocol>,
    /// `received`, else a sent-by that is an address.
    pub(crate) ip: Option<IpAddr>,
    /// The sent-by's port.
    pub(crate) port: Option<u16>,
    /// The `rport` parameter, if there is one, and its value.
    pub(crate) rport: Option<Option<u16>>,
    /// A group that the response is to be sent to, and the TTL.
    pub(crate) group: Option<(IpAddr, Option<u8>)>,
}

/// The next hop of a request: the top Route if it is a loose router, else the request URI, which a
/// strict router's URI has replaced already (RFC 3261 §8.1.2).
pub(crate) fn request_hop(message: &Message) -> Result<(NextHop, bool), SendCause> {
    let malformed = |what| move |error| SendCause::Malformed { what, error };
    let request_uri = RoutingUri::parse(message.request_uri().unwrap_or_default())
        .map_err(malformed("request URI"))?;
    let route = match message.raw(Name::Route) {
        None => None,
        Some(row) => {
            let first = sip_core::header::list::split(row)
                .next()
                .unwrap_or_default();
            Some(RoutingUri::of_route(first).map_err(malformed("Route"))?)
        }
    };
    // RFC 3261 §8.1.2: a sips request URI asks for protection even where the Route is sip.
    let secure = request_uri.is_secure() || route.is_some_and(|uri| uri.is_secure());
    let loose = route.filter(RoutingUri::is_loose_router);
    Ok((host_of(&loose.unwrap_or(request_uri))?, secure))
}

pub(crate) fn host_of(uri: &RoutingUri<'_>) -> Result<NextHop, SendCause> {
    let host_port = uri.host_port().ok_or_else(|| SendCause::NoHost {
        scheme: uri.scheme().to_owned(),
    })?;
    let transport = match uri.transport() {
        None => None,
        Some(token) => match Protocol::from_token(token) {
            Some(protocol) => Some(protocol),
            None => return Err(SendCause::UnsupportedTransport(token.to_owned())),
        },
    };
    // RFC 3261 §19.1.1: maddr replaces the host.
    let maddr = uri.maddr();
    Ok(NextHop::Host {
        host: maddr.unwrap_or_else(|| host_port.host()).into(),
        domain: maddr.map(|_| host_port.host().into()),
        port: host_port.port(),
        transport,
        ttl: uri.ttl(),
    })
}

pub(crate) fn response_hop(message: &Message) -> Result<NextHop, SendCause> {
    match message.flow() {
        Some(flow) => Ok(NextHop::Flow(flow)),
        None => ViaFacts::read(message).map(NextHop::Via),
    }
}

impl ViaFacts {
    pub(crate) fn read(message: &Message) -> Result<Self, SendCause> {
        let via = top_via(message)?;
        Ok(Self {
            protocol: Protocol::from_token(via.transport()),
            ip: via.received().or_else(|| via.sent_by().host().ip()),
            port: via.sent_by().port(),
            rport: via.rport(),
            group: via
                .maddr()
                .and_then(|maddr| maddr.ip())
                .filter(IpAddr::is_multicast)
                .map(|group| (group, via.ttl())),
        })
    }
}
