//! What of a message is off the grammar and was let in.

use core::fmt;

/// A rule of the grammar that a message may break under
/// [`Reading::Lenient`](crate::Reading::Lenient).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
#[repr(u8)]
pub enum LintKind {
    /// The request URI (RFC 3261 §25.1).
    RequestUri,
    /// The top Via (RFC 3261 §20.42).
    Via,
    /// A Via below the top one, which nothing reads on receipt.
    LowerVia,
    /// From (RFC 3261 §20.20).
    From,
    /// To (RFC 3261 §20.39).
    To,
    /// Call-ID (RFC 3261 §20.8).
    CallId,
    /// A header that may stand once stands twice (RFC 3261 §7.3.1).
    Repeated,
}

/// A set of [`LintKind`]s: what [`Head::check`](super::Head::check) let in.
#[derive(Clone, Copy, Default, Eq, PartialEq)]
pub struct Tolerated(u16);

impl Tolerated {
    /// Every kind, in the order of their declaration.
    const ALL: [LintKind; 7] = [
        LintKind::RequestUri,
        LintKind::Via,
        LintKind::LowerVia,
        LintKind::From,
        LintKind::To,
        LintKind::CallId,
        LintKind::Repeated,
    ];

    #[inline]
    pub(crate) fn add(&mut self, kind: LintKind) {
        self.0 |= 1 << kind as u8;
    }

    /// Whether nothing had to be tolerated.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether something of that kind was tolerated.
    pub const fn contains(self, kind: LintKind) -> bool {
        self.0 & (1 << kind as u8) != 0
    }

    /// The kinds, in the order of their declaration.
    pub fn iter(self) -> impl Iterator<Item = LintKind> {
        Self::ALL
            .into_iter()
            .filter(move |&kind| self.contains(kind))
    }
}

impl fmt::Debug for Tolerated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
