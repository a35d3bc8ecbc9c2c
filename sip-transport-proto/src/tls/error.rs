use core::fmt;

use thiserror::Error;

/// Why TLS ended a connection, or would not begin it.
#[derive(Clone, Copy, Debug, Eq, Error, Hash, PartialEq)]
#[non_exhaustive]
pub enum TlsError {
    /// The peer's certificate does not prove what it must.
    #[error("the peer's certificate {0}")]
    Certificate(#[source] CertificateProblem),
    /// The peer gave no certificate and had to.
    #[error("the peer gave no certificate")]
    NoCertificate,
    /// The peer ended it with this alert: it is told there what it does not like of us.
    #[error("the peer sent the alert {0}")]
    Alert(TlsAlert),
    /// Neither TLS 1.2 nor 1.3 at both ends (RFC 8996 forbids the older ones).
    #[error("no TLS version in common")]
    NoCommonVersion,
    /// No cipher suite at both ends.
    #[error("no cipher suite in common")]
    NoCommonCipherSuite,
    /// No key exchange group at both ends.
    #[error("no key exchange group in common")]
    NoCommonGroup,
    /// No signature algorithm at both ends that fits the certificate.
    #[error("no signature algorithm in common")]
    NoCommonSignature,
    /// Both ends named application protocols (ALPN), and none is the same (RFC 7301 §3.2).
    #[error("no application protocol in common")]
    NoApplicationProtocol,
    /// The first byte that came is not TLS: the peer may be talking plain SIP or HTTP.
    #[error("the peer does not talk TLS")]
    NotTls,
    /// The stream ended without a `close_notify` (RFC 8446 §6.1): something may be missing.
    #[error("the stream ended without close_notify")]
    Truncated,
    /// A record that does not decrypt: damaged, forged, or out of its order.
    #[error("a record does not decrypt")]
    BadRecord,
    /// The peer broke the rules of TLS.
    #[error("the peer broke the TLS protocol")]
    Protocol,
    /// The other end asks for what this one does not have.
    #[error("the peer needs a feature of TLS that is not here")]
    Incompatible,
    /// No TLS configuration for this: none of a client to connect, none of a server to accept.
    #[error("TLS is not configured for this side")]
    NotConfigured,
    /// What failed is at this end: no randomness, no time, a faulty configuration.
    #[error("TLS failed at this end")]
    Internal,
}

impl TlsError {
    /// Whether it is for the operator of one end to mend: a certificate that is missing, or that
    /// one end does not accept.
    pub(crate) fn is_about_certificates(self) -> bool {
        match self {
            Self::Certificate(_) | Self::NoCertificate => true,
            // RFC 8446 §6.2: bad_certificate to unknown_ca, and certificate_required.
            Self::Alert(alert) => matches!(alert.code(), 42..=46 | 48 | 116),
            _ => false,
        }
    }
}

/// What is wrong with a certificate.
#[derive(Clone, Copy, Debug, Eq, Error, Hash, PartialEq)]
#[non_exhaustive]
pub enum CertificateProblem {
    /// It leads to no trusted root.
    #[error("is not trusted")]
    NotTrusted,
    /// The signature on it, or on one above it, is wrong.
    #[error("has a wrong signature")]
    BadSignature,
    /// It, or one above it, is signed by an algorithm that is not among the provider's.
    #[error("is signed by an algorithm that is not supported")]
    UnsupportedSignature,
    /// It, or one above it, was valid until before now.
    #[error("has expired")]
    Expired,
    /// It, or one above it, is valid from after now.
    #[error("is not valid yet")]
    NotYetValid,
    /// It is for other names than the one wanted (RFC 5922 §7.3).
    #[error("does not have the name wanted")]
    NameMismatch,
    /// Only a wildcard of it covers the name wanted, which RFC 5922 §7.2 does not let count.
    /// `NamePolicy::Rfc5922Wildcards`, by `TlsClient::names`, does.
    #[error(
        "has the name wanted only by a wildcard, \
         which counts with NamePolicy::Rfc5922Wildcards alone (RFC 5922 §7.2)"
    )]
    WildcardOnly,
    /// It has names that one above it may not vouch for (RFC 5280 §4.2.1.10).
    #[error("has a name that its issuer may not vouch for")]
    NameNotPermitted,
    /// Its issuer took it back.
    #[error("is revoked")]
    Revoked,
    /// Whether its issuer took it back cannot be told.
    #[error("has no known revocation status")]
    RevocationUnknown,
    /// It may not be used for this side of TLS (RFC 5280 §4.2.1.12).
    #[error("is for another purpose")]
    WrongPurpose,
    /// It is a CA's own and is shown by a server (RFC 5280 §4.2.1.9). It counts where it is itself
    /// one of the trusted roots, without limits to its purpose other than servers.
    #[error("is a CA's own, not a server's, and not itself a trusted root")]
    CaUsedAsEndEntity,
    /// One above it is no CA's (RFC 5280 §4.2.1.9).
    #[error("is issued by one who is no CA")]
    EndEntityUsedAsCa,
    /// There are more certificates above it than one of them allows (RFC 5280 §4.2.1.9), or than
    /// are looked at.
    #[error("leads to a root by too long a chain")]
    PathTooLong,
    /// It has a critical extension that is not understood (RFC 5280 §4.2).
    #[error("has a critical extension that is not understood")]
    UnknownCriticalExtension,
    /// It is not encoded as it must be.
    #[error("is malformed")]
    Malformed,
    /// Something else is wrong with it.
    #[error("is not valid")]
    Invalid,
}

/// A TLS alert (RFC 8446 §6), shown as the RFCs name it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct TlsAlert(u8);

impl TlsAlert {
    /// The alert with this number on the wire.
    pub const fn new(code: u8) -> Self {
        Self(code)
    }

    /// Its number on the wire.
    pub const fn code(self) -> u8 {
        self.0
    }

    /// Its name, if it is a known one.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0 => "close_notify",
            10 => "unexpected_message",
            20 => "bad_record_mac",
            21 => "decryption_failed",
            22 => "record_overflow",
            30 => "decompression_failure",
            40 => "handshake_failure",
            41 => "no_certificate",
            42 => "bad_certificate",
            43 => "unsupported_certificate",
            44 => "certificate_revoked",
            45 => "certificate_expired",
            46 => "certificate_unknown",
            47 => "illegal_parameter",
            48 => "unknown_ca",
            49 => "access_denied",
            50 => "decode_error",
            51 => "decrypt_error",
            60 => "export_restriction",
            70 => "protocol_version",
            71 => "insufficient_security",
            80 => "internal_error",
            86 => "inappropriate_fallback",
            90 => "user_canceled",
            100 => "no_renegotiation",
            109 => "missing_extension",
            110 => "unsupported_extension",
            111 => "certificate_unobtainable",
            112 => "unrecognized_name",
            113 => "bad_certificate_status_response",
            114 => "bad_certificate_hash_value",
            115 => "unknown_psk_identity",
            116 => "certificate_required",
            120 => "no_application_protocol",
            121 => "ech_required",
            _ => return None,
        })
    }
}

impl fmt::Display for TlsAlert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{}", self.0),
        }
    }
}

#[cfg(feature = "tls")]
mod from_rustls {
    use std::sync::Arc;

    use rustls::{CertificateError, Error, OtherError, PeerIncompatible};

    use super::{CertificateProblem, TlsAlert, TlsError};

    impl From<&Error> for TlsError {
        fn from(error: &Error) -> Self {
            match error {
                Error::InvalidCertificate(error) => Self::Certificate(error.into()),
                Error::InvalidCertRevocationList(_) => {
                    Self::Certificate(CertificateProblem::RevocationUnknown)
                }
                Error::NoCertificatesPresented => Self::NoCertificate,
                Error::AlertReceived(alert) => Self::Alert(TlsAlert::new(u8::from(*alert))),
                Error::PeerIncompatible(error) => error.into(),
                Error::NoApplicationProtocol => Self::NoApplicationProtocol,
                Error::DecryptError => Self::BadRecord,
                Error::InappropriateMessage { .. }
                | Error::InappropriateHandshakeMessage { .. }
                | Error::InvalidMessage(_)
                | Error::PeerMisbehaved(_)
                | Error::PeerSentOversizedRecord => Self::Protocol,
                _ => Self::Internal,
            }
        }
    }

    impl From<&PeerIncompatible> for TlsError {
        fn from(error: &PeerIncompatible) -> Self {
            match error {
                PeerIncompatible::ServerDoesNotSupportTls12Or13
                | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
                | PeerIncompatible::SupportedVersionsExtensionRequired
                | PeerIncompatible::Tls12NotOffered
                | PeerIncompatible::Tls12NotOfferedOrEnabled => Self::NoCommonVersion,
                PeerIncompatible::NoCipherSuitesInCommon => Self::NoCommonCipherSuite,
                PeerIncompatible::KeyShareExtensionRequired
                | PeerIncompatible::NamedGroupsExtensionRequired
                | PeerIncompatible::NoEcPointFormatsInCommon
                | PeerIncompatible::NoKxGroupsInCommon => Self::NoCommonGroup,
                PeerIncompatible::NoCertificateRequestSignatureSchemesInCommon
                | PeerIncompatible::NoSignatureSchemesInCommon
                | PeerIncompatible::SignatureAlgorithmsExtensionRequired => Self::NoCommonSignature,
                _ => Self::Incompatible,
            }
        }
    }

    impl From<&CertificateError> for CertificateProblem {
        fn from(error: &CertificateError) -> Self {
            match error {
                CertificateError::BadEncoding => Self::Malformed,
                CertificateError::UnknownIssuer => Self::NotTrusted,
                CertificateError::BadSignature => Self::BadSignature,
                CertificateError::UnsupportedSignatureAlgorithmContext { .. }
                | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
                    Self::UnsupportedSignature
                }
                CertificateError::UnhandledCriticalExtension => Self::UnknownCriticalExtension,
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                    Self::Expired
                }
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                    Self::NotYetValid
                }
                CertificateError::NotValidForName
                | CertificateError::NotValidForNameContext { .. } => Self::NameMismatch,
                CertificateError::Revoked => Self::Revoked,
                CertificateError::UnknownRevocationStatus
                | CertificateError::ExpiredRevocationList
                | CertificateError::ExpiredRevocationListContext { .. }
                | CertificateError::InvalidOcspResponse => Self::RevocationUnknown,
                CertificateError::InvalidPurpose
                | CertificateError::InvalidPurposeContext { .. } => Self::WrongPurpose,
                CertificateError::Other(OtherError(error)) => {
                    let of_webpki = error.downcast_ref::<webpki::Error>().map(Self::from);
                    let of_ours = error.downcast_ref::<Self>().copied();
                    of_ours.or(of_webpki).unwrap_or(Self::Invalid)
                }
                _ => Self::Invalid,
            }
        }
    }

    /// What rustls passes on as it is.
    impl From<&webpki::Error> for CertificateProblem {
        fn from(error: &webpki::Error) -> Self {
            use webpki::Error::*;
            match error {
                CaUsedAsEndEntity => Self::CaUsedAsEndEntity,
                EndEntityUsedAsCa => Self::EndEntityUsedAsCa,
                NameConstraintViolation => Self::NameNotPermitted,
                PathLenConstraintViolated
                | MaximumPathBuildCallsExceeded
                | MaximumPathDepthExceeded
                | MaximumSignatureChecksExceeded
                | MaximumNameConstraintComparisonsExceeded => Self::PathTooLong,
                UnsupportedCriticalExtension => Self::UnknownCriticalExtension,
                EmptyEkuExtension => Self::WrongPurpose,
                CertDistrusted => Self::NotTrusted,
                SignatureAlgorithmMismatch
                | ExtensionValueInvalid
                | InvalidNetworkMaskConstraint
                | InvalidSerialNumber
                | MalformedDnsIdentifier
                | MalformedExtensions
                | MalformedNameConstraint
                | UnsupportedCertVersion
                | UnsupportedNameType => Self::Malformed,
                IssuerNotCrlSigner
                | InvalidCrlNumber
                | InvalidCrlSignatureForPublicKey
                | UnsupportedCrlIssuingDistributionPoint
                | UnsupportedCrlVersion
                | UnsupportedDeltaCrl
                | UnsupportedIndirectCrl
                | UnsupportedRevocationReason
                | UnsupportedRevocationReasonsPartitioning => Self::RevocationUnknown,
                _ => Self::Invalid,
            }
        }
    }

    impl From<CertificateProblem> for Error {
        fn from(problem: CertificateProblem) -> Self {
            CertificateError::Other(OtherError(Arc::new(problem))).into()
        }
    }
}
