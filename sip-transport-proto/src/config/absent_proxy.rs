//! The stand-in for the settings of the PROXY protocol when the feature `proxy` is disabled.

use core::net::IpAddr;

#[derive(Clone, Debug)]
pub(crate) enum ProxyProtocol {}

impl ProxyProtocol {
    pub(crate) fn trusts(&self, _: IpAddr) -> bool {
        match *self {}
    }

    pub(crate) fn refuses(&self, _: IpAddr) -> bool {
        match *self {}
    }
}
