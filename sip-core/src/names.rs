//! Detection of repeated names in parameter lists, in less than quadratic time.

use core::cmp::Ordering;

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

/// How names are compared.
#[derive(Clone, Copy)]
pub(crate) struct Spelling {
    /// A number that equal names have in common, and hardly any others.
    pub(crate) key: fn(&[u8]) -> u64,
    pub(crate) order: fn(&[u8], &[u8]) -> Ordering,
}

/// Names that differ in case only are equal.
pub(crate) const CASELESS: Spelling = Spelling {
    key: caseless_key,
    order: |a, b| {
        let [a, b] = [a, b].map(|name| name.iter().map(u8::to_ascii_lowercase));
        a.cmp(b)
    },
};

/// Fails if a name in `text` comes twice, or if there are too many.
///
/// Keys are sorted, which is cheap; who finds names that share one gains the sorting of the names.
pub(crate) fn check_unique<'a>(
    text: &[u8],
    list: impl Iterator<Item = &'a [u8]>,
    spelling: Spelling,
) -> Result<(), ValueError> {
    let offset = |name: &[u8]| range_of(text, name).map_or(0, |range| range.start);
    let mut names = SmallVec::<[&[u8]; MAX_PARAMS]>::new();
    let mut keys = SmallVec::<[u64; MAX_PARAMS]>::new();
    for name in list {
        if names.len() == MAX_PARAMS {
            return Err(too_many(offset(name)));
        }
        steps::count(1 + name.len() / 8);
        keys.push((spelling.key)(name) & !INDEX | names.len() as u64);
        names.push(name);
    }
    let index = |key: &u64| (key & INDEX) as usize;
    let name = |key: &u64| names.get(index(key)).copied().unwrap_or_default();
    let order = |a: &u64, b: &u64| {
        steps::count(1);
        (spelling.order)(name(a), name(b))
    };
    // The order of two neighbours with one key.
    let twins = |pair: &[u64]| match pair {
        [a, b] if a & !INDEX == b & !INDEX => match name(a) == name(b) {
            true => Some(Ordering::Equal),
            false => Some(order(a, b)),
        },
        _ => None,
    };
    steps::count(keys.len());
    keys.sort_unstable();
    if keys
        .windows(2)
        .any(|pair| twins(pair).is_some_and(Ordering::is_ne))
    {
        keys.sort_unstable_by(|a, b| order(a, b).then(index(a).cmp(&index(b))));
    }
    let repeats = keys
        .windows(2)
        .filter(|pair| twins(pair).is_some_and(Ordering::is_eq));
    match repeats.filter_map(|pair| pair.last().map(index)).min() {
        Some(index) => Err(ValueError::Repeated {
            what: "parameter",
            offset: names.get(index).map_or(0, |name| offset(name)),
        }),
        None => Ok(()),
    }
}

/// The bits of a key in which the place of its name in the list stands.
const INDEX: u64 = MAX_PARAMS as u64 - 1;
const _: () = assert!(MAX_PARAMS.is_power_of_two(), "the index has whole bits");

/// The error for more than [`MAX_PARAMS`], the first of which stands at `offset`.
pub(crate) const fn too_many(offset: usize) -> ValueError {
    ValueError::OutOfRange {
        what: "number of parameters",
        offset,
    }
}

/// The key of a name whose case does not count.
pub(crate) fn caseless_key(name: &[u8]) -> u64 {
    const CASE: u64 = u64::MAX / 0xff * 0x20;
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |key: u64, eight: u64| (key ^ (eight | CASE)).wrapping_mul(FACTOR).rotate_left(29);
    let (eights, _) = name.as_chunks();
    let key = eights.iter().fold(name.len() as u64, |key, eight| {
        mix(key, u64::from_le_bytes(*eight))
    });
    // The bytes behind the last eight, or some of them once more.
    let last = match name.last_chunk() {
        Some(eight) => u64::from_le_bytes(*eight),
        None => name.iter().fold(0, |last, &b| last << 8 | u64::from(b)),
    };
    mix(key, last).wrapping_mul(FACTOR)
}
