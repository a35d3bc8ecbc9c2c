//! The errors of encoding and decoding.

use thiserror::Error;

/// The reason that a frame cannot be decoded, and where.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("{fault}, at offset {offset}")]
#[non_exhaustive]
pub struct DecodeError {
    /// What is wrong.
    pub fault: Fault,
    /// The position in the frame, in bytes: of the chunk at fault, if one is.
    pub offset: usize,
}

/// A fault of a frame.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum Fault {
    /// It does not begin with `HEP3`.
    #[error("expected \"HEP3\"")]
    Magic,
    /// The frame's length is that of less than a header, or of more bytes than came.
    #[error("expected the length of the frame, got {0}")]
    FrameLength(u16),
    /// Bytes follow the frame.
    #[error("{0} bytes follow the frame")]
    Trailing(usize),
    /// The frame ends within a chunk's header.
    #[error("expected a chunk, got {0} bytes")]
    ShortChunk(usize),
    /// A chunk's length is that of less than its header, or of more than is left of the frame.
    #[error("expected the length of a chunk, got {0}")]
    ChunkLength(u16),
    /// The value of a chunk of this type has another length than it must have.
    #[error("chunk {0}: a value of the wrong length")]
    ValueLength(u16),
    /// A chunk of this type has a value that has no meaning.
    #[error("chunk {kind}: unknown value {value}")]
    Value {
        /// The chunk's type.
        kind: u16,
        /// The value.
        value: u32,
    },
    /// A second chunk of this type.
    #[error("a second chunk {0}")]
    Repeated(u16),
    /// There is no chunk of this type.
    #[error("expected a chunk {0}")]
    Missing(u16),
}

/// The reason that a message cannot be encoded.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum EncodeError {
    /// The frame would be longer than its length field can say.
    #[error("a frame of {0} bytes is longer than 65535")]
    TooLong(usize),
}
