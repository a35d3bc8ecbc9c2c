//! Header rows.

use crate::Name;

/// The position of a header row in its text: `start..` is the name, `value..end` the value without
/// the white space around it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// `name as u8`.
    pub(crate) id: u8,
    /// The text is in the message's edit buffer, not in the bytes it was parsed from.
    pub(crate) edited: bool,
    pub(crate) start: u16,
    pub(crate) value: u16,
    pub(crate) end: u16,
}

/// A [`Row`] in eight bytes, so that a message can keep its rows behind its text in the same
/// allocation.
pub(crate) type Packed = [u8; 8];

impl Row {
    /// The id of a line that is not a header, which is kept and not shown.
    pub(crate) const NO_HEADER: u8 = u8::MAX;

    #[inline]
    pub(crate) fn pack(self) -> Packed {
        let [a, b] = self.start.to_le_bytes();
        let [c, d] = self.value.to_le_bytes();
        let [e, f] = self.end.to_le_bytes();
        [self.id, u8::from(self.edited), a, b, c, d, e, f]
    }

    #[inline]
    pub(crate) fn unpack([id, flags, a, b, c, d, e, f]: Packed) -> Self {
        Self {
            id,
            edited: flags != 0,
            start: u16::from_le_bytes([a, b]),
            value: u16::from_le_bytes([c, d]),
            end: u16::from_le_bytes([e, f]),
        }
    }

    #[inline]
    pub(crate) fn name(self) -> Name {
        Name::from_id(self.id)
    }

    /// The id of a packed row: `name as u8`.
    #[inline]
    pub(crate) fn id(packed: Packed) -> u8 {
        packed[0]
    }
}
