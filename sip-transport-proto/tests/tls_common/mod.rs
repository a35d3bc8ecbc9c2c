//! Two ends of a TLS connection and the bytes between them.
#![allow(dead_code, unreachable_pub)]

#[path = "../../../testkit/src/certificates.rs"]
pub mod certificates;

use std::sync::Arc;

use sip_transport_proto::Protocol;
use sip_transport_proto::tls::rustls::crypto::{CryptoProvider, ring};
use sip_transport_proto::tls::rustls::version::{TLS12, TLS13};
use sip_transport_proto::tls::rustls::{RootCertStore, SupportedProtocolVersion};
use sip_transport_proto::tls::{Tls, TlsConfig, TlsError, TlsName};

pub use certificates::Certificates;

pub type Versions = &'static [&'static SupportedProtocolVersion];
pub const ONLY_TLS12: Versions = &[&TLS12];
pub const ONLY_TLS13: Versions = &[&TLS13];

/// One end, with what it has got.
pub struct End {
    pub tls: Tls,
    pub got: Vec<u8>,
    pub error: Option<TlsError>,
}

impl End {
    pub fn new(tls: Tls) -> Self {
        Self {
            tls,
            got: Vec::new(),
            error: None,
        }
    }

    pub fn read(&mut self, wire: &[u8]) -> Result<(), TlsError> {
        let got = &mut self.got;
        let read = self.tls.read(wire, &mut |data| {
            got.extend_from_slice(data);
            data.len()
        });
        if self.error.is_none() {
            self.error = read.err();
        }
        read
    }

    pub fn flush(&mut self) -> Vec<u8> {
        let mut wire = Vec::new();
        self.tls.flush(&mut wire);
        wire
    }

    pub fn write(&mut self, plain: &[u8]) -> Vec<u8> {
        let mut wire = Vec::new();
        assert!(self.tls.write(plain, &mut wire), "{:?}", self.tls);
        wire
    }

    /// The peer's own certificate.
    pub fn peer_certificate(&self) -> Vec<u8> {
        let identity = self.tls.identity().expect("an identity");
        identity.certificates().next().expect("one").to_vec()
    }

    pub fn names(&self) -> Vec<String> {
        match self.tls.identity() {
            None => Vec::new(),
            Some(identity) => identity.names().iter().map(ToString::to_string).collect(),
        }
    }
}

/// Both ends.
pub struct Pair {
    pub client: End,
    pub server: End,
}

impl Pair {
    pub fn new(client: &TlsConfig, server: &TlsConfig, protocol: Protocol, host: &str) -> Self {
        let name = TlsName::new(host).expect("a name");
        Self {
            client: End::new(Tls::client(client, protocol, &name).expect("a client")),
            server: End::new(Tls::server(server, protocol).expect("a server")),
        }
    }

    /// Carries bytes until there are none, also after an error: then alerts.
    pub fn settle(&mut self) -> &mut Self {
        loop {
            let (up, down) = (self.client.flush(), self.server.flush());
            if up.is_empty() && down.is_empty() {
                return self;
            }
            let _ = self.server.read(&up);
            let _ = self.client.read(&down);
        }
    }

    /// Both ends work.
    pub fn is_open(&self) -> bool {
        let open = |end: &End| end.error.is_none() && !end.tls.is_handshaking();
        open(&self.client) && open(&self.server)
    }

    /// One message each way.
    pub fn exchange(&mut self) {
        let up = self.client.write(b"ping");
        self.server.read(&up).expect("data");
        let down = self.server.write(b"pong");
        self.client.read(&down).expect("data");
        assert!(self.server.got.ends_with(b"ping") && self.client.got.ends_with(b"pong"));
    }
}

/// A whole handshake over TLS.
pub fn shake(client: &TlsConfig, server: &TlsConfig, host: &str) -> Pair {
    shake_over(Protocol::Tls, client, server, host)
}

pub fn shake_over(protocol: Protocol, client: &TlsConfig, server: &TlsConfig, host: &str) -> Pair {
    let mut pair = Pair::new(client, server, protocol, host);
    pair.settle();
    pair
}

/// The provider of the tests, changed.
pub fn provider(edit: impl FnOnce(&mut CryptoProvider)) -> Arc<CryptoProvider> {
    let mut provider = ring::default_provider();
    edit(&mut provider);
    Arc::new(provider)
}

pub fn no_roots() -> RootCertStore {
    RootCertStore::empty()
}
