//! The writing of messages: runs of unchanged text as received, and edits between them.

use alloc::vec::Vec;

use bytes::Bytes;

use super::{Message, Row, View};
use crate::chars::blanks;

impl Message {
    /// Appends the message to `out` as it is sent.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        out.reserve(self.held());
        self.pieces(|piece| out.extend_from_slice(piece));
    }

    /// The message as it is sent; shared, not copied, if nothing was edited.
    pub fn to_bytes(&self) -> Bytes {
        if self.edits.is_none() {
            return self.base.slice(..self.head_len + self.body_len);
        }
        let mut out = Vec::with_capacity(self.wire_len());
        self.write_to(&mut out);
        Bytes::from(out)
    }

    fn has_new_body(&self) -> bool {
        self.edits
            .as_ref()
            .is_some_and(|edits| edits.body.is_some())
    }

    /// The length on the wire in bytes.
    pub fn wire_len(&self) -> usize {
        let mut len = 0;
        self.pieces(|piece| len += piece.len());
        len
    }

    /// Passes on the message in pieces as long as possible.
    fn pieces<'a>(&'a self, mut piece: impl FnMut(&'a [u8])) {
        let view = self.view();
        let line_end = self.line.line_end();
        let mut run = (self.line.edited, usize::from(self.line.start), line_end + 2);
        for &packed in view.rows {
            let row = Row::unpack(packed);
            let (start, end) = (usize::from(row.start), view.row_end(row));
            if row.edited == run.0 && start == run.2 {
                run.2 = end;
            } else {
                piece(view.slice(run));
                run = (row.edited, start, end);
            }
        }
        // The empty line and an untouched body go on where the last row ends.
        if !run.0 && run.2 + 2 == self.head_len && !self.has_new_body() {
            run.2 = self.head_len + self.body_len;
            piece(view.slice(run));
        } else {
            piece(view.slice(run));
            piece(b"\r\n");
            piece(self.body());
        }
    }
}

impl<'a> View<'a> {
    fn slice(self, (edited, start, end): (bool, usize, usize)) -> &'a [u8] {
        self.text(edited).get(start..end).unwrap_or_default()
    }

    /// The end of a row in its text, after its CRLF: blanks and blank folded lines may follow the
    /// value.
    #[inline]
    pub(crate) fn row_end(self, row: Row) -> usize {
        let text = self.text(row.edited);
        let mut at = usize::from(row.end);
        loop {
            match text.get(at..) {
                Some([b'\r', b'\n', b' ' | b'\t', ..]) => at += 3,
                Some(rest @ [b' ' | b'\t', ..]) => at += blanks(rest.iter()),
                _ => return at + 2,
            }
        }
    }
}
