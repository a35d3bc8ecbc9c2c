//! Whether a name comes twice in a list of parameters, at a cost that does not grow with the
//! square of what a peer sends.

use smallvec::SmallVec;

use crate::span::range_of;
use crate::{ValueError, steps};

/// More parameters than this in one value are an error.
pub(crate) const MAX_PARAMS: usize = 128;

/// The names seen so far: a filter that tells cheaply of most lists that no name comes twice.
#[derive(Default)]
pub(crate) struct Names {
    seen: u64,
    checked: bool,
}

impl Names {
    /// Adds a name. Where it may have come before, the whole list is checked, once. Names that
    /// differ in case only are the same.
    ///
    /// No more than 64 names pass without that, so it keeps the number of parameters too.
    #[inline]
    pub(crate) fn add(
        &mut self,
        name: &[u8],
        check: impl FnOnce() -> Result<(), ValueError>,
    ) -> Result<(), ValueError> {
        let first = name.first().copied().unwrap_or_default();
        let bit = 1 << (u32::from(first & 31) | (name.len() as u32 & 1) << 5);
        let seen = self.seen & bit != 0;
        self.seen |= bit;
        if seen { self.check(check) } else { Ok(()) }
    }

    /// Checks the whole list, unless that was done.
    #[cold]
    pub(crate) fn check(
        &mut self,
        check: impl FnOnce() -> Result<(), ValueError>,
    ) -> Result<(), ValueError> {
        if core::mem::replace(&mut self.checked, true) {
            return Ok(());
        }
        check()
    }
}

/// Fails if a name in `text` comes twice, or if there are too many. `canonical` appends a name in
/// the form in which equal ones have equal bytes.
pub(crate) fn check_unique<'a>(
    text: &[u8],
    names: impl Iterator<Item = &'a [u8]>,
    canonical: impl Fn(&[u8], &mut SmallVec<[u8; 256]>),
) -> Result<(), ValueError> {
    let mut bytes = SmallVec::new();
    let mut sorted = SmallVec::<[Entry; MAX_PARAMS]>::new();
    for name in names {
        let offset = range_of(text, name).map_or(0, |range| range.start);
        if sorted.len() == MAX_PARAMS {
            return Err(too_many(offset));
        }
        let start = bytes.len();
        canonical(name, &mut bytes);
        steps::count(bytes.len() - start);
        sorted.push(Entry {
            key: key(bytes.get(start..).unwrap_or_default()),
            start,
            end: bytes.len(),
            offset,
        });
    }
    let name = |entry: &Entry| bytes.get(entry.start..entry.end).unwrap_or_default();
    sorted.sort_unstable_by(|a, b| {
        steps::count(1);
        let by_name = a.key.cmp(&b.key).then_with(|| name(a).cmp(name(b)));
        by_name.then(a.offset.cmp(&b.offset))
    });
    let repeats = sorted.windows(2).filter_map(|pair| match pair {
        [a, b] if a.key == b.key && name(a) == name(b) => Some(b.offset),
        _ => None,
    });
    match repeats.min() {
        Some(offset) => Err(ValueError::Repeated {
            what: "parameter",
            offset,
        }),
        None => Ok(()),
    }
}

/// The error for more than [`MAX_PARAMS`], the first of which stands at `offset`.
pub(crate) const fn too_many(offset: usize) -> ValueError {
    ValueError::OutOfRange {
        what: "number of parameters",
        offset,
    }
}

/// One name of a list.
struct Entry {
    key: u64,
    /// Where its canonical form is.
    start: usize,
    end: usize,
    /// Where it stands in the list.
    offset: usize,
}

/// The first bytes of a name as a number, which tells most names apart.
fn key(name: &[u8]) -> u64 {
    let mut key = [0; 8];
    key.iter_mut().zip(name).for_each(|(to, from)| *to = *from);
    u64::from_be_bytes(key)
}

/// Letters in lower case.
pub(crate) fn lower_case(name: &[u8], out: &mut SmallVec<[u8; 256]>) {
    let start = out.len();
    out.extend_from_slice(name);
    out.get_mut(start..)
        .unwrap_or_default()
        .make_ascii_lowercase();
}
