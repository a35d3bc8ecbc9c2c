//! The errors of TLS.

use core::fmt;

use thiserror::Error;

/// The error with which TLS ended a connection, or refused to begin it.
#[derive(Clone, Copy, Debug, Eq, Error, Hash, PartialEq)]
#[non_exhaustive]
pub enum TlsError {
    /// The peer's certificate is not valid for the connection.
    #[error("the peer's certificate {0}")]
    Certificate(#[source] CertificateProblem),
    /// The peer presented no certificate, and one is required.
    #[error("the peer presented no certificate")]
    NoCertificate,
    /// The peer ended the connection with this alert, which names what it rejected.
    #[error("the peer sent the alert {0}")]
    Alert(TlsAlert),
    /// The two sides have neither TLS 1.2 nor 1.3 in common (RFC 8996 forbids older versions).
    #[error("no TLS version in common")]
    NoCommonVersion,
    /// The two sides have no cipher suite in common.
    #[error("no cipher suite in common")]
    NoCommonCipherSuite,
    /// The two sides have no key exchange group in common.
    #[error("no key exchange group in common")]
    NoCommonGroup,
    /// The two sides have no signature algorithm in common that fits the certificate.
    #[error("no signature algorithm in common")]
    NoCommonSignature,
    /// Both sides named application protocols (ALPN), with none in common (RFC 7301 §3.2).
    #[error("no application protocol in common")]
    NoApplicationProtocol,
    /// The first byte received is not TLS: the peer may be sending plain SIP or HTTP.
    #[error("the peer does not speak TLS")]
    NotTls,
    /// The stream ended without a `close_notify` (RFC 8446 §6.1): data may be missing.
    #[error("the stream ended without close_notify")]
    Truncated,
    /// A record cannot be decrypted: it is damaged, forged, or out of order.
    #[error("a record cannot be decrypted")]
    BadRecord,
    /// The peer broke the rules of TLS.
    #[error("the peer broke the TLS protocol")]
    Protocol,
    /// The peer requires a feature of TLS that is not supported here.
    #[error("the peer requires a TLS feature that is not supported")]
    Incompatible,
    /// The TLS configuration lacks the side needed: a client's to connect, a server's to accept.
    #[error("TLS is not configured for this side")]
    NotConfigured,
    /// The failure is local: no randomness, no time, a faulty configuration.
    #[error("TLS failed for a local reason")]
    Internal,
}

impl TlsError {
    /// Returns true if the operator of either side has to fix it: a certificate is missing, or not
    /// accepted.
    pub(crate) fn is_about_certificates(self) -> bool {
        match self {
            Self::Certificate(_) | Self::NoCertificate => true,
            // RFC 8446 §6.2: bad_certificate to unknown_ca, and certificate_required.
            Self::Alert(alert) => matches!(alert.code(), 42..=46 | 48 | 116),
            _ => false,
        }
    }
}

/// The problem with a certificate.
#[derive(Clone, Copy, Debug, Eq, Error, Hash, PartialEq)]
#[non_exhaustive]
pub enum CertificateProblem {
    /// The certificate leads to no trusted root.
    #[error("is not trusted")]
    NotTrusted,
    /// The signature on the certificate, or on one above it, is wrong.
    #[error("has a wrong signature")]
    BadSignature,
    /// The certificate, or one above it, is signed with an algorithm that the provider does not
    /// support.
    #[error("is signed with an unsupported algorithm")]
    UnsupportedSignature,
    /// The certificate, or one above it, has expired.
    #[error("has expired")]
    Expired,
    /// The certificate, or one above it, is not valid yet.
    #[error("is not valid yet")]
    NotYetValid,
    /// The certificate is for other names than the expected one (RFC 5922 §7.3).
    #[error("does not have the expected name")]
    NameMismatch,
    /// Only a wildcard of the certificate covers the expected name, which RFC 5922 §7.2 does not
    /// accept. `NamePolicy::Rfc5922Wildcards`, set by `TlsClient::names`, does.
    #[error(
        "has the expected name only by a wildcard, \
         which only NamePolicy::Rfc5922Wildcards accepts (RFC 5922 §7.2)"
    )]
    WildcardOnly,
    /// The certificate has names that one above it must not vouch for (RFC 5280 §4.2.1.10).
    #[error("has a name that its issuer must not vouch for")]
    NameNotPermitted,
    /// The certificate is revoked.
    #[error("is revoked")]
    Revoked,
    /// The revocation status of the certificate is unknown.
    #[error("has no known revocation status")]
    RevocationUnknown,
    /// The certificate must not be used for this side of TLS (RFC 5280 §4.2.1.12).
    #[error("is for another purpose")]
    WrongPurpose,
    /// The certificate is a CA's own and is presented by a server (RFC 5280 §4.2.1.9). It is
    /// accepted if it is itself one of the trusted roots, and not limited to purposes other than
    /// servers.
    #[error("is a CA's own, not a server's, and not itself a trusted root")]
    CaUsedAsEndEntity,
    /// A certificate above it is not a CA's (RFC 5280 §4.2.1.9).
    #[error("is issued by a certificate that is not a CA's")]
    EndEntityUsedAsCa,
    /// The certificates above it are more than one of them allows (RFC 5280 §4.2.1.9), or than are
    /// examined.
    #[error("leads to a root by too long a path")]
    PathTooLong,
    /// The certificate has an unknown critical extension (RFC 5280 §4.2).
    #[error("has an unknown critical extension")]
    UnknownCriticalExtension,
    /// The encoding of the certificate is malformed.
    #[error("is malformed")]
    Malformed,
    /// The certificate is invalid for another reason.
    #[error("is not valid")]
    Invalid,
}

/// A TLS alert (RFC 8446 §6), displayed by its name in the RFCs.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct TlsAlert(u8);

impl TlsAlert {
    /// The alert with this number on the wire.
    pub const fn new(code: u8) -> Self {
        Self(code)
    }

    /// The alert's number on the wire.
    pub const fn code(self) -> u8 {
        self.0
    }

    /// The alert's name, if it is known.
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
                    let foreign = error.downcast_ref().map(of_webpki);
                    let of_ours = error.downcast_ref::<Self>().copied();
                    of_ours.or(foreign).unwrap_or(Self::Invalid)
                }
                _ => Self::Invalid,
            }
        }
    }

    /// An error of webpki that rustls passes on unchanged.
    fn of_webpki(error: &webpki::Error) -> CertificateProblem {
        use CertificateProblem as Problem;
        use webpki::Error::*;
        match error {
            CaUsedAsEndEntity => Problem::CaUsedAsEndEntity,
            EndEntityUsedAsCa => Problem::EndEntityUsedAsCa,
            NameConstraintViolation => Problem::NameNotPermitted,
            PathLenConstraintViolated
            | MaximumPathBuildCallsExceeded
            | MaximumPathDepthExceeded
            | MaximumSignatureChecksExceeded
            | MaximumNameConstraintComparisonsExceeded => Problem::PathTooLong,
            UnsupportedCriticalExtension => Problem::UnknownCriticalExtension,
            EmptyEkuExtension => Problem::WrongPurpose,
            CertDistrusted => Problem::NotTrusted,
            SignatureAlgorithmMismatch
            | ExtensionValueInvalid
            | InvalidNetworkMaskConstraint
            | InvalidSerialNumber
            | MalformedDnsIdentifier
            | MalformedExtensions
            | MalformedNameConstraint
            | UnsupportedCertVersion
            | UnsupportedNameType => Problem::Malformed,
            IssuerNotCrlSigner
            | InvalidCrlNumber
            | InvalidCrlSignatureForPublicKey
            | UnsupportedCrlIssuingDistributionPoint
            | UnsupportedCrlVersion
            | UnsupportedDeltaCrl
            | UnsupportedIndirectCrl
            | UnsupportedRevocationReason
            | UnsupportedRevocationReasonsPartitioning => Problem::RevocationUnknown,
            _ => Problem::Invalid,
        }
    }

    impl From<CertificateProblem> for Error {
        fn from(problem: CertificateProblem) -> Self {
            CertificateError::Other(OtherError(Arc::new(problem))).into()
        }
    }
}
