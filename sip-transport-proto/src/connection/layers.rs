//! The layers between the bytes of a socket and SIP messages: none, TLS, WebSocket, or both, and
//! ahead of them the PROXY header of a load balancer.

use std::sync::Arc;

use sip_core::message::{Head, ParseError};
use sip_core::{Frame, Framer, Limits};

use crate::connection::proxy::{Header, Source};
use crate::connection::websocket::WebSocketLayer;
use crate::error::CloseReason;
use crate::protocol::Protocol;
use crate::tls::{Identity, Tls, TlsConfig, TlsName};
use crate::websocket::{Refusal, UpgradeCheck, WebSocketConfig, WebSocketLimits};

/// The layers planned for a connection. TLS starts with the first byte that can pass, so that a
/// silent peer costs nothing, and no work is done where the plan is made.
#[derive(Debug, Default)]
pub(crate) struct LayerSetup {
    /// The PROXY header that is expected first.
    pub(crate) proxy: Option<Header>,
    pub(crate) tls: Option<TlsSide>,
    pub(crate) websocket: Option<(WebSocketSide, WebSocketLimits)>,
}

#[derive(Debug)]
pub(crate) enum TlsSide {
    Client(TlsConfig, Protocol, TlsName),
    Server(TlsConfig, Protocol),
}

#[derive(Debug)]
#[cfg_attr(not(feature = "ws"), expect(dead_code, reason = "it is never read"))]
pub(crate) enum WebSocketSide {
    Client {
        config: WebSocketConfig,
        host: String,
        seed: [u8; 32],
    },
    Server(WebSocketConfig),
}

/// The layers of one connection. Bytes in, pieces of SIP out; messages in, bytes out.
///
/// An error is reported by [`poll`](Self::poll), after the pieces that arrived before it.
#[derive(Debug)]
pub(crate) struct Layers {
    preface: Option<Box<Preface>>,
    tls: Security,
    framing: Framing,
    open: bool,
    failed: Option<CloseReason>,
    /// We have sent `close_notify`; later input is discarded undecrypted: rustls could not answer
    /// errors in it, and in a debug build would panic.
    closed: bool,
    /// The peer has closed its direction.
    ended: bool,
}

/// The state of the PROXY header, which precedes everything else.
#[derive(Debug)]
enum Preface {
    Header(Header),
    /// Parsed, and to be reported. Bytes after the header wait, so that no work is done for, and
    /// nothing is sent to, a peer that may be refused.
    Source(Source, Vec<u8>),
    /// Reported: the router and the application decide whether the connection continues.
    Asked(Vec<u8>),
}

#[derive(Debug)]
enum Security {
    None,
    Planned(TlsSide),
    Tls(Box<Tls>),
}

#[derive(Debug)]
// Boxing the framer would cost one more allocation for each plain connection.
#[allow(clippy::large_enum_variant)]
enum Framing {
    Stream(Framer),
    WebSocket(Box<WebSocketLayer>),
}

/// A piece of the input.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "indexing must not allocate")]
#[cfg_attr(
    not(feature = "ws"),
    expect(dead_code, reason = "some are never constructed")
)]
pub(crate) enum Inbound<'a> {
    /// A PROXY header has been received, with the source it names; to be answered by
    /// [`Layers::admit`].
    Announced(Source),
    /// TLS and WebSocket are negotiated.
    Open,
    /// A question to the application, to be answered by [`Layers::decide`].
    Asked(UpgradeCheck),
    /// A message cut out of a stream.
    Message { head: Head, data: &'a [u8] },
    /// Bytes that must be one whole message (RFC 7118 §5).
    Whole(&'a [u8]),
    /// A WebSocket ping, which is answered already.
    Alive,
    /// A single CRLF, or a pong frame: the answer to a ping, if one was sent.
    Pong,
    /// A CRLF ping, to be answered (RFC 5626 §4.4.1).
    Ping,
}

/// The reason that no further piece will follow.
#[derive(Debug)]
pub(crate) enum LayerFault {
    /// The input is not SIP; [`Layers::rest`] has it.
    Framing(ParseError),
    /// A layer failed; its final bytes wait to be sent.
    Layer(CloseReason),
}

impl Layers {
    pub(crate) fn new(plan: LayerSetup, limits: Limits) -> Self {
        let websocket = plan.websocket.map(WebSocketLayer::new);
        let mut layers = Self {
            preface: plan.proxy.map(|header| Box::new(Preface::Header(header))),
            tls: plan.tls.map_or(Security::None, Security::Planned),
            framing: match websocket {
                None => Framing::Stream(Framer::new(limits)),
                Some(websocket) => Framing::WebSocket(websocket),
            },
            open: false,
            failed: None,
            closed: false,
            ended: false,
        };
        // Without layers there is nothing to negotiate.
        layers.open = layers.preface.is_none()
            && matches!(layers.tls, Security::None)
            && matches!(layers.framing, Framing::Stream(_));
        layers
    }

    /// Returns true if messages can pass.
    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    /// Starts the handshakes, as bytes can pass now.
    pub(crate) fn start(&mut self) {
        if let Security::Planned(side) = &self.tls {
            let tls = match side {
                TlsSide::Client(config, protocol, name) => Tls::client(config, *protocol, name),
                TlsSide::Server(config, protocol) => Tls::server(config, *protocol),
            };
            match tls.map(Box::new) {
                Ok(tls) => self.tls = Security::Tls(tls),
                Err(error) => self.failed = Some(CloseReason::Tls(error)),
            }
        }
    }

    /// The number of bytes that [`push`](Self::push) accepts.
    pub(crate) fn capacity_left(&self) -> usize {
        if let Some(Preface::Source(..) | Preface::Asked(_)) = self.preface.as_deref() {
            return 0;
        }
        let capacity = self.framing.capacity_left();
        if let Security::Tls(tls) = &self.tls {
            return if tls.plaintext_waits() { 0 } else { capacity };
        }
        capacity
    }

    /// Takes bytes that were read, and returns the number accepted.
    pub(crate) fn push(&mut self, data: &[u8]) -> usize {
        let taken = data.len().min(self.capacity_left());
        let data = data.get(..taken).unwrap_or_default();
        if taken == 0 || self.failed.is_some() || self.closed || self.ended {
            return taken;
        }
        if let Some(Preface::Header(header)) = self.preface.as_deref_mut() {
            match header.push(data) {
                Ok((_, None)) => {}
                Ok((header, Some(source))) => {
                    let behind = data.get(header..).unwrap_or_default().to_vec();
                    self.preface = Some(Box::new(Preface::Source(source, behind)));
                }
                Err(error) => self.failed = Some(CloseReason::Proxy(error)),
            }
            return taken;
        }
        self.read(data);
        taken
    }

    /// Reads the bytes after the PROXY header, if there is one.
    fn read(&mut self, data: &[u8]) {
        if !matches!(self.tls, Security::None) && !data.is_empty() {
            self.start();
            if let Security::Tls(tls) = &mut self.tls {
                let framing = &mut self.framing;
                if let Err(error) = tls.read(data, &mut |plain| framing.push(plain)) {
                    self.failed = Some(CloseReason::Tls(error));
                }
            }
            return;
        }
        self.framing.push(data);
    }

    /// Admits the peer that the PROXY header announced.
    pub(crate) fn admit(&mut self) {
        let Some(Preface::Asked(behind)) = self.preface.as_deref_mut() else {
            return;
        };
        let behind = core::mem::take(behind);
        self.preface = None;
        self.read(&behind);
        if self.ended {
            self.end();
        }
    }

    /// Handles the end of the socket's input. What was received before it is still returned.
    pub(crate) fn end(&mut self) {
        if let Security::Tls(tls) = &mut self.tls
            && self.failed.is_none()
            && let Err(error) = tls.eof()
        {
            self.failed = Some(CloseReason::Tls(error));
        }
        self.ended = true;
    }

    /// Returns true if the peer has closed its direction, with a closing message or without.
    pub(crate) fn has_ended(&self) -> bool {
        if let Security::Tls(tls) = &self.tls {
            return self.ended || tls.peer_closed();
        }
        self.ended
    }

    /// The next piece, or `None` until more bytes arrive.
    pub(crate) fn poll(&mut self) -> Result<Option<Inbound<'_>>, LayerFault> {
        if let Some(preface) = self.preface.as_deref_mut()
            && let Preface::Source(source, behind) = preface
        {
            let (source, behind) = (*source, core::mem::take(behind));
            *preface = Preface::Asked(behind);
            return Ok(Some(Inbound::Announced(source)));
        }
        if self.preface.is_some() {
            return self
                .failed
                .map_or(Ok(None), |reason| Err(LayerFault::Layer(reason)));
        }
        if let Security::Tls(tls) = &mut self.tls {
            let framing = &mut self.framing;
            tls.drain(&mut |plain| framing.push(plain));
        }
        let secured = self.is_secured();
        let piece = match &mut self.framing {
            Framing::Stream(_) if !self.open && secured => Some(Inbound::Open),
            Framing::Stream(framer) => {
                let frame = framer.poll().map_err(LayerFault::Framing)?;
                frame.map(Inbound::from)
            }
            Framing::WebSocket(socket) if secured => socket.poll().map_err(LayerFault::Layer)?,
            Framing::WebSocket(_) => None,
        };
        match (&piece, self.failed) {
            (None, Some(reason)) => return Err(LayerFault::Layer(reason)),
            (Some(Inbound::Open), _) => self.open = true,
            _ => {}
        }
        Ok(piece)
    }

    /// Takes the application's answer to an [`Inbound::Asked`].
    pub(crate) fn decide(&mut self, decision: Result<(), Refusal>) {
        if let Framing::WebSocket(socket) = &mut self.framing {
            socket.decide(decision);
        }
    }

    /// The bytes that were read and not returned: after a framing error, the message at fault.
    pub(crate) fn rest(&self) -> &[u8] {
        match &self.framing {
            Framing::Stream(framer) => framer.rest(),
            Framing::WebSocket(_) => &[],
        }
    }

    /// Returns true if a message, or something that may hold one, is incomplete.
    pub(crate) fn is_inside_message(&self) -> bool {
        if let Security::Tls(tls) = &self.tls
            && tls.is_inside_record()
        {
            return true;
        }
        match &self.framing {
            Framing::Stream(framer) => framer.is_inside_message(),
            Framing::WebSocket(socket) => socket.is_inside_message(),
        }
    }

    /// Returns true if bytes were read and not returned.
    pub(crate) fn holds_bytes(&self) -> bool {
        self.framing.buffered() > 0
    }

    /// The number of bytes that were read and not returned, in all layers.
    pub(crate) fn held(&self) -> usize {
        let mut held = self.framing.buffered();
        if let Security::Tls(tls) = &self.tls {
            held = held.saturating_add(tls.held());
        }
        if let Some(preface) = self.preface.as_deref() {
            held = held.saturating_add(match preface {
                Preface::Header(header) => header.len(),
                Preface::Source(_, behind) | Preface::Asked(behind) => behind.len(),
            });
        }
        held
    }

    /// The maximum number of bytes that a message becomes.
    pub(crate) fn bound(&self, message: usize) -> usize {
        let message = match &self.framing {
            Framing::Stream(_) => message,
            Framing::WebSocket(socket) => socket.bound(message),
        };
        if let Security::Tls(tls) = &self.tls {
            return tls.sealed_len_bound(message);
        }
        message
    }

    /// Appends the bytes that carry a message, at most [`bound`](Self::bound) of them.
    pub(crate) fn seal(&mut self, message: &[u8], out: &mut Vec<u8>) {
        match &mut self.framing {
            Framing::Stream(_) => match &mut self.tls {
                Security::Tls(tls) => {
                    // The connection sends nothing before this is open, and nothing after its
                    // close.
                    let _taken = tls.write(message, out);
                }
                Security::None | Security::Planned(_) => out.extend_from_slice(message),
            },
            Framing::WebSocket(socket) => {
                socket.send(message);
                self.flush(out);
            }
        }
    }

    /// Appends a ping frame (RFC 6455 §5.5.2). Returns false without a WebSocket.
    pub(crate) fn ping(&mut self, out: &mut Vec<u8>) -> bool {
        let Framing::WebSocket(socket) = &mut self.framing else {
            return false;
        };
        let sent = socket.ping();
        self.flush(out);
        sent
    }

    /// Takes the last CRLF as the answer to our own ping: the count of line ends starts anew.
    pub(crate) fn take_pong(&mut self) {
        match &mut self.framing {
            Framing::Stream(framer) => framer.take_pong(),
            Framing::WebSocket(_) => {}
        }
    }

    /// Appends the bytes that the layers themselves have to send.
    pub(crate) fn flush(&mut self, out: &mut Vec<u8>) {
        let secured = self.is_secured();
        match (&mut self.framing, &mut self.tls) {
            (Framing::WebSocket(socket), Security::Tls(tls)) if secured => {
                let mut frames = Vec::new();
                socket.take_output(&mut frames);
                if !frames.is_empty() {
                    // TLS accepts no plaintext after `close_notify`; the frames are dropped.
                    let _taken = tls.write(&frames, out);
                }
            }
            (Framing::WebSocket(socket), _) if secured => socket.take_output(out),
            _ => {}
        }
        if let Security::Tls(tls) = &mut self.tls {
            tls.flush(out);
        }
    }

    /// Closes the layers: nothing is sent after it. If the peer has to answer, call it again once
    /// the answer has arrived.
    pub(crate) fn close(&mut self, out: &mut Vec<u8>) {
        if self.open
            && let Framing::WebSocket(socket) = &mut self.framing
        {
            socket.close();
        }
        self.flush(out);
        // The WebSocket close frame precedes `close_notify` (RFC 6455 §7.1.1).
        if let Security::Tls(tls) = &mut self.tls
            && self.failed.is_none()
            && !self.framing.is_closing()
        {
            self.closed = true;
            tls.close(out);
        }
    }

    /// Returns true if the peer has yet to answer our close (RFC 6455 §7.1.1).
    pub(crate) fn await_close(&self) -> bool {
        match &self.framing {
            // A socket that is closed with unread bytes, even unsolicited session tickets, is
            // reset: the peer may lose what was sent last (RFC 1122 §4.2.2.13).
            Framing::Stream(_) if self.open && self.failed.is_none() => {
                matches!(&self.tls, Security::Tls(tls) if !tls.peer_closed())
            }
            Framing::Stream(_) => false,
            Framing::WebSocket(_) => self.framing.is_closing(),
        }
    }

    /// The identity that the peer has proved.
    pub(crate) fn identity(&self) -> Option<Arc<Identity>> {
        if let Security::Tls(tls) = &self.tls {
            return tls.identity().cloned();
        }
        None
    }

    /// Returns true if plaintext can pass through TLS, or there is no TLS.
    fn is_secured(&self) -> bool {
        if self.preface.is_some() {
            return false;
        }
        match &self.tls {
            Security::None => true,
            Security::Planned(_) => false,
            Security::Tls(tls) => !tls.is_handshaking(),
        }
    }
}

impl Framing {
    /// Returns true if an answer to our close is due.
    fn is_closing(&self) -> bool {
        match self {
            Self::Stream(_) => false,
            Self::WebSocket(socket) => socket.is_closing(),
        }
    }

    fn capacity_left(&self) -> usize {
        match self {
            Self::Stream(framer) => framer.capacity_left(),
            Self::WebSocket(socket) => socket.capacity_left(),
        }
    }

    /// The number of bytes that were taken and not returned.
    fn buffered(&self) -> usize {
        match self {
            Self::Stream(framer) => framer.buffered(),
            Self::WebSocket(socket) => socket.buffered(),
        }
    }

    fn push(&mut self, data: &[u8]) -> usize {
        match self {
            Self::Stream(framer) => framer.push(data),
            Self::WebSocket(socket) => socket.push(data),
        }
    }
}

impl<'a> From<Frame<'a>> for Inbound<'a> {
    fn from(frame: Frame<'a>) -> Self {
        match frame {
            Frame::Message { head, data } => Self::Message { head, data },
            Frame::Ping => Self::Ping,
            _ => Self::Pong,
        }
    }
}
