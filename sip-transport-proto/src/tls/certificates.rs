//! Our certificates and the trusted roots, and their choice by name.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::{Identity, NamePolicy, TlsConfigError, TlsName};

/// Reads trusted roots from a PEM text: every certificate in it.
///
/// ```no_run
/// let roots = sip_transport_proto::tls::roots_from_pem(&std::fs::read("ca.pem")?)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn roots_from_pem(pem: &[u8]) -> Result<RootCertStore, TlsConfigError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_| TlsConfigError::Pem("a root certificate"))?;
        roots.add(certificate)?;
    }
    if roots.is_empty() {
        return Err(TlsConfigError::Pem("a root certificate"));
    }
    Ok(roots)
}

/// A certificate of ours, with its intermediate certificates and its private key.
#[derive(Clone, Debug)]
pub struct LocalCertificate(pub(super) Arc<CertifiedKey>);

impl LocalCertificate {
    /// Reads PEM texts: the chain with our own certificate first, and the key (PKCS#8, PKCS#1 or
    /// SEC1). Both may be in one text. The key must match the certificate.
    pub fn from_pem(
        provider: &CryptoProvider,
        chain: &[u8],
        key: &[u8],
    ) -> Result<Self, TlsConfigError> {
        let chain = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<Vec<_>, _>>()
            .ok()
            .filter(|chain| !chain.is_empty())
            .ok_or(TlsConfigError::Pem("a certificate"))?;
        let key =
            PrivateKeyDer::from_pem_slice(key).map_err(|_| TlsConfigError::Pem("a private key"))?;
        Ok(CertifiedKey::from_der(chain, key, provider)?.into())
    }
}

impl From<CertifiedKey> for LocalCertificate {
    fn from(key: CertifiedKey) -> Self {
        Self(Arc::new(key))
    }
}

/// The certificates that a server can present, chosen by the name that the client asks for (SNI).
///
/// This is a handle: clones refer to the same set, and [`replace`](Self::replace) changes it while
/// the server runs. Later handshakes use the new certificates; open connections stay. A client that
/// resumes a session within its life does so without a certificate.
///
/// A certificate is chosen if its names cover the requested one, wildcards included; whole names
/// come before wildcards. Among several certificates for a name, or among all if none covers it or
/// no name was requested, the first is chosen whose key the client can verify.
#[derive(Clone)]
pub struct ServerCertificates(Arc<RwLock<CertificateStore>>);

#[derive(Debug, Default)]
struct CertificateStore {
    all: Vec<Arc<CertifiedKey>>,
    by_name: BTreeMap<TlsName, Vec<Arc<CertifiedKey>>>,
    /// The certificates with wildcards, by the name after `*.`.
    by_wildcard: BTreeMap<TlsName, Vec<Arc<CertifiedKey>>>,
}

impl ServerCertificates {
    /// A set of certificates; at least one.
    pub fn new(
        certificates: impl IntoIterator<Item = LocalCertificate>,
    ) -> Result<Self, TlsConfigError> {
        CertificateStore::new(certificates).map(|store| Self(Arc::new(RwLock::new(store))))
    }

    /// Presents these certificates, and no others, from the next handshake on. On an error nothing
    /// changes.
    pub fn replace(
        &self,
        certificates: impl IntoIterator<Item = LocalCertificate>,
    ) -> Result<(), TlsConfigError> {
        let store = CertificateStore::new(certificates)?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = store;
        Ok(())
    }
}

impl From<LocalCertificate> for ServerCertificates {
    fn from(LocalCertificate(certificate): LocalCertificate) -> Self {
        let mut store = CertificateStore::default();
        store.add(certificate);
        Self(Arc::new(RwLock::new(store)))
    }
}

impl CertificateStore {
    fn new(
        certificates: impl IntoIterator<Item = LocalCertificate>,
    ) -> Result<Self, TlsConfigError> {
        let mut store = Self::default();
        for LocalCertificate(certificate) in certificates {
            store.add(certificate);
        }
        if store.all.is_empty() {
            return Err(TlsConfigError::NoCertificate);
        }
        Ok(store)
    }

    fn add(&mut self, certificate: Arc<CertifiedKey>) {
        // RFC 5922 §7.8 and RFC 7118 §9.1: the names that a client of either kind may ask for.
        for policy in [NamePolicy::Rfc5922Wildcards, NamePolicy::Rfc6125] {
            let Some(identity) = Identity::of(policy, &certificate.cert) else {
                continue;
            };
            for (names, index) in [
                (identity.names, &mut self.by_name),
                (identity.wildcards, &mut self.by_wildcard),
            ] {
                for name in names {
                    index.entry(name).or_default().push(certificate.clone());
                }
            }
        }
        self.all.push(certificate);
    }

    fn choose(&self, hello: &ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let fits = |certificate: &&Arc<CertifiedKey>| {
            certificate
                .key
                .choose_scheme(hello.signature_schemes())
                .is_some()
        };
        let name = hello
            .server_name()
            .and_then(|name| TlsName::domain(name).ok());
        let parent = name
            .as_ref()
            .and_then(|name| name.as_domain()?.split_once('.'))
            .and_then(|(_, parent)| TlsName::domain(parent).ok());
        let named = name.and_then(|name| self.by_name.get(&name));
        let covered = parent.and_then(|parent| self.by_wildcard.get(&parent));
        let wanted = || named.into_iter().chain(covered).flatten();
        wanted()
            .find(fits)
            .or_else(|| wanted().next())
            .or_else(|| self.all.iter().find(fits))
            .or_else(|| self.all.first())
            .cloned()
    }
}

impl ResolvesServerCert for ServerCertificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .choose(&hello)
    }
}

impl fmt::Debug for ServerCertificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let store = self.0.read().unwrap_or_else(PoisonError::into_inner);
        f.debug_struct("ServerCertificates")
            .field("certificates", &store.all.len())
            .field("names", &store.by_name.keys())
            .field("wildcards", &store.by_wildcard.keys())
            .finish()
    }
}
