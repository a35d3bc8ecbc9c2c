//! Equivalence of SIP URIs (RFC 3261 §19.1.4, RFC 5954 §4.2).

use smallvec::SmallVec;

use super::escape::DecodedOctets;
use super::{SipUri, UriHeaders, UriParams};
use crate::Host;
use crate::names::{Spelling, caseless_key};

impl SipUri<'_> {
    /// Returns true if two URIs are equivalent by RFC 3261 §19.1.4, as a registrar compares them.
    ///
    /// This is not `Eq`: `sip:a@b;x=1` and `sip:a@b;x=2` are both equivalent to `sip:a@b`, but not
    /// to each other. `sip` never equals `sips`, a host name never equals an address, and a default
    /// value written out never equals one left out.
    ///
    /// ```
    /// use sip_core::uri::SipUri;
    ///
    /// let a = SipUri::parse(b"sip:%61lice@atlanta.com;transport=TCP")?;
    /// let b = SipUri::parse(b"sip:alice@AtLanTa.CoM;Transport=tcp")?;
    /// assert!(a.equivalent(&b));
    /// # Ok::<(), sip_core::ValueError>(())
    /// ```
    pub fn equivalent(&self, other: &SipUri<'_>) -> bool {
        let same = |a: Option<&str>, b: Option<&str>| match (a, b) {
            (Some(a), Some(b)) => octets(a.as_bytes()).eq(octets(b.as_bytes())),
            (a, b) => a.is_none() && b.is_none(),
        };
        self.is_secure() == other.is_secure()
            && same(self.user(), other.user())
            && same(self.password(), other.password())
            && self.host_port() == other.host_port()
            && params_match(self.params(), other.params())
            && params_match(other.params(), self.params())
            && headers_match(self.headers(), other.headers())
    }
}

/// Returns true if all parameters of `a` agree with `b`.
fn params_match(a: UriParams<'_>, b: UriParams<'_>) -> bool {
    // `transport` is not in the list of RFC 3261 §19.1.4, but in the text and examples before it.
    const NEVER_IGNORED: [&str; 5] = ["user", "ttl", "method", "maddr", "transport"];
    a.iter().all(|param| match b.get(param.name()) {
        Some(other) => match (param.value(), other.value()) {
            (Some(a), Some(b)) => same_text(a.as_bytes(), b.as_bytes()) || same_host(a, b),
            (a, b) => a.is_none() && b.is_none(),
        },
        None => {
            let name = param.name().as_bytes();
            !NEVER_IGNORED
                .iter()
                .any(|never| same_text(name, never.as_bytes()))
        }
    })
}

/// Addresses are compared in binary form wherever they stand (RFC 5954 §4.2).
fn same_host(a: &str, b: &str) -> bool {
    match (Host::try_from(a), Host::try_from(b)) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}

/// Returns true if the headers are the same, in any order but for those of one name.
fn headers_match(a: UriHeaders<'_>, b: UriHeaders<'_>) -> bool {
    a.iter().count() == b.iter().count()
        && a.iter().enumerate().all(|(i, header)| {
            let same_name = |name: &str| same_text(name.as_bytes(), header.name().as_bytes());
            let earlier = a.iter().take(i).filter(|h| same_name(h.name())).count();
            let twin = b.iter().filter(|h| same_name(h.name())).nth(earlier);
            twin.is_some_and(|twin| {
                let (a, b) = (header.value().as_bytes(), twin.value().as_bytes());
                // RFC 3261 §7.3.1 and §20.8: values do not depend on case but for Call-ID's; a
                // body is no header at all.
                if ["body", "call-id", "i"].into_iter().any(same_name) {
                    octets(a).eq(octets(b))
                } else {
                    same_text(a, b)
                }
            })
        })
}

/// Returns true if the texts are equal, ignoring case, with escapes decoded.
pub(super) fn same_text(a: &[u8], b: &[u8]) -> bool {
    if !a.contains(&b'%') && !b.contains(&b'%') {
        return a.eq_ignore_ascii_case(b);
    }
    folded(a).eq(folded(b))
}

fn folded(text: &[u8]) -> impl Iterator<Item = (u8, bool)> {
    octets(text).map(|(byte, reserved)| (byte.to_ascii_lowercase(), reserved))
}

/// Names are equal that [`same_text`] finds equal.
pub(super) const PERCENT_ENCODED: Spelling = Spelling {
    key: |name| {
        if !name.contains(&b'%') {
            return caseless_key(name);
        }
        let bytes: SmallVec<[u8; 64]> = octets(name).map(|(byte, _)| byte).collect();
        caseless_key(&bytes)
    },
    order: |a, b| folded(a).cmp(folded(b)),
};

/// The octets for comparison: an escape equals the octet that it stands for, unless that is a
/// reserved one (RFC 2396 §2.2).
fn octets(text: &[u8]) -> impl Iterator<Item = (u8, bool)> {
    DecodedOctets(text).map(|octet| {
        (
            octet.byte,
            octet.escaped && b";/?:@&=+$,".contains(&octet.byte),
        )
    })
}
