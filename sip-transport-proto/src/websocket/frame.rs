//! Frames on the wire (RFC 6455 §5.2).

use std::io::Cursor;

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use super::Role;
use crate::error::ProtocolViolation;

/// The longest header: two bytes, a length of eight, a mask of four.
pub(super) const MAX_HEADER: usize = 14;
/// The longest payload of a control frame (RFC 6455 §5.5).
pub(super) const MAX_CONTROL: usize = 125;

/// The kind of a frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

impl Opcode {
    pub(super) fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

impl From<Opcode> for OpCode {
    fn from(opcode: Opcode) -> Self {
        match opcode {
            Opcode::Continuation => Self::Data(Data::Continue),
            Opcode::Text => Self::Data(Data::Text),
            Opcode::Binary => Self::Data(Data::Binary),
            Opcode::Close => Self::Control(Control::Close),
            Opcode::Ping => Self::Control(Control::Ping),
            Opcode::Pong => Self::Control(Control::Pong),
        }
    }
}

/// The header of a received frame, checked for the rules that a header alone can break.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReceivedHeader {
    pub(super) opcode: Opcode,
    pub(super) fin: bool,
    pub(super) mask: Option<[u8; 4]>,
    /// The length of the header itself.
    pub(super) len: usize,
    /// The length that the header announces: nothing is allocated for it.
    pub(super) payload_len: u64,
}

impl ReceivedHeader {
    /// Parses the header at the start of `bytes`, as received by `role`. `None` if more bytes are
    /// needed.
    pub(super) fn parse(bytes: &[u8], role: Role) -> Result<Option<Self>, ProtocolViolation> {
        let mut cursor = Cursor::new(bytes);
        let (header, payload_len) = match FrameHeader::parse(&mut cursor) {
            Ok(Some(parsed)) => parsed,
            Ok(None) => return Ok(None),
            Err(_) => return Err(ProtocolViolation::ReservedOpcode),
        };
        let opcode = match header.opcode {
            OpCode::Data(Data::Continue) => Opcode::Continuation,
            OpCode::Data(Data::Text) => Opcode::Text,
            OpCode::Data(Data::Binary) => Opcode::Binary,
            OpCode::Control(Control::Close) => Opcode::Close,
            OpCode::Control(Control::Ping) => Opcode::Ping,
            OpCode::Control(Control::Pong) => Opcode::Pong,
            OpCode::Data(Data::Reserved(_)) | OpCode::Control(Control::Reserved(_)) => {
                return Err(ProtocolViolation::ReservedOpcode);
            }
        };
        if header.rsv1 || header.rsv2 || header.rsv3 {
            return Err(ProtocolViolation::ReservedBit);
        }
        match (role, header.mask) {
            (Role::Server, None) => return Err(ProtocolViolation::Unmasked),
            (Role::Client, Some(_)) => return Err(ProtocolViolation::Masked),
            _ => {}
        }
        if opcode.is_control() {
            if !header.is_final {
                return Err(ProtocolViolation::FragmentedControl);
            }
            if payload_len > MAX_CONTROL as u64 {
                return Err(ProtocolViolation::LongControl);
            }
        }
        Ok(Some(Self {
            opcode,
            fin: header.is_final,
            mask: header.mask,
            // Not the shortest encoding of the length: a peer may have used a longer one.
            len: usize::try_from(cursor.position()).unwrap_or(MAX_HEADER),
            payload_len,
        }))
    }
}

/// Appends a frame that is a whole message or a control frame.
pub(super) fn write(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8], mask: Option<[u8; 4]>) {
    let header = FrameHeader {
        opcode: opcode.into(),
        mask,
        ..FrameHeader::default()
    };
    out.reserve(MAX_HEADER + payload.len());
    // Writing to a Vec cannot fail.
    let _ = header.format(payload.len() as u64, out);
    let start = out.len();
    out.extend_from_slice(payload);
    if let (Some(mask), Some(payload)) = (mask, out.get_mut(start..)) {
        apply_mask(payload, mask);
    }
}

/// Masks or unmasks a payload (RFC 6455 §5.3).
pub(super) fn apply_mask(payload: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide = u128::from_ne_bytes([a, b, c, d, a, b, c, d, a, b, c, d, a, b, c, d]);
    let (chunks, rest) = payload.as_chunks_mut::<16>();
    for chunk in chunks {
        *chunk = (u128::from_ne_bytes(*chunk) ^ wide).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}
