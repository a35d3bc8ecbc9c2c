//! What stands between the bytes of a socket and SIP messages: nothing, TLS, WebSocket, or both,
//! and before them what a load balancer says.

// Each feature that is left out takes the use of something with it.
#![cfg_attr(
    not(all(feature = "proxy", feature = "tls", feature = "ws")),
    allow(
        unused_mut,
        unused_variables,
        clippy::needless_pass_by_ref_mut,
        clippy::ptr_arg
    )
)]

use std::sync::Arc;

#[cfg(feature = "ws")]
use bytes::Bytes;
use sip_core::message::{Head, ParseError};
use sip_core::{Frame, Framer, Limits};

#[cfg(feature = "proxy")]
use crate::connection::proxy::{Header, Source};
use crate::error::CloseReason;
#[cfg(feature = "tls")]
use crate::protocol::Protocol;
use crate::tls::Identity;
#[cfg(feature = "tls")]
use crate::tls::{Tls, TlsConfig, TlsName};
#[cfg(feature = "ws")]
use crate::websocket::{
    CloseCode, Item, Refusal, UpgradeCheck, WebSocket, WebSocketConfig, WebSocketLimits,
};

/// What a frame and its mask add to a message at most (RFC 6455 §5.2).
#[cfg(feature = "ws")]
const FRAME_OVERHEAD: usize = 14;

/// The layers that a connection is to have. TLS begins with the first byte that can pass, so that
/// a silent peer costs nothing, and no work is done where the plan is made.
#[derive(Debug, Default)]
pub(crate) struct LayerPlan {
    /// A header of the PROXY protocol comes first, and may be that long.
    #[cfg(feature = "proxy")]
    pub(crate) proxy: Option<usize>,
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<TlsSide>,
    #[cfg(feature = "ws")]
    pub(crate) websocket: Option<(WebSocketSide, WebSocketLimits)>,
}

#[cfg(feature = "tls")]
#[derive(Debug)]
pub(crate) enum TlsSide {
    Client(TlsConfig, Protocol, TlsName),
    Server(TlsConfig, Protocol),
}

#[cfg(feature = "ws")]
#[derive(Debug)]
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
/// What fails is told by [`poll`](Self::poll), behind the pieces that came before it.
#[derive(Debug)]
pub(crate) struct Layers {
    #[cfg(feature = "proxy")]
    preface: Option<Box<Preface>>,
    #[cfg(feature = "tls")]
    tls: Security,
    framing: Framing,
    open: bool,
    failed: Option<CloseReason>,
    /// TLS has taken its leave. What comes is of no use, and not decrypted: rustls could not answer
    /// what is wrong in it, and in a debug build would panic.
    closed: bool,
    /// The peer has ended its direction.
    ended: bool,
}

/// What stands before everything else.
#[cfg(feature = "proxy")]
#[derive(Debug)]
enum Preface {
    Header(Header),
    /// To be told. What came behind the header waits, so that nothing is done for a peer, or said to
    /// it, that may not stay.
    Source(Source, Vec<u8>),
    /// Told: others decide whether it goes on.
    Asked(Vec<u8>),
}

#[cfg(feature = "tls")]
#[derive(Debug)]
enum Security {
    None,
    Planned(TlsSide),
    Tls(Box<Tls>),
}

#[derive(Debug)]
// A framer in a box would be one more allocation for each plain connection.
#[allow(clippy::large_enum_variant)]
enum Framing {
    Stream(Framer),
    #[cfg(feature = "ws")]
    WebSocket(Box<SocketLayer>),
}

#[cfg(feature = "ws")]
#[derive(Debug)]
struct SocketLayer {
    machine: WebSocket,
    /// The message that was given out last.
    message: Bytes,
}

/// A piece of what came.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "indexing must not allocate")]
pub(crate) enum Inbound<'a> {
    /// A load balancer has said who has connected, or has not; to be answered by
    /// [`Layers::admit`].
    #[cfg(feature = "proxy")]
    Announced(Source),
    /// TLS and WebSocket are agreed on.
    Open,
    /// A question to the application, to be answered by [`Layers::decide`].
    #[cfg(feature = "ws")]
    Asked(UpgradeCheck),
    /// A message cut out of a stream.
    Message { head: Head, data: &'a [u8] },
    /// What must be one whole message (RFC 7118 §5).
    #[cfg(feature = "ws")]
    Whole(&'a [u8]),
    /// A sign of life: a ping that is answered already.
    #[cfg(feature = "ws")]
    Alive,
    /// A single CRLF, or a pong frame: the answer to a ping, if one was sent.
    Pong,
    /// A CRLF ping, to be answered (RFC 5626 §4.4.1).
    Ping,
}

/// Why there is no further piece, ever.
#[derive(Debug)]
pub(crate) enum LayerFault {
    /// What came is no SIP; [`Layers::rest`] has it.
    Framing(ParseError),
    /// A layer failed; its last words wait to be sent.
    Layer(CloseReason),
}

impl Layers {
    pub(crate) fn new(plan: LayerPlan, limits: Limits) -> Self {
        #[cfg(feature = "ws")]
        let framing = match plan.websocket {
            None => Framing::Stream(Framer::new(limits)),
            Some((side, limits)) => Framing::WebSocket(Box::new(SocketLayer::new(side, limits))),
        };
        #[cfg(not(feature = "ws"))]
        let framing = Framing::Stream(Framer::new(limits));
        Self {
            #[cfg(feature = "proxy")]
            preface: plan
                .proxy
                .map(|max| Box::new(Preface::Header(Header::new(max)))),
            #[cfg(feature = "tls")]
            tls: plan.tls.map_or(Security::None, Security::Planned),
            open: false,
            framing,
            failed: None,
            closed: false,
            ended: false,
        }
        .opened_if_bare()
    }

    /// Without layers there is nothing to agree on.
    fn opened_if_bare(mut self) -> Self {
        let bare = !self.has_tls() && !self.has_preface();
        self.open = matches!(self.framing, Framing::Stream(_)) && bare;
        self
    }

    fn has_preface(&self) -> bool {
        #[cfg(feature = "proxy")]
        return self.preface.is_some();
        #[cfg(not(feature = "proxy"))]
        false
    }

    fn has_tls(&self) -> bool {
        #[cfg(feature = "tls")]
        return !matches!(self.tls, Security::None);
        #[cfg(not(feature = "tls"))]
        false
    }

    /// Whether messages can pass.
    pub(crate) fn are_open(&self) -> bool {
        self.open
    }

    /// Bytes can pass.
    pub(crate) fn start(&mut self) {
        #[cfg(feature = "tls")]
        if let Security::Planned(side) = &self.tls {
            let tls = match side {
                TlsSide::Client(config, protocol, name) => Tls::client(config, *protocol, name),
                TlsSide::Server(config, protocol) => Tls::server(config, *protocol),
            };
            match tls {
                Ok(tls) => self.tls = Security::Tls(Box::new(tls)),
                Err(error) => self.failed = Some(CloseReason::Tls(error)),
            }
        }
    }

    /// How many bytes [`push`](Self::push) takes.
    pub(crate) fn capacity_left(&self) -> usize {
        #[cfg(feature = "proxy")]
        if let Some(Preface::Source(..) | Preface::Asked(_)) = self.preface.as_deref() {
            return 0;
        }
        let capacity = self.framing.capacity_left();
        #[cfg(feature = "tls")]
        if let Security::Tls(tls) = &self.tls {
            return if tls.plaintext_waits() { 0 } else { capacity };
        }
        capacity
    }

    /// Takes bytes that were read, and says how many.
    pub(crate) fn push(&mut self, data: &[u8]) -> usize {
        let taken = data.len().min(self.capacity_left());
        let data = data.get(..taken).unwrap_or_default();
        if taken == 0 || self.failed.is_some() || self.closed || self.ended {
            return taken;
        }
        #[cfg(feature = "proxy")]
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

    /// Reads what is behind the header of a load balancer, if there is one.
    fn read(&mut self, data: &[u8]) {
        #[cfg(feature = "tls")]
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

    /// Who was announced may go on.
    #[cfg(feature = "proxy")]
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

    /// The socket has ended. What came before it is still given out.
    pub(crate) fn end(&mut self) {
        #[cfg(feature = "tls")]
        if let Security::Tls(tls) = &mut self.tls
            && self.failed.is_none()
            && let Err(error) = tls.eof()
        {
            self.failed = Some(CloseReason::Tls(error));
        }
        self.ended = true;
    }

    /// Whether the peer has ended its direction, with a word of its own or without.
    pub(crate) fn has_ended(&self) -> bool {
        #[cfg(feature = "tls")]
        if let Security::Tls(tls) = &self.tls {
            return self.ended || tls.peer_closed();
        }
        self.ended
    }

    /// The next piece, or `None` until more bytes come.
    pub(crate) fn poll(&mut self) -> Result<Option<Inbound<'_>>, LayerFault> {
        #[cfg(feature = "proxy")]
        if let Some(preface) = self.preface.as_deref_mut()
            && let Preface::Source(source, behind) = preface
        {
            let (source, behind) = (*source, core::mem::take(behind));
            *preface = Preface::Asked(behind);
            return Ok(Some(Inbound::Announced(source)));
        }
        if self.has_preface() {
            return self
                .failed
                .map_or(Ok(None), |reason| Err(LayerFault::Layer(reason)));
        }
        #[cfg(feature = "tls")]
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
            #[cfg(feature = "ws")]
            Framing::WebSocket(socket) if secured => socket.poll().map_err(LayerFault::Layer)?,
            #[cfg(feature = "ws")]
            Framing::WebSocket(_) => None,
        };
        match (&piece, self.failed) {
            (None, Some(reason)) => return Err(LayerFault::Layer(reason)),
            (Some(Inbound::Open), _) => self.open = true,
            _ => {}
        }
        Ok(piece)
    }

    /// What the application said to a [`Inbound::Asked`].
    #[cfg(feature = "ws")]
    pub(crate) fn decide(&mut self, decision: Result<(), Refusal>) {
        if let Framing::WebSocket(socket) = &mut self.framing {
            socket.machine.decide(decision);
        }
    }

    /// What was read and not given out: after an error of framing, the message at fault.
    pub(crate) fn rest(&self) -> &[u8] {
        match &self.framing {
            Framing::Stream(framer) => framer.rest(),
            #[cfg(feature = "ws")]
            Framing::WebSocket(_) => &[],
        }
    }

    /// Whether a message has begun and is not complete, or what may hold one.
    pub(crate) fn are_inside_message(&self) -> bool {
        #[cfg(feature = "tls")]
        if let Security::Tls(tls) = &self.tls
            && tls.is_inside_record()
        {
            return true;
        }
        match &self.framing {
            Framing::Stream(framer) => framer.is_inside_message(),
            #[cfg(feature = "ws")]
            Framing::WebSocket(socket) => socket.machine.is_inside_message(),
        }
    }

    /// Whether bytes were read and not given out.
    pub(crate) fn hold_bytes(&self) -> bool {
        self.framing.buffered() > 0
    }

    /// How many bytes were read and not given out, in all layers.
    pub(crate) fn held(&self) -> usize {
        let mut held = self.framing.buffered();
        #[cfg(feature = "tls")]
        if let Security::Tls(tls) = &self.tls {
            held = held.saturating_add(tls.held());
        }
        #[cfg(feature = "proxy")]
        if let Some(preface) = self.preface.as_deref() {
            held = held.saturating_add(match preface {
                Preface::Header(header) => header.len(),
                Preface::Source(_, behind) | Preface::Asked(behind) => behind.len(),
            });
        }
        held
    }

    /// The most bytes that a message becomes.
    pub(crate) fn bound(&self, message: usize) -> usize {
        #[cfg(feature = "ws")]
        let message = match &self.framing {
            Framing::Stream(_) => message,
            Framing::WebSocket(_) => message.saturating_add(FRAME_OVERHEAD),
        };
        #[cfg(feature = "tls")]
        if let Security::Tls(tls) = &self.tls {
            return tls.sealed_len_bound(message);
        }
        message
    }

    /// Makes the bytes that carry a message, which is at most [`bound`](Self::bound) more of them.
    pub(crate) fn seal(&mut self, message: &[u8], out: &mut Vec<u8>) {
        match &mut self.framing {
            Framing::Stream(_) => seal_stream(
                #[cfg(feature = "tls")]
                &mut self.tls,
                message,
                out,
            ),
            #[cfg(feature = "ws")]
            Framing::WebSocket(socket) => {
                // The connection sends nothing before this is open, and nothing after its close.
                let _sent = socket.machine.send(message);
                self.flush(out);
            }
        }
    }

    /// Makes a ping frame (RFC 6455 §5.5.2). False where there are no frames.
    #[cfg(feature = "ws")]
    pub(crate) fn ping(&mut self, out: &mut Vec<u8>) -> bool {
        let Framing::WebSocket(socket) = &mut self.framing else {
            return false;
        };
        let sent = socket.machine.ping(&[]).is_ok();
        self.flush(out);
        sent
    }

    /// The CRLF that came last was the answer to our own ping: what follows begins anew.
    pub(crate) fn take_pong(&mut self) {
        match &mut self.framing {
            Framing::Stream(framer) => framer.take_pong(),
            #[cfg(feature = "ws")]
            Framing::WebSocket(_) => {}
        }
    }

    /// Makes the bytes that the layers themselves have to send.
    pub(crate) fn flush(&mut self, out: &mut Vec<u8>) {
        #[cfg(feature = "ws")]
        if self.is_secured()
            && let Framing::WebSocket(socket) = &mut self.framing
        {
            #[cfg(feature = "tls")]
            if let Security::Tls(tls) = &mut self.tls {
                let mut frames = Vec::new();
                socket.machine.take_output(&mut frames);
                if !frames.is_empty() {
                    // It takes none after its end, and then they are of no use.
                    let _taken = tls.write(&frames, out);
                }
            } else {
                socket.machine.take_output(out);
            }
            #[cfg(not(feature = "tls"))]
            socket.machine.take_output(out);
        }
        #[cfg(feature = "tls")]
        if let Security::Tls(tls) = &mut self.tls {
            tls.flush(out);
        }
    }

    /// Takes leave of the peer: nothing is sent after it. If the peer is to answer, it has to be
    /// called again when that has come.
    pub(crate) fn close(&mut self, out: &mut Vec<u8>) {
        #[cfg(feature = "ws")]
        if self.open
            && let Framing::WebSocket(socket) = &mut self.framing
        {
            socket.machine.close(CloseCode::GoingAway);
        }
        self.flush(out);
        // First the leave of WebSocket, then that of TLS (RFC 6455 §7.1.1).
        #[cfg(feature = "tls")]
        if let Security::Tls(tls) = &mut self.tls
            && self.failed.is_none()
            && !self.framing.is_closing()
        {
            self.closed = true;
            tls.close(out);
        }
    }

    /// Whether the peer has yet to answer the leave that was taken (RFC 6455 §7.1.1).
    pub(crate) fn await_close(&self) -> bool {
        match &self.framing {
            // A socket that closes with bytes unread, be they session tickets that nobody asked
            // for, is reset: the peer may lose what was sent last (RFC 1122 §4.2.2.13).
            #[cfg(feature = "tls")]
            Framing::Stream(_) if self.open && self.failed.is_none() => {
                matches!(&self.tls, Security::Tls(tls) if !tls.peer_closed())
            }
            Framing::Stream(_) => false,
            #[cfg(feature = "ws")]
            Framing::WebSocket(_) => self.framing.is_closing(),
        }
    }

    /// Whom the peer has proved to be.
    pub(crate) fn identity(&self) -> Option<Arc<Identity>> {
        #[cfg(feature = "tls")]
        if let Security::Tls(tls) = &self.tls {
            return tls.identity().cloned();
        }
        None
    }

    /// Whether plaintext can pass through TLS, if there is any.
    fn is_secured(&self) -> bool {
        if self.has_preface() {
            return false;
        }
        #[cfg(feature = "tls")]
        match &self.tls {
            Security::None => {}
            Security::Planned(_) => return false,
            Security::Tls(tls) => return !tls.is_handshaking(),
        }
        true
    }
}

fn seal_stream(#[cfg(feature = "tls")] tls: &mut Security, message: &[u8], out: &mut Vec<u8>) {
    #[cfg(feature = "tls")]
    if let Security::Tls(tls) = tls {
        // The connection sends nothing before this is open, and nothing after its close.
        let _taken = tls.write(message, out);
        return;
    }
    out.extend_from_slice(message);
}

impl Framing {
    /// Whether an answer to our leave is due.
    #[cfg(any(feature = "tls", feature = "ws"))]
    fn is_closing(&self) -> bool {
        match self {
            Self::Stream(_) => false,
            #[cfg(feature = "ws")]
            Self::WebSocket(socket) => socket.machine.is_closing(),
        }
    }

    fn capacity_left(&self) -> usize {
        match self {
            Self::Stream(framer) => framer.capacity_left(),
            #[cfg(feature = "ws")]
            Self::WebSocket(socket) => socket.machine.capacity_left(),
        }
    }

    /// How many bytes were taken and not given out.
    fn buffered(&self) -> usize {
        match self {
            Self::Stream(framer) => framer.buffered(),
            #[cfg(feature = "ws")]
            Self::WebSocket(socket) => socket.machine.buffered(),
        }
    }

    fn push(&mut self, data: &[u8]) -> usize {
        match self {
            Self::Stream(framer) => framer.push(data),
            #[cfg(feature = "ws")]
            Self::WebSocket(socket) => socket.machine.push(data),
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

#[cfg(feature = "ws")]
impl SocketLayer {
    fn new(side: WebSocketSide, limits: WebSocketLimits) -> Self {
        let machine = match side {
            WebSocketSide::Client { config, host, seed } => {
                WebSocket::client(&config, &host, seed, limits)
            }
            WebSocketSide::Server(config) => WebSocket::server(&config, limits),
        };
        Self {
            machine,
            message: Bytes::new(),
        }
    }

    fn poll(&mut self) -> Result<Option<Inbound<'_>>, CloseReason> {
        self.message = Bytes::new();
        let item = self.machine.poll().map_err(CloseReason::WebSocket)?;
        Ok(match item {
            None => None,
            Some(Item::Asked(check)) => Some(Inbound::Asked(check)),
            Some(Item::Accepted(_) | Item::Connected(_)) => Some(Inbound::Open),
            // Nobody but the peer began to close.
            Some(Item::Closed(_)) => return Err(CloseReason::Peer),
            // RFC 7118 §6: CRLF keep-alives come as messages.
            Some(Item::Message { data, .. }) if data.iter().all(|b| matches!(b, b'\r' | b'\n')) => {
                Some(if data.len() > 2 {
                    Inbound::Ping
                } else {
                    Inbound::Pong
                })
            }
            Some(Item::Pong) => Some(Inbound::Pong),
            Some(Item::Message { data, .. }) => {
                self.message = data;
                Some(Inbound::Whole(&self.message))
            }
            Some(_) => Some(Inbound::Alive),
        })
    }
}
