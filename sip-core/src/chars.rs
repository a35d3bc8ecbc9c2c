//! Byte classes of RFC 3261 §25.1, one table for all.

const TOKEN: u8 = 1;
const WORD: u8 = 2;

const fn table() -> [u8; 256] {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let b = i as u8;
        if b.is_ascii_alphanumeric() {
            table[i] |= TOKEN | WORD;
        }
        i += 1;
    }
    let token = b"-.!%*_+`'~";
    let mut i = 0;
    while i < token.len() {
        table[token[i] as usize] |= TOKEN | WORD;
        i += 1;
    }
    let word = b"()<>:\\\"/[]?{}";
    let mut i = 0;
    while i < word.len() {
        table[word[i] as usize] |= WORD;
        i += 1;
    }
    table
}

static CLASS: [u8; 256] = table();

/// `token` characters.
#[inline]
pub(crate) fn is_token(b: u8) -> bool {
    CLASS[b as usize] & TOKEN != 0
}

/// `word` characters (Call-ID).
#[inline]
pub(crate) fn is_word(b: u8) -> bool {
    CLASS[b as usize] & WORD != 0
}

/// Linear white space. CR and LF count: the indexer lets them into a value only as folds.
#[inline]
pub(crate) fn is_lws(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\r' | b'\n')
}
