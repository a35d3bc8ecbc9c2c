//! `received` and `rport` of the top Via (RFC 3261 §18.2.1, RFC 3581 §4).

use alloc::vec::Vec;
use core::fmt::Write;
use core::net::{IpAddr, SocketAddr};
use core::ops::Range;

use crate::Limits;
use crate::header::{Via, ViaSpans};
use crate::span::{Span, range_of};

/// The changes to a Via value: at most two, in order.
pub(crate) struct Stamp {
    patches: [Patch; 2],
    text: StampText,
    received: Option<IpAddr>,
    rport: Option<u16>,
}

/// The range of the value that `text` replaces.
#[derive(Clone)]
struct Patch {
    place: Range<usize>,
    text: Range<usize>,
}

/// The text of two parameters, the longest with an IPv6 address.
struct StampText {
    bytes: [u8; TEXT_MAX],
    len: usize,
}

const TEXT_MAX: usize = 80;

// The offsets into a stamped head have 16 bits.
const _: () = assert!(Limits::HEAD_MAX + TEXT_MAX <= u16::MAX as usize);

impl Stamp {
    /// The changes to the Via that was parsed from `value`.
    #[inline]
    pub(crate) fn of(via: &Via<'_>, value: &[u8], source: SocketAddr, force_rport: bool) -> Self {
        // An IPv4 peer of a dual-stack socket is an IPv4 peer.
        let ip = source.ip().to_canonical();
        let (received, rport) = via.stamp_texts();
        let place = |text| range_of(value, text);
        let (received, rport) = (received.and_then(place), rport.and_then(place));
        // RFC 3581 §4: with rport, received is written even if it says what sent-by says.
        let must = rport.is_some() || force_rport || via.sent_by().host().ip() != Some(ip);
        let end = value.len();
        // At first nothing changes, at the end.
        let nothing = Patch {
            place: end..end,
            text: 0..0,
        };
        let mut stamp = Self {
            patches: [nothing.clone(), nothing],
            text: StampText {
                bytes: [0; TEXT_MAX],
                len: 0,
            },
            received: (must || received.is_some()).then_some(ip),
            rport: (force_rport || rport.is_some()).then_some(source.port()),
        };
        let has_semicolon = value.ends_with(b";");
        let adds_rport = rport.is_none() && force_rport;
        match rport {
            Some(place) => stamp.patch(0, place, |text| text.rport(source.port())),
            None if force_rport => stamp.patch(0, end..end, |text| {
                text.separate(!has_semicolon);
                text.rport(source.port());
            }),
            None => {}
        }
        match received {
            Some(place) => stamp.patch(1, place, |text| text.received(ip)),
            None if must => stamp.patch(1, end..end, |text| {
                text.separate(!has_semicolon || adds_rport);
                text.received(ip);
            }),
            None => {}
        }
        let [first, second] = &mut stamp.patches;
        if second.place.start < first.place.start {
            core::mem::swap(first, second);
        }
        stamp
    }

    /// The values in the Via after the stamp.
    pub(crate) fn values(&self, via: &ViaSpans) -> (Option<IpAddr>, Option<Option<u16>>) {
        (
            self.received.or_else(|| via.received()),
            self.rport.map(Some).or_else(|| via.rport()),
        )
    }

    /// The position of a part of the message after the stamp; the Via value starts at `value`.
    pub(crate) fn moved(&self, span: Span, value: usize) -> Span {
        let by = |patch: &Patch| {
            let before = value + patch.place.end <= span.start();
            if before { patch.grown() } else { 0 }
        };
        let [first, second] = &self.patches;
        span.moved(by(first) + by(second))
    }

    #[inline]
    fn patch(&mut self, index: usize, place: Range<usize>, write: impl FnOnce(&mut StampText)) {
        let start = self.text.len;
        write(&mut self.text);
        let text = start..self.text.len;
        self.patches[index] = Patch { place, text };
    }

    /// The number of bytes by which the value grows.
    pub(crate) fn grown(&self) -> i32 {
        self.patches.iter().map(Patch::grown).sum()
    }

    /// Copies `message`, in which the value starts at `value`, with the changes made.
    #[inline]
    pub(crate) fn write(&self, message: &[u8], value: usize, out: &mut Vec<u8>) {
        let mut at = 0;
        for Patch { place, text } in &self.patches {
            out.extend_from_slice(message.get(at..value + place.start).unwrap_or_default());
            out.extend_from_slice(self.text.bytes.get(text.clone()).unwrap_or_default());
            at = value + place.end;
        }
        out.extend_from_slice(message.get(at..).unwrap_or_default());
    }
}

impl Patch {
    /// The number of bytes by which it makes a head longer, which has at most [`Limits::HEAD_MAX`].
    #[inline]
    fn grown(&self) -> i32 {
        self.text.len() as i32 - self.place.len() as i32
    }
}

/// The end of the parameter whose name is at `at`.
pub(crate) fn end_of(value: &[u8], at: usize, name: &[u8], text: Option<&[u8]>) -> usize {
    let mut end = at + name.len();
    if let Some(text) = text {
        end = crate::chars::skip_lws(value, end) + 1;
        end = crate::chars::skip_lws(value, end) + text.len();
    }
    end
}

impl StampText {
    #[inline]
    fn push<const N: usize>(&mut self, text: &[u8; N]) {
        if let Some(place) = self.bytes.get_mut(self.len..self.len + N) {
            place.copy_from_slice(text);
            self.len += N;
        }
    }

    /// Writes the semicolon before a parameter.
    #[inline]
    fn separate(&mut self, needed: bool) {
        if needed {
            self.push(b";");
        }
    }

    fn rport(&mut self, port: u16) {
        self.push(b"rport=");
        self.decimal(port);
    }

    /// RFC 5118 §4.5: an IPv6 address stands without brackets here.
    fn received(&mut self, ip: IpAddr) {
        self.push(b"received=");
        match ip {
            IpAddr::V4(ip) => {
                let [a, b, c, d] = ip.octets();
                self.decimal(a.into());
                for octet in [b, c, d] {
                    self.push(b".");
                    self.decimal(octet.into());
                }
            }
            // Writing to this text cannot fail.
            IpAddr::V6(ip) => {
                let _ = write!(self, "{ip}");
            }
        }
    }

    #[inline]
    fn decimal(&mut self, mut number: u16) {
        let len = match number {
            0..10 => 1,
            10..100 => 2,
            100..1000 => 3,
            1000..10_000 => 4,
            _ => 5,
        };
        let place = self.bytes.get_mut(self.len..self.len + len);
        for digit in place.unwrap_or_default().iter_mut().rev() {
            *digit = b'0' + (number % 10) as u8;
            number /= 10;
        }
        self.len += len;
    }
}

impl Write for StampText {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        text.bytes().for_each(|b| self.push(&[b]));
        Ok(())
    }
}
