//! Helpers of the headers that interpret parameters of their own while all are checked.

use core::fmt;

use crate::chars::{TOKEN, is_token, number, run};
use crate::{Param, Params, ValueError, unquote};

/// The value of a parameter that must have one; `at` is the position of its name.
#[inline(always)]
pub(super) fn value<'a>(
    text: Option<&'a [u8]>,
    at: usize,
    expected: &'static str,
) -> Result<&'a [u8], ValueError> {
    text.ok_or(ValueError::Unexpected {
        expected,
        found: None,
        offset: at,
    })
}

/// A value that must be a token.
#[inline(always)]
pub(super) fn token<'a>(
    text: Option<&'a [u8]>,
    at: usize,
    expected: &'static str,
) -> Result<&'a [u8], ValueError> {
    let text = value(text, at, expected)?;
    // The parameter grammar has checked the rest: what starts as a token is one.
    if text.first().is_some_and(|&b| is_token(b)) {
        Ok(text)
    } else {
        Err(wrong(text, at, expected))
    }
}

/// A tag or branch that need not be a token: text without quotes, as it is compared byte by byte.
pub(super) fn opaque<'a>(
    text: &'a [u8],
    at: usize,
    expected: &'static str,
) -> Result<&'a [u8], ValueError> {
    match text.first() {
        Some(b'"') | None => Err(wrong(text, at, expected)),
        Some(_) if core::str::from_utf8(text).is_err() => Err(wrong(text, at, expected)),
        Some(_) => Ok(text),
    }
}

/// Checks text of the caller that must be a token.
pub(super) fn own_token<'a>(text: &'a str, expected: &'static str) -> Result<&'a [u8], ValueError> {
    let text = text.as_bytes();
    match run::<TOKEN>(text, 0) {
        end if end > 0 && end == text.len() => Ok(text),
        end => Err(ValueError::unexpected(expected, text, end)),
    }
}

/// A value that must be a number.
#[inline(always)]
pub(super) fn int(
    text: Option<&[u8]>,
    at: usize,
    max: u32,
    what: &'static str,
) -> Result<u32, ValueError> {
    let text = value(text, at, what)?;
    match number(text, 0, max, what).map_err(|error| error.shifted(at))? {
        (number, end) if end == text.len() => Ok(number),
        _ => Err(wrong(text, at, what)),
    }
}

/// The error for a value that does not fit its name.
pub(super) fn wrong(text: &[u8], at: usize, expected: &'static str) -> ValueError {
    ValueError::Unexpected {
        expected,
        found: text.first().copied(),
        offset: at,
    }
}

/// The parameters whose names are not in the list.
pub(super) fn others<'a>(
    params: Params<'a>,
    known: &'static [&'static str],
) -> impl Iterator<Item = Param<'a>> {
    let is_known = |param: &Param<'_>| {
        known
            .iter()
            .any(|name| param.name().eq_ignore_ascii_case(name))
    };
    params.iter().filter(move |param| !is_known(param))
}

/// Prints the parameters whose names are not in the list.
pub(super) fn print_others(
    params: Params<'_>,
    known: &'static [&'static str],
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    others(params, known).try_for_each(|param| write!(f, ";{param}"))
}

/// Returns true if two values are equal: quoted strings byte by byte, all else without regard to
/// case (RFC 3261 §7.3.1).
pub(super) fn same(a: Option<&[u8]>, b: Option<&[u8]>) -> bool {
    match (a, b) {
        (Some(a @ [b'"', ..]), Some(b @ [b'"', ..])) => unquote(a) == unquote(b),
        (Some(a), Some(b)) => a.eq_ignore_ascii_case(b),
        (a, b) => a.is_none() && b.is_none(),
    }
}

/// The getter and setter of every header with a `params` field.
macro_rules! params_methods {
    ($name:ident) => {
        impl<'a> $name<'a> {
            /// Every parameter: those of received text, or those of
            /// [`with_params`](Self::with_params).
            pub const fn params(&self) -> Params<'a> {
                self.params
            }

            /// The same with these parameters in place of the others. Those that have a
            /// method of their own are ignored here.
            #[must_use]
            pub const fn with_params(mut self, params: Params<'a>) -> Self {
                self.params = params;
                self
            }
        }
    };
}

pub(super) use params_methods;
