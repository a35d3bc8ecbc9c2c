//! Positions in a head, for parts that are kept beside it.

use core::net::{Ipv4Addr, Ipv6Addr};
use core::ops::Range;

/// A part of a head. It has at most 65,535 bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    start: u16,
    len: u16,
}

/// A host and port, the name as a position.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HostPortSpan {
    pub(crate) host: HostSpan,
    pub(crate) port: Option<u16>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum HostSpan {
    Name(Span),
    V4(Ipv4Addr),
    V6(Ipv6Addr),
}

impl Span {
    /// The position of `part` in `base`; `None` if it is not a part of it.
    #[inline]
    pub(crate) fn of(base: &[u8], part: &[u8]) -> Option<Self> {
        let start = range_of(base, part)?.start;
        Some(Self {
            start: u16::try_from(start).ok()?,
            len: u16::try_from(part.len()).ok()?,
        })
    }

    /// The same for a part that may be missing; `None` only if it is there and not a part.
    #[inline]
    pub(crate) fn of_some(base: &[u8], part: Option<&[u8]>) -> Option<Option<Self>> {
        match part {
            None => Some(None),
            Some(part) => Self::of(base, part).map(Some),
        }
    }

    #[inline]
    pub(crate) fn get(self, base: &[u8]) -> &[u8] {
        let start = usize::from(self.start);
        base.get(start..start + usize::from(self.len))
            .unwrap_or_default()
    }

    pub(crate) fn start(self) -> usize {
        self.start.into()
    }

    pub(crate) fn end(self) -> usize {
        self.start() + usize::from(self.len)
    }

    pub(crate) fn moved(mut self, by: i32) -> Self {
        self.start = shifted(self.start, by);
        self
    }

    pub(crate) fn grown(mut self, by: i32) -> Self {
        self.len = shifted(self.len, by);
        self
    }
}

impl HostPortSpan {
    pub(crate) fn map(mut self, each: impl Fn(Span) -> Span) -> Self {
        if let HostSpan::Name(span) = self.host {
            self.host = HostSpan::Name(each(span));
        }
        self
    }
}

/// An offset into a head that has grown by so many bytes before it. It stays one of 16 bits:
/// `Limits::HEAD_MAX` leaves room for all that receipt adds.
#[inline]
pub(crate) fn shifted(offset: u16, by: i32) -> u16 {
    u16::try_from(i32::from(offset).saturating_add(by)).unwrap_or(u16::MAX)
}

/// The range of `part` in `whole`; `None` if it is not a part of it.
#[inline]
pub(crate) fn range_of(whole: &[u8], part: &[u8]) -> Option<Range<usize>> {
    let start = part.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
    let end = start.checked_add(part.len())?;
    (end <= whole.len()).then_some(start..end)
}

/// The position of the end of a part of `whole`.
#[inline]
pub(crate) fn end_of(whole: &[u8], part: &[u8]) -> usize {
    range_of(whole, part).map_or(whole.len(), |range| range.end)
}
