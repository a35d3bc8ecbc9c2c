//! Stand-ins for TLS when the feature `tls` is disabled: types without values, so that the same code
//! compiles with and without it.

#![expect(
    clippy::needless_pass_by_ref_mut,
    reason = "the signatures are those of the methods that these stand for"
)]

use std::sync::Arc;

use crate::protocol::Protocol;
use crate::tls::{Identity, TlsError, TlsName};

#[derive(Clone, Debug)]
pub(crate) enum TlsConfig {}

impl TlsConfig {
    pub(crate) fn is_server(&self) -> bool {
        match *self {}
    }

    pub(crate) fn is_client(&self) -> bool {
        match *self {}
    }

    pub(crate) fn connects_as(&self, _: &Self) -> bool {
        match *self {}
    }
}

#[derive(Debug)]
pub(crate) enum Tls {}

impl Tls {
    pub(crate) fn client(config: &TlsConfig, _: Protocol, _: &TlsName) -> Result<Self, TlsError> {
        match *config {}
    }

    pub(crate) fn server(config: &TlsConfig, _: Protocol) -> Result<Self, TlsError> {
        match *config {}
    }

    pub(crate) fn read(
        &mut self,
        _: &[u8],
        _: &mut dyn FnMut(&[u8]) -> usize,
    ) -> Result<(), TlsError> {
        match *self {}
    }

    pub(crate) fn is_inside_record(&self) -> bool {
        match *self {}
    }

    pub(crate) fn drain(&mut self, _: &mut dyn FnMut(&[u8]) -> usize) {
        match *self {}
    }

    pub(crate) fn plaintext_waits(&self) -> bool {
        match *self {}
    }

    pub(crate) fn held(&self) -> usize {
        match *self {}
    }

    pub(crate) fn eof(&mut self) -> Result<(), TlsError> {
        match *self {}
    }

    pub(crate) fn peer_closed(&self) -> bool {
        match *self {}
    }

    pub(crate) fn write(&mut self, _: &[u8], _: &mut Vec<u8>) -> bool {
        match *self {}
    }

    pub(crate) fn sealed_len_bound(&self, _: usize) -> usize {
        match *self {}
    }

    pub(crate) fn flush(&mut self, _: &mut Vec<u8>) {
        match *self {}
    }

    pub(crate) fn close(&mut self, _: &mut Vec<u8>) {
        match *self {}
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        match *self {}
    }

    pub(crate) fn identity(&self) -> Option<&Arc<Identity>> {
        match *self {}
    }
}
