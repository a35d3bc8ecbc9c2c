use core::fmt;
use std::io::{BufRead, Write};
use std::sync::Arc;

use rustls::{
    ClientConnection, Connection, HandshakeKind, InvalidMessage, PeerIncompatible, ServerConnection,
};

use super::{Identity, NamePolicy, TlsConfig, TlsError, TlsName};
use crate::protocol::Protocol;

/// What one record carries at most (RFC 8446 §5.1).
const RECORD: usize = 16_384;
/// What one record adds at most: header, explicit nonce and tag of TLS 1.2 with AES-GCM.
const RECORD_OVERHEAD: usize = 5 + 8 + 16;
/// A key update or a last alert that may go with the data.
const MORE_OVERHEAD: usize = 64;

/// One side of one TLS connection: bytes in, bytes out; no sockets.
///
/// - Give [`read`](Self::read) what came from the socket; the plaintext goes into a sink.
/// - Send with [`write`](Self::write), once [`is_handshaking`](Self::is_handshaking) is false.
/// - After each of these, and after making one, [`flush`](Self::flush): handshake messages and
///   alerts wait there. After an error too: it is the alert that tells the peer why.
///
/// # Limits
///
/// A record that is not whole, or a handshake message, is kept: up to 18 KiB, 64 KiB in the
/// handshake. Plaintext that the sink does not take is kept until [`drain`](Self::drain) gives it:
/// if no more than 16 KiB are given to each `read`, and none while
/// [`plaintext_waits`](Self::plaintext_waits), that is at most 34 KiB.
pub struct Tls {
    connection: Connection,
    names: Option<NamePolicy>,
    identity: Option<Arc<Identity>>,
    handshaking: bool,
    peer_closed: bool,
    closed: bool,
    opening: Opening,
    record: Record,
    error: Option<TlsError>,
    /// An alert of ours, in the place of one of rustls.
    alert: Vec<u8>,
    /// Bytes of the plaintext in one record at most.
    fragment: usize,
    /// Plaintext that the sink did not take; its first `taken` bytes it has taken since.
    waiting: Vec<u8>,
    taken: usize,
}

impl Tls {
    /// Connects: [`flush`](Self::flush) has the ClientHello at once.
    ///
    /// The peer must prove to be `name`, which is sent as SNI unless it is an IP address
    /// (RFC 5922 §7.8, RFC 6066 §3). The protocol is TLS or secure WebSocket: their names are
    /// verified by different rules.
    pub fn client(
        config: &TlsConfig,
        protocol: Protocol,
        name: &TlsName,
    ) -> Result<Self, TlsError> {
        let side = config.client(protocol).ok_or(TlsError::NotConfigured)?;
        let server_name = name.to_server_name().ok_or(TlsError::Internal)?;
        let connection = ClientConnection::new(side.config.clone(), server_name)
            .map_err(|error| TlsError::from(&error))?;
        Ok(Self::new(
            connection.into(),
            side.names,
            side.config.max_fragment_size,
        ))
    }

    /// Accepts.
    pub fn server(config: &TlsConfig, protocol: Protocol) -> Result<Self, TlsError> {
        let side = config.server(protocol).ok_or(TlsError::NotConfigured)?;
        let connection =
            ServerConnection::new(side.config.clone()).map_err(|error| TlsError::from(&error))?;
        Ok(Self::new(
            connection.into(),
            side.names,
            side.config.max_fragment_size,
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
            opening: Opening::default(),
            record: Record::default(),
            error: None,
            alert: Vec::new(),
            // rustls counts the header of a record in.
            fragment: fragment.map_or(RECORD, |size| size.saturating_sub(5).clamp(1, RECORD)),
            waiting: Vec::new(),
            taken: 0,
        }
    }

    /// Takes all of what came from the socket, and gives the plaintext to the sink, which says how
    /// many bytes of a slice it takes; 0 means that it has no room.
    ///
    /// What follows the peer's `close_notify` is dropped (RFC 8446 §6.1).
    ///
    /// # Errors
    ///
    /// Ends the connection: nothing more is read, and each later call gives the same error.
    /// Plaintext from before it goes to the sink, or waits.
    pub fn read(
        &mut self,
        mut data: &[u8],
        sink: &mut dyn FnMut(&[u8]) -> usize,
    ) -> Result<(), TlsError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        self.opening.note(data);
        self.record.note(data);
        // To rustls an empty slice is the end of the stream.
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
            // It takes some each time; that it does not is a record or message beyond its limits.
            if !matches!(read, Ok(1..)) && !self.peer_closed {
                self.error = Some(TlsError::Protocol);
                return Err(TlsError::Protocol);
            }
        }
        Ok(())
    }

    /// Whether a record has begun and is not complete, so that what it holds is yet to come.
    pub fn is_inside_record(&self) -> bool {
        self.record.at > 0 && !self.peer_closed && self.error.is_none()
    }

    /// Gives plaintext that waits to the sink, as far as that takes it.
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

    /// Whether there is plaintext that the sink did not take.
    pub fn plaintext_waits(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// How many bytes are kept: of a record that is not complete, and of plaintext that the sink did
    /// not take.
    pub fn held(&self) -> usize {
        let waiting = self.waiting.len().saturating_sub(self.taken);
        match self.is_inside_record() {
            true => waiting.saturating_add(self.record.len),
            false => waiting,
        }
    }

    /// The stream from the peer ended.
    ///
    /// # Errors
    ///
    /// [`TlsError::Truncated`] if it ended without the peer's `close_notify`; the error of before,
    /// if there was one.
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

    /// Whether the peer's `close_notify` came: it sends no more.
    pub fn peer_closed(&self) -> bool {
        self.peer_closed
    }

    /// Encrypts all of `plain` to the end of `out`, behind what [`flush`](Self::flush) has.
    ///
    /// False, and nothing is taken: before the end of the handshake, after
    /// [`close`](Self::close), and after an error.
    #[must_use]
    pub fn write(&mut self, plain: &[u8], out: &mut Vec<u8>) -> bool {
        if self.handshaking || self.closed || self.error.is_some() {
            return false;
        }
        // Record by record, so that rustls never holds more than one: it has a limit of its own.
        for record in plain.chunks(self.fragment) {
            self.flush(out);
            if self.connection.writer().write_all(record).is_err() {
                return false;
            }
        }
        self.flush(out);
        true
    }

    /// How many bytes [`write`](Self::write) makes of so many at most.
    pub fn sealed_len_bound(&self, plain: usize) -> usize {
        let records = plain.div_ceil(self.fragment).max(1);
        records
            .saturating_mul(RECORD_OVERHEAD)
            .saturating_add(plain)
            .saturating_add(MORE_OVERHEAD)
    }

    /// Puts what TLS itself has to send to the end of `out`: handshake, alerts, key updates.
    pub fn flush(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.alert);
        while self.connection.wants_write() {
            // Writing to a `Vec` does not fail.
            if !matches!(self.connection.write_tls(out), Ok(1..)) {
                return;
            }
        }
    }

    /// Ends our side, with a `close_notify` to the end of `out`. What the peer still sends can be
    /// read.
    pub fn close(&mut self, out: &mut Vec<u8>) {
        if !self.closed {
            self.closed = true;
            self.connection.send_close_notify();
        }
        self.flush(out);
    }

    /// Whether the handshake goes on.
    ///
    /// With TLS 1.3 a client's ends before the server has seen the client's certificate: an alert
    /// about that comes later.
    pub fn is_handshaking(&self) -> bool {
        self.handshaking
    }

    /// Whom the peer has proven to be, from the end of the handshake on. `None` if it gave no
    /// certificate, or if verification is off.
    pub fn identity(&self) -> Option<&Arc<Identity>> {
        self.identity.as_ref()
    }

    /// The application protocol that was agreed on (ALPN).
    pub fn alpn(&self) -> Option<&[u8]> {
        self.connection.alpn_protocol()
    }

    /// The name that the client asked for (SNI), on a server that has heard it.
    pub fn requested_name(&self) -> Option<TlsName> {
        match &self.connection {
            Connection::Client(_) => None,
            Connection::Server(server) => TlsName::domain(server.server_name()?).ok(),
        }
    }

    /// The version of TLS, once it is agreed on.
    pub fn version(&self) -> Option<rustls::ProtocolVersion> {
        self.connection.protocol_version()
    }

    /// Whether an earlier session was taken up again. The identity is that session's.
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

    /// Takes plaintext that the sink left from rustls, which stops reading beyond 16 KiB of it.
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
                if !self.opening.is_tls() =>
            {
                TlsError::NotTls
            }
            rustls::Error::PeerIncompatible(
                PeerIncompatible::SignatureAlgorithmsExtensionRequired,
            ) if self.opening.is_before_tls12() => {
                // rustls misses the extension of TLS 1.2 before it looks at the version; the alert
                // for that is protocol_version (RFC 5246 §E.1).
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

/// The first bytes that came: of TLS, a record's header, and the type, length and version of a
/// ClientHello.
#[derive(Default)]
struct Opening {
    bytes: [u8; 11],
    len: usize,
}

impl Opening {
    fn note(&mut self, data: &[u8]) {
        for (to, from) in self.bytes.iter_mut().skip(self.len).zip(data) {
            *to = *from;
            self.len += 1;
        }
    }

    /// Whether it begins as a record does.
    fn is_tls(&self) -> bool {
        self.len > 0 && matches!(self.bytes[0], 20..=24)
    }

    /// Whether the version of a ClientHello is one before TLS 1.2.
    fn is_before_tls12(&self) -> bool {
        let [22, .., major, minor] = self.bytes else {
            return false;
        };
        self.len == self.bytes.len() && (major, minor) < (3, 3)
    }
}

/// Where in a record what came so far ends: rustls does not tell.
#[derive(Default)]
struct Record {
    /// Bytes of its header (RFC 8446 §5.1); 0 between records.
    at: u8,
    /// Bytes of it that are missing behind the header.
    missing: usize,
    /// Bytes of it that came.
    len: usize,
}

impl Record {
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
