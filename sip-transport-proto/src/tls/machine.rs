//! The sans-I/O state machine of one TLS connection.

use core::fmt;
use std::io::{BufRead, Write};
use std::sync::Arc;

use rustls::{
    ClientConnection, Connection, HandshakeKind, InvalidMessage, PeerIncompatible, ServerConnection,
};

use super::{Identity, NamePolicy, TlsConfig, TlsError, TlsName};
use crate::protocol::Protocol;

/// The longest payload of a record (RFC 8446 §5.1).
const RECORD: usize = 16_384;
/// The greatest overhead of a record: header, explicit nonce and tag of TLS 1.2 with AES-GCM.
const RECORD_OVERHEAD: usize = 5 + 8 + 16;
/// The overhead of a key update or an alert that may accompany the data.
const MORE_OVERHEAD: usize = 64;

/// The state machine of one side of a TLS connection: bytes in, bytes out; no sockets.
///
/// - Pass the bytes from the socket to [`read`](Self::read); the plaintext goes into a sink.
/// - Send with [`write`](Self::write), once [`is_handshaking`](Self::is_handshaking) returns false.
/// - After each of these, and after construction, call [`flush`](Self::flush), which outputs
///   handshake messages and alerts. After an error too: the alert tells the peer the reason.
///
/// # Limits
///
/// An incomplete record or handshake message is stored: up to 18 KiB, 64 KiB during the handshake.
/// Plaintext that the sink does not accept is stored until [`drain`](Self::drain) delivers it: if
/// each `read` gets at most 16 KiB, and none is called while
/// [`plaintext_waits`](Self::plaintext_waits), that is at most 34 KiB.
pub struct Tls {
    connection: Connection,
    names: Option<NamePolicy>,
    identity: Option<Arc<Identity>>,
    handshaking: bool,
    peer_closed: bool,
    closed: bool,
    first_bytes: FirstBytes,
    record: RecordProgress,
    error: Option<TlsError>,
    /// Our own alert, in place of one by rustls.
    alert: Vec<u8>,
    /// The longest plaintext of a record.
    fragment: usize,
    /// Plaintext that the sink did not accept; it has accepted the first `taken` bytes since.
    waiting: Vec<u8>,
    taken: usize,
}

impl Tls {
    /// Starts a client connection; [`flush`](Self::flush) outputs the ClientHello.
    ///
    /// The peer must prove `name`, which is sent as SNI unless it is an IP address (RFC 5922 §7.8,
    /// RFC 6066 §3). The protocol is TLS or secure WebSocket: their names are verified by different
    /// rules.
    pub fn client(
        config: &TlsConfig,
        protocol: Protocol,
        name: &TlsName,
    ) -> Result<Self, TlsError> {
        let settings = config.client(protocol).ok_or(TlsError::NotConfigured)?;
        let server_name = name.to_server_name().ok_or(TlsError::Internal)?;
        let connection = ClientConnection::new(settings.config.clone(), server_name)
            .map_err(|error| TlsError::from(&error))?;
        Ok(Self::new(
            connection.into(),
            settings.names,
            settings.config.max_fragment_size,
        ))
    }

    /// Starts a server connection.
    pub fn server(config: &TlsConfig, protocol: Protocol) -> Result<Self, TlsError> {
        let settings = config.server(protocol).ok_or(TlsError::NotConfigured)?;
        let connection = ServerConnection::new(settings.config.clone())
            .map_err(|error| TlsError::from(&error))?;
        Ok(Self::new(
            connection.into(),
            settings.names,
            settings.config.max_fragment_size,
        ))
    }

    fn new(connection: Connection, names: Option<NamePolicy>, fragment: Option<usize>) -> Self {
        Self {
            connection,
            names,
            identity: None,
            handshaking: true,
            peer_closed: false,
            closed: false,
            first_bytes: FirstBytes::default(),
            record: RecordProgress::default(),
            error: None,
            alert: Vec::new(),
            // rustls includes the record header in this size.
            fragment: fragment.map_or(RECORD, |size| size.saturating_sub(5).clamp(1, RECORD)),
            waiting: Vec::new(),
            taken: 0,
        }
    }

    /// Processes all bytes received from the socket, and passes the plaintext to the sink, which
    /// returns how many bytes of a slice it accepts; 0 means that it has no room.
    ///
    /// Data after the peer's `close_notify` is dropped (RFC 8446 §6.1).
    ///
    /// # Errors
    ///
    /// An error ends the connection: nothing more is read, and each later call returns the same
    /// error. Plaintext from before it is passed to the sink, or waits.
    pub fn read(
        &mut self,
        mut data: &[u8],
        sink: &mut dyn FnMut(&[u8]) -> usize,
    ) -> Result<(), TlsError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        self.first_bytes.note(data);
        self.record.note(data);
        // To rustls an empty slice means the end of the stream.
        while !data.is_empty() && !self.peer_closed {
            let read = self.connection.read_tls(&mut data);
            let processed = self.connection.process_new_packets();
            self.note_handshake();
            self.drain(sink);
            self.keep_plaintext();
            match processed {
                Ok(state) => self.peer_closed = state.peer_has_closed(),
                Err(error) => return Err(self.fail(&error)),
            }
            // rustls consumes some each time; if it does not, a record or message exceeds its
            // limits.
            if !matches!(read, Ok(1..)) && !self.peer_closed {
                self.error = Some(TlsError::Protocol);
                return Err(TlsError::Protocol);
            }
        }
        Ok(())
    }

    /// Returns true if a record is incomplete, so that its contents are yet to come.
    pub fn is_inside_record(&self) -> bool {
        self.record.at > 0 && !self.peer_closed && self.error.is_none()
    }

    /// Passes waiting plaintext to the sink, as far as it accepts it.
    pub fn drain(&mut self, sink: &mut dyn FnMut(&[u8]) -> usize) {
        while let Some(chunk) = self
            .waiting
            .get(self.taken..)
            .filter(|rest| !rest.is_empty())
        {
            let taken = sink(chunk).min(chunk.len());
            if taken == 0 {
                return;
            }
            self.taken += taken;
        }
        self.waiting = Vec::new();
        self.taken = 0;
        let mut reader = self.connection.reader();
        while let Ok(chunk) = reader.fill_buf() {
            let taken = sink(chunk).min(chunk.len());
            if taken == 0 {
                return;
            }
            reader.consume(taken);
        }
    }

    /// Returns true if plaintext waits that the sink did not accept.
    pub fn plaintext_waits(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The number of bytes stored: of an incomplete record, and of plaintext that the sink did not
    /// accept.
    pub fn held(&self) -> usize {
        let waiting = self.waiting.len().saturating_sub(self.taken);
        match self.is_inside_record() {
            true => waiting.saturating_add(self.record.len),
            false => waiting,
        }
    }

    /// Processes the end of the peer's stream.
    ///
    /// # Errors
    ///
    /// [`TlsError::Truncated`] if the stream ended without the peer's `close_notify`; or the
    /// earlier error, if there was one.
    pub fn eof(&mut self) -> Result<(), TlsError> {
        match self.error {
            Some(error) => Err(error),
            None if self.peer_closed => Ok(()),
            None => {
                self.error = Some(TlsError::Truncated);
                Err(TlsError::Truncated)
            }
        }
    }

    /// Returns true once the peer's `close_notify` has been received: it sends no more.
    pub fn peer_closed(&self) -> bool {
        self.peer_closed
    }

    /// Encrypts all of `plain` and appends it to `out`, after anything [`flush`](Self::flush) would
    /// output.
    ///
    /// Returns false, and encrypts nothing, before the end of the handshake, after
    /// [`close`](Self::close), and after an error.
    #[must_use]
    pub fn write(&mut self, plain: &[u8], out: &mut Vec<u8>) -> bool {
        if self.handshaking || self.closed || self.error.is_some() {
            return false;
        }
        // One record at a time, so that rustls never buffers more than one: its buffer is limited.
        for record in plain.chunks(self.fragment) {
            self.flush(out);
            if self.connection.writer().write_all(record).is_err() {
                return false;
            }
        }
        self.flush(out);
        true
    }

    /// An upper bound on the bytes that [`write`](Self::write) outputs for a plaintext of this
    /// length.
    pub fn sealed_len_bound(&self, plain: usize) -> usize {
        let records = plain.div_ceil(self.fragment).max(1);
        records
            .saturating_mul(RECORD_OVERHEAD)
            .saturating_add(plain)
            .saturating_add(MORE_OVERHEAD)
    }

    /// Appends to `out` whatever TLS itself has to send: handshake messages, alerts, key updates.
    pub fn flush(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.alert);
        while self.connection.wants_write() {
            // Writing to a `Vec` does not fail.
            if !matches!(self.connection.write_tls(out), Ok(1..)) {
                return;
            }
        }
    }

    /// Closes our direction, appending a `close_notify` to `out`. Data that the peer still sends
    /// can be read.
    pub fn close(&mut self, out: &mut Vec<u8>) {
        if !self.closed {
            self.closed = true;
            self.connection.send_close_notify();
        }
        self.flush(out);
    }

    /// Returns true during the handshake.
    ///
    /// With TLS 1.3 the client's handshake ends before the server has seen the client's
    /// certificate: an alert about that comes later.
    pub fn is_handshaking(&self) -> bool {
        self.handshaking
    }

    /// The identity that the peer has proven, once the handshake has ended. `None` if it presented
    /// no certificate, or if verification is off.
    pub fn identity(&self) -> Option<&Arc<Identity>> {
        self.identity.as_ref()
    }

    /// The negotiated application protocol (ALPN).
    pub fn alpn(&self) -> Option<&[u8]> {
        self.connection.alpn_protocol()
    }

    /// The name that the client requested (SNI), on a server that has received it.
    pub fn requested_name(&self) -> Option<TlsName> {
        match &self.connection {
            Connection::Client(_) => None,
            Connection::Server(server) => TlsName::domain(server.server_name()?).ok(),
        }
    }

    /// The negotiated version of TLS.
    pub fn version(&self) -> Option<rustls::ProtocolVersion> {
        self.connection.protocol_version()
    }

    /// Returns true if an earlier session was resumed. The identity is that of the session.
    pub fn is_resumed(&self) -> bool {
        self.connection.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    fn note_handshake(&mut self) {
        if self.handshaking && !self.connection.is_handshaking() {
            self.handshaking = false;
            self.identity = self.names.and_then(|names| {
                Identity::of(names, self.connection.peer_certificates()?).map(Arc::new)
            });
        }
    }

    /// Moves plaintext that the sink did not accept out of rustls, which stops reading beyond 16
    /// KiB of it.
    fn keep_plaintext(&mut self) {
        let mut reader = self.connection.reader();
        while let Ok(chunk) = reader.fill_buf() {
            if chunk.is_empty() {
                return;
            }
            self.waiting.extend_from_slice(chunk);
            let taken = chunk.len();
            reader.consume(taken);
        }
    }

    fn fail(&mut self, error: &rustls::Error) -> TlsError {
        let error = match error {
            rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)
                if !self.first_bytes.is_tls() =>
            {
                TlsError::NotTls
            }
            rustls::Error::PeerIncompatible(
                PeerIncompatible::SignatureAlgorithmsExtensionRequired,
            ) if self.first_bytes.is_before_tls12() => {
                // rustls notices the missing extension of TLS 1.2 before it looks at the version;
                // the right alert is protocol_version (RFC 5246 §E.1).
                let mut alert = Vec::new();
                self.flush(&mut alert);
                if let Some(description) = alert.last_mut() {
                    *description = 70;
                }
                self.alert = alert;
                TlsError::NoCommonVersion
            }
            error => error.into(),
        };
        self.error = Some(error);
        error
    }
}

/// The first bytes received. In TLS these are a record's header, and the type, length and version
/// of a ClientHello.
#[derive(Default)]
struct FirstBytes {
    bytes: [u8; 11],
    len: usize,
}

impl FirstBytes {
    fn note(&mut self, data: &[u8]) {
        for (to, from) in self.bytes.iter_mut().skip(self.len).zip(data) {
            *to = *from;
            self.len += 1;
        }
    }

    /// Returns true if they begin as a TLS record does.
    fn is_tls(&self) -> bool {
        self.len > 0 && matches!(self.bytes[0], 20..=24)
    }

    /// Returns true for a ClientHello of a version before TLS 1.2.
    fn is_before_tls12(&self) -> bool {
        let [22, .., major, minor] = self.bytes else {
            return false;
        };
        self.len == self.bytes.len() && (major, minor) < (3, 3)
    }
}

/// The position within the current record, which rustls does not report.
#[derive(Default)]
struct RecordProgress {
    /// The number of header bytes received (RFC 8446 §5.1); 0 between records.
    at: u8,
    /// The number of bytes missing after the header.
    missing: usize,
    /// The number of bytes received.
    len: usize,
}

impl RecordProgress {
    fn note(&mut self, mut data: &[u8]) {
        while let [first, rest @ ..] = data {
            if self.at < 5 {
                // Type and version, then the length.
                self.missing = match self.at {
                    0..3 => 0,
                    _ => self.missing << 8 | usize::from(*first),
                };
                self.at += 1;
                self.len += 1;
                data = rest;
            } else {
                let taken = self.missing.min(data.len());
                self.missing -= taken;
                self.len += taken;
                data = data.get(taken..).unwrap_or_default();
            }
            if self.at == 5 && self.missing == 0 {
                self.at = 0;
                self.len = 0;
            }
        }
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("handshaking", &self.handshaking)
            .field("identity", &self.identity)
            .field("peer_closed", &self.peer_closed)
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}
