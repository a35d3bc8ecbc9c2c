//! The stand-in for the PROXY header parser without its feature.

#![expect(
    clippy::needless_pass_by_ref_mut,
    reason = "the signatures are those of the methods that these stand for"
)]

use core::net::SocketAddr;

use crate::config::proxy::ProxyProtocol;
use crate::error::ProxyError;

#[derive(Debug)]
pub(crate) enum Header {}

/// The source of a connection, if the header names one.
pub(crate) type Source = Option<SocketAddr>;

impl Header {
    pub(crate) fn of(proxy: &ProxyProtocol) -> Self {
        match *proxy {}
    }

    pub(crate) fn len(&self) -> usize {
        match *self {}
    }

    pub(crate) fn push(&mut self, _: &[u8]) -> Result<(usize, Option<Source>), ProxyError> {
        match *self {}
    }
}
