//! The removal of secrets from captured messages.

use core::ops::Range;
use std::borrow::Cow;

use crate::rows::{Rows, is_one_of};

/// The value that stands in place of a redacted one: credentials by the grammar of RFC 3261
/// §25.1, so that what reads the capture reads the row.
const REDACTED: &[u8] = b" Redacted by=capture";

/// A rule for what is removed from messages before they are captured. The message stays well
/// framed: its Content-Length is the length of the body that is left.
///
/// ```
/// use sip_capture::Redaction;
///
/// let redaction = Redaction::credentials().header("P-Asserted-Identity").bodies(true);
/// let message = b"BYE sip:a SIP/2.0\r\nAuthorization: Digest response=\"c0ffee\"\r\nl: 2\r\n\r\nhi";
/// assert_eq!(
///     &*redaction.apply(message),
///     b"BYE sip:a SIP/2.0\r\nAuthorization: Redacted by=capture\r\nl: 0\r\n\r\n"
/// );
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Redaction {
    headers: Vec<String>,
    bodies: bool,
}

impl Redaction {
    /// A rule that removes nothing.
    pub fn none() -> Self {
        Self::default()
    }

    /// A rule that replaces the values of Authorization, Proxy-Authorization and
    /// Authentication-Info.
    pub fn credentials() -> Self {
        Self::none()
            .header("Authorization")
            .header("Proxy-Authorization")
            .header("Authentication-Info")
    }

    /// Adds a header whose values are replaced by `Redacted by=capture`. A compact form is a name
    /// of its own.
    pub fn header(mut self, name: impl Into<String>) -> Self {
        self.headers.push(name.into());
        self
    }

    /// Sets whether bodies are removed. Default: no.
    pub fn bodies(mut self, removed: bool) -> Self {
        self.bodies = removed;
        self
    }

    /// The message without what is to be hidden. Works on malformed messages too; if nothing is to
    /// be removed, nothing is copied.
    pub fn apply<'a>(&self, message: &'a [u8]) -> Cow<'a, [u8]> {
        if self.headers.is_empty() && !self.bodies {
            return Cow::Borrowed(message);
        }
        let mut edits = Vec::new();
        let mut rows = Rows::new(message);
        for row in rows.by_ref() {
            let name = row.name(message);
            if is_one_of(name, &self.headers) {
                edits.push(Edit::new(row.value, Some(REDACTED)));
            } else if self.bodies && is_one_of(name, &["Content-Length", "l"]) {
                edits.push(Edit::new(row.value, Some(b" 0")));
            }
        }
        let end = match rows.body {
            Some(body) if self.bodies => body,
            Some(body) => {
                self.mask_body(message, body, &mut edits);
                message.len()
            }
            None => message.len(),
        };
        if edits.is_empty() && end == message.len() {
            return Cow::Borrowed(message);
        }
        Cow::Owned(edited(message, &edits, end))
    }

    /// Finds what is to be hidden in a body that stays: it may hold a message (RFC 3420), or
    /// messages that the parser could not tell apart. Those values keep their length, so that
    /// Content-Length stays right.
    fn mask_body(&self, message: &[u8], body: usize, edits: &mut Vec<Edit>) {
        let mut part = Some(body);
        while let Some(at) = part.filter(|_| !self.headers.is_empty()) {
            let mut rows = Rows::at(message, at);
            for row in rows.by_ref() {
                if is_one_of(row.name(message), &self.headers) {
                    edits.push(Edit::new(row.value, None));
                }
            }
            part = rows.body;
        }
    }
}

/// A range to be replaced: by a text, or by as many bytes that say nothing.
#[derive(Debug)]
struct Edit {
    range: Range<usize>,
    text: Option<&'static [u8]>,
}

impl Edit {
    fn new(range: Range<usize>, text: Option<&'static [u8]>) -> Self {
        Self { range, text }
    }
}

/// The message up to `end` with its edits, which are in order.
fn edited(message: &[u8], edits: &[Edit], end: usize) -> Vec<u8> {
    let mut redacted = Vec::with_capacity(message.len());
    let mut rest = 0;
    for Edit { range, text } in edits {
        redacted.extend_from_slice(message.get(rest..range.start).unwrap_or_default());
        match text {
            Some(text) => redacted.extend_from_slice(text),
            None => redacted.extend(range.clone().map(|_| b'x')),
        }
        rest = range.end;
    }
    redacted.extend_from_slice(message.get(rest..end).unwrap_or_default());
    redacted
}
