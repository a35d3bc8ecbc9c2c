//! Certificates made on the spot, for tests, examples and simulations.
#![allow(
    clippy::expect_used,
    reason = "what is made here is always well formed"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, PKCS_ED25519, SanType, SerialNumber,
};
use sip_transport_proto::tls::rustls::crypto::{CryptoProvider, ring};
use sip_transport_proto::tls::rustls::pki_types::UnixTime;
use sip_transport_proto::tls::rustls::time_provider::TimeProvider;
use sip_transport_proto::tls::rustls::{DEFAULT_VERSIONS, RootCertStore};
use sip_transport_proto::tls::{
    LocalCertificate, TlsClient, TlsConfig, TlsServer, roots_from_pem, rustls,
};

/// An authority that makes certificates and the configurations that use them.
///
/// Keys are of Ed25519 and serial numbers have one length, so that what TLS puts on the wire has
/// the same length in every run, whatever the keys. Certificates are valid from 2020 to 2049.
///
/// Names are given as text: `example.com` is a DNS name, `sip:example.com` a URI, `192.0.2.1` and
/// `2001:db8::1` are IP addresses.
pub struct Certificates {
    authority: CertifiedIssuer<'static, KeyPair>,
    issued: AtomicU64,
    provider: Arc<CryptoProvider>,
    time: Option<Arc<dyn TimeProvider>>,
    versions: &'static [&'static rustls::SupportedProtocolVersion],
}

/// A certificate and its key, as PEM.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// The certificate.
    pub certificate_pem: String,
    /// Its private key.
    pub key_pem: String,
    /// By which its authority would revoke it.
    pub serial_number: SerialNumber,
}

impl Certificates {
    /// A new authority that nobody knows yet.
    pub fn new() -> Self {
        let mut params = params("Test authority", serial_number(0));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Self {
            authority: CertifiedIssuer::self_signed(params, key()).expect("a CA certificate"),
            issued: AtomicU64::new(1),
            provider: Arc::new(ring::default_provider()),
            time: None,
            versions: DEFAULT_VERSIONS,
        }
    }

    /// Configurations made from here on take this for the time, in seconds since 1970, and it
    /// stands still: 1,735,689,600 is the start of 2025.
    pub fn at(mut self, seconds: u64) -> Self {
        self.time = Some(Arc::new(Fixed(seconds)));
        self
    }

    /// Configurations made from here on speak these versions only.
    pub fn versions(
        mut self,
        versions: &'static [&'static rustls::SupportedProtocolVersion],
    ) -> Self {
        self.versions = versions;
        self
    }

    /// The provider of cryptography that all configurations use.
    pub fn provider(&self) -> &Arc<CryptoProvider> {
        &self.provider
    }

    /// What signs the certificates.
    pub fn authority(&self) -> &CertifiedIssuer<'static, KeyPair> {
        &self.authority
    }

    /// The authority's certificate.
    pub fn authority_pem(&self) -> String {
        self.authority.pem()
    }

    /// The authority, as one who trusts it has it.
    pub fn roots(&self) -> RootCertStore {
        roots_from_pem(self.authority_pem().as_bytes()).expect("the authority's certificate")
    }

    /// A certificate with these names, for servers and for clients.
    pub fn leaf(&self, names: &[&str]) -> Leaf {
        self.leaf_with(names, |_| {})
    }

    /// A certificate with these names and with what else is set.
    pub fn leaf_with(&self, names: &[&str], edit: impl FnOnce(&mut CertificateParams)) -> Leaf {
        self.leaf_for(&key(), names, edit)
    }

    /// The same, for a key that need not be of Ed25519.
    pub fn leaf_for(
        &self,
        key: &KeyPair,
        names: &[&str],
        edit: impl FnOnce(&mut CertificateParams),
    ) -> Leaf {
        let serial_number = serial_number(self.issued.fetch_add(1, Ordering::Relaxed));
        let mut params = params("Test", serial_number.clone());
        params.subject_alt_names = names.iter().map(|name| alternative_name(name)).collect();
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        edit(&mut params);
        let certificate = params
            .signed_by(key, &self.authority)
            .expect("a certificate");
        Leaf {
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            serial_number,
        }
    }

    /// A certificate with these names, as configurations take it.
    pub fn local(&self, names: &[&str]) -> LocalCertificate {
        self.leaf(names).local(&self.provider)
    }

    /// Accepts with a certificate for these names; asks clients for none.
    pub fn server(&self, names: &[&str]) -> TlsConfig {
        self.server_builder(names).build().expect("a server")
    }

    /// Connects to those who have a certificate of this authority; has none itself.
    pub fn client(&self) -> TlsConfig {
        self.client_builder().build().expect("a client")
    }

    /// Accepts and connects, and shows a certificate for these names either way; clients must
    /// have one of this authority too.
    pub fn mutual(&self, names: &[&str]) -> TlsConfig {
        let server = self
            .server_builder(names)
            .client_certificate_required(self.roots());
        let client = self.client_builder().certificate(self.local(names));
        let server = server.build().expect("a server");
        server.and(client.build().expect("a client"))
    }

    /// Accepts with a certificate for these names, and connects without one.
    pub fn both(&self, names: &[&str]) -> TlsConfig {
        self.server(names).and(self.client())
    }

    /// A server with a certificate for these names, to set more on.
    pub fn server_builder(&self, names: &[&str]) -> TlsServer {
        let server =
            TlsServer::new(self.provider.clone(), self.local(names)).versions(self.versions);
        match &self.time {
            Some(time) => server.time(time.clone()),
            None => server,
        }
    }

    /// A client that trusts this authority, to set more on.
    pub fn client_builder(&self) -> TlsClient {
        let client = TlsClient::new(self.provider.clone())
            .roots(self.roots())
            .versions(self.versions);
        match &self.time {
            Some(time) => client.time(time.clone()),
            None => client,
        }
    }
}

impl Default for Certificates {
    fn default() -> Self {
        Self::new()
    }
}

impl Leaf {
    /// As configurations take it.
    pub fn local(&self, provider: &CryptoProvider) -> LocalCertificate {
        LocalCertificate::from_pem(
            provider,
            self.certificate_pem.as_bytes(),
            self.key_pem.as_bytes(),
        )
        .expect("a certificate and its key")
    }
}

/// A clock that stands still.
#[derive(Debug)]
struct Fixed(u64);

impl TimeProvider for Fixed {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(
            self.0,
        )))
    }
}

fn key() -> KeyPair {
    KeyPair::generate_for(&PKCS_ED25519).expect("a key")
}

fn params(common_name: &str, serial_number: SerialNumber) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2049, 12, 31);
    params.serial_number = Some(serial_number);
    params
}

/// If not set it is a part of a hash of the key, as long as that happens to be.
fn serial_number(number: u64) -> SerialNumber {
    let number = u128::from(number) | 1 << 120;
    SerialNumber::from_slice(&number.to_be_bytes())
}

/// See [`Certificates`].
pub fn alternative_name(name: &str) -> SanType {
    if let Ok(ip) = name.parse() {
        return SanType::IpAddress(ip);
    }
    let text = name.try_into().expect("ASCII");
    match name.contains(':') {
        true => SanType::URI(text),
        false => SanType::DnsName(text),
    }
}
