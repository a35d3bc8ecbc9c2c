//! `CSeq` and `RAck`: sequence numbers with a method.

use core::fmt;

use super::{Header, scan::Scan};
use crate::{Method, Name, ValueError};

/// `CSeq`: the order of the requests of a dialog (RFC 3261 §20.16).
///
/// ```
/// use sip_core::Method;
/// use sip_core::header::{CSeq, Header};
///
/// let cseq = CSeq::parse(b"4711 INVITE")?;
/// assert_eq!((cseq.seq(), cseq.method()), (4711, Method::Invite));
/// # Ok::<(), sip_core::ValueError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct CSeq<'a> {
    seq: u32,
    method: Method<'a>,
}

impl<'a> CSeq<'a> {
    /// A `CSeq` from its parts.
    pub const fn new(seq: u32, method: Method<'a>) -> Self {
        Self { seq, method }
    }

    /// The sequence number.
    pub const fn seq(&self) -> u32 {
        self.seq
    }

    /// The method.
    pub const fn method(&self) -> Method<'a> {
        self.method
    }
}

impl<'a> Header<'a> for CSeq<'a> {
    const NAME: Name = Name::CSeq;

    #[inline]
    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        let mut scan = Scan::new(value);
        let seq = scan.number(u32::MAX, "CSeq number")?;
        scan.gap()?;
        let method = Method::of_token(scan.token("a method")?);
        scan.end()?;
        Ok(Self { seq, method })
    }
}

impl fmt::Display for CSeq<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.seq, self.method)
    }
}

/// `RAck`: the provisional response that a PRACK acknowledges (RFC 3262 §7.2).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct RAck<'a> {
    rseq: u32,
    cseq: CSeq<'a>,
}

impl<'a> RAck<'a> {
    /// A `RAck` for the response with this `RSeq` and `CSeq`.
    pub const fn new(rseq: u32, cseq: CSeq<'a>) -> Self {
        Self { rseq, cseq }
    }

    /// The `RSeq` of the response.
    pub const fn rseq(&self) -> u32 {
        self.rseq
    }

    /// The `CSeq` of the response.
    pub const fn cseq(&self) -> CSeq<'a> {
        self.cseq
    }
}

impl<'a> Header<'a> for RAck<'a> {
    const NAME: Name = Name::RAck;

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        let mut scan = Scan::new(value);
        let rseq = scan.number(u32::MAX, "RSeq number")?;
        scan.gap()?;
        let cseq = CSeq::parse(scan.rest()).map_err(|error| error.shifted(scan.at()))?;
        Ok(Self { rseq, cseq })
    }
}

impl fmt::Display for RAck<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.rseq, self.cseq)
    }
}
