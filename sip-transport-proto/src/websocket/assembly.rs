//! Assembly of a message from its fragments (RFC 6455 §5.4).

use bytes::Bytes;

use super::MessageKind;
use crate::error::WebSocketError;

/// The fragments of a message received so far.
#[derive(Debug)]
pub(super) struct Assembly {
    kind: MessageKind,
    data: Vec<u8>,
    /// The length of `data` that is known to be UTF-8, if it is text.
    checked: usize,
    fragments: usize,
}

impl Assembly {
    pub(super) fn new(kind: MessageKind) -> Self {
        Self {
            kind,
            data: Vec::new(),
            checked: 0,
            fragments: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.data.len()
    }

    /// Adds a fragment. The limit in bytes was checked with its header.
    pub(super) fn add(
        &mut self,
        fragment: &[u8],
        max_fragments: usize,
    ) -> Result<(), WebSocketError> {
        self.fragments += 1;
        if self.fragments > max_fragments {
            return Err(WebSocketError::TooManyFragments {
                limit: max_fragments,
            });
        }
        self.data.extend_from_slice(fragment);
        if self.kind == MessageKind::Text {
            self.check_text()?;
        }
        Ok(())
    }

    /// Checks the text so far: a character may be split between fragments, but an invalid one is an
    /// error at once (RFC 6455 §8.1).
    fn check_text(&mut self) -> Result<(), WebSocketError> {
        let unchecked = self.data.get(self.checked..).unwrap_or_default();
        match str::from_utf8(unchecked) {
            Ok(text) => self.checked += text.len(),
            Err(error) if error.error_len().is_none() => self.checked += error.valid_up_to(),
            Err(_) => return Err(WebSocketError::NotUtf8),
        }
        Ok(())
    }

    /// The message, after its last fragment.
    pub(super) fn finish(self) -> Result<(MessageKind, Bytes), WebSocketError> {
        if self.kind == MessageKind::Text && self.checked < self.data.len() {
            return Err(WebSocketError::NotUtf8);
        }
        Ok((self.kind, self.data.into_boxed_slice().into()))
    }
}
