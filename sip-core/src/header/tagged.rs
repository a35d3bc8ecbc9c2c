//! From and To as transport and transactions read them: the tag, and where the URI ends.

use memchr::{memchr, memrchr};

use super::known;
use crate::chars::{LOOSE_URI, escaped_run, is_keyword, is_lws, skip_lws};
use crate::{Params, ValueError, quoted};

/// The tag of a From or To that need not follow its grammar. Of one that does it is what
/// [`check_tagged`](super::check_tagged) gives: what [`check`](crate::Message::check) lets in has
/// the same tag whoever asks.
///
/// What is let in: any display name up to the last `<` outside quotes; characters in the URI that
/// no URI has, and a URI without scheme; parameters as [`Params::walk_loosely`] reads them. A tag
/// that is empty or comes twice with two values would leave the dialog open to guesses.
pub(crate) fn read_tagged(value: &[u8]) -> Result<Option<&[u8]>, ValueError> {
    let start = skip_lws(value, 0);
    let open = quoted::bracket(value, start)?;
    let (at, end) = match open {
        Some(open) => in_brackets(value, open)?,
        None => bare(value, start)?,
    };
    check_uri(value, at, end)?;
    let params = end + usize::from(open.is_some());
    let mut tag = None;
    Params::walk_loosely(value, params, |name, text, at| {
        if !is_keyword(name, b"tag") {
            return Ok(());
        }
        let text = known::opaque(text.unwrap_or_default(), at, "a tag")?;
        if tag.replace(text).is_some_and(|earlier| earlier != text) {
            let what = "tag";
            return Err(ValueError::Repeated { what, offset: at });
        }
        Ok(())
    })?;
    Ok(tag)
}

/// Where a URI in angle brackets starts and ends, whatever stands around it.
pub(crate) fn bracketed(value: &[u8]) -> Result<(usize, usize), ValueError> {
    match quoted::bracket(value, 0)? {
        Some(open) => in_brackets(value, open),
        None => Err(ValueError::unexpected("'<'", value, value.len())),
    }
}

/// Where the URI starts and ends whose bracket stands at `open` or, where that one is of the
/// display name, behind it.
fn in_brackets(value: &[u8], open: usize) -> Result<(usize, usize), ValueError> {
    let rest = value.get(open..).unwrap_or_default();
    let Some(len) = memchr(b'>', rest) else {
        return Err(ValueError::unexpected("'>'", value, value.len()));
    };
    let last = memrchr(b'<', rest.get(..len).unwrap_or_default()).unwrap_or_default();
    Ok((open + last + 1, open + len))
}

/// Where a URI without brackets starts and ends (RFC 3261 §20, RFC 8217 §3).
fn bare(value: &[u8], start: usize) -> Result<(usize, usize), ValueError> {
    let rest = value.get(start..).unwrap_or_default();
    let len = rest.iter().position(|&b| b == b';' || is_lws(b));
    let end = start + len.unwrap_or(rest.len());
    let text = value.get(start..end).unwrap_or_default();
    if let Some(at) = text.iter().position(|b| matches!(b, b',' | b'?')) {
        let at = start + at;
        return Err(ValueError::unexpected("a URI in angle brackets", value, at));
    }
    // A word alone is more likely a display name whose URI was lost.
    if !text.iter().any(|b| matches!(b, b':' | b'@')) {
        return Err(ValueError::unexpected("a URI", value, start));
    }
    Ok((start, end))
}

/// Looks at the characters of a URI, which may lack its scheme.
fn check_uri(value: &[u8], start: usize, end: usize) -> Result<(), ValueError> {
    let text = value.get(start..end).unwrap_or_default();
    let bad = escaped_run::<LOOSE_URI>(text, 0);
    let (scheme, rest) = match memchr(b':', text) {
        Some(colon) => text.split_at(colon + 1),
        None => (&[][..], text),
    };
    if bad < text.len() || rest.is_empty() || scheme == b":" {
        return Err(ValueError::unexpected(
            "a URI character",
            value,
            start + bad,
        ));
    }
    Ok(())
}
