//! The one pass over the bytes of a head: line ends as bits, 64 bytes at a time.

use crate::steps;

const BLOCK: usize = 64;

/// A search for line ends in bytes that keep arriving, which also notices bytes that a head must
/// not contain. It is written as plain loops over blocks, which become vector instructions.
#[derive(Debug)]
pub(crate) struct LineEnds {
    /// The line ends of the last block that were not returned yet, as bits.
    ends: u64,
    /// The start of the last block.
    block: usize,
    /// The start of the next block.
    next: usize,
    /// A control character, or a CR or LF without the other, stands somewhere in what was read:
    /// maybe in the body, of which the last block may hold a part.
    suspicious: bool,
}

impl LineEnds {
    pub(crate) const fn new() -> Self {
        // Byte 0 is of the start line and no line end; so every byte has one before it.
        Self {
            ends: 0,
            block: 1,
            next: 1,
            suspicious: false,
        }
    }

    /// The next LF in `data`, which contains the data of the last call, or more.
    #[inline(always)]
    pub(crate) fn next(&mut self, data: &[u8]) -> Option<usize> {
        if self.ends == 0 {
            self.find(data)?;
        }
        let at = self.peek();
        self.pop();
        at
    }

    /// The next LF, if one is known without reading on.
    #[inline(always)]
    pub(crate) fn peek(&self) -> Option<usize> {
        (self.ends != 0).then(|| self.block + self.ends.trailing_zeros() as usize)
    }

    /// Gives out that LF.
    #[inline(always)]
    pub(crate) fn pop(&mut self) {
        self.ends &= self.ends.wrapping_sub(1);
    }

    /// Reads up to a block with line ends.
    #[inline(never)]
    fn find(&mut self, data: &[u8]) -> Option<()> {
        while self.ends == 0 {
            let before = data.get(self.next - 1..)?;
            let (block, len) = match (before.first_chunk(), before.get(1..)?.first_chunk()) {
                (Some(before), Some(bytes)) => (read(before, bytes), BLOCK),
                _ => read_short(before)?,
            };
            steps::count(1);
            self.suspicious |= block.1;
            self.ends = block.0;
            self.block = self.next;
            self.next += len;
        }
        Some(())
    }

    pub(crate) fn is_suspicious(&self) -> bool {
        self.suspicious
    }
}

/// The bits of the LFs in `bytes`, and whether there is anything suspicious; `before` starts one
/// byte earlier.
#[inline]
fn read(before: &[u8; BLOCK], bytes: &[u8; BLOCK]) -> (u64, bool) {
    let mut feeds = [0_u8; BLOCK];
    let mut bad = 0_u8;
    for ((&b, &before), feed) in bytes.iter().zip(before).zip(&mut feeds) {
        *feed = u8::from(b == b'\n');
        let blank = (b == b'\t') | (b == b'\r') | (b == b'\n');
        bad |= u8::from((b < b' ') & !blank) | u8::from(b == 0x7f);
        bad |= u8::from(before == b'\r') ^ *feed;
    }
    let mut ends = 0;
    for (index, eight) in feeds.as_chunks().0.iter().enumerate() {
        // The product has the eight low bits of the eight bytes in its top byte.
        let bits = u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        ends |= bits << (8 * index);
    }
    (ends, bad != 0)
}

/// The same for less than a block; `None` if there is no byte. Also says how many there are.
#[cold]
fn read_short(before: &[u8]) -> Option<((u64, bool), usize)> {
    let len = before
        .len()
        .checked_sub(1)
        .filter(|&len| len > 0)?
        .min(BLOCK);
    let mut padded = [b' '; BLOCK];
    let mut padded_before = [b' '; BLOCK];
    padded.get_mut(..len)?.copy_from_slice(before.get(1..=len)?);
    padded_before
        .get_mut(..len)?
        .copy_from_slice(before.get(..len)?);
    Some((read(&padded_before, &padded), len))
}
