//! Header names.

macro_rules! names {
    ($($(#[$doc:meta])* $id:ident = $text:literal $(/ $compact:literal)?),+ $(,)?) => {
        /// The header names that this crate knows, one table for names and compact forms.
        ///
        /// Any other header has the name [`Name::Other`] and is found by its text.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        #[non_exhaustive]
        #[repr(u8)]
        pub enum Name {
            /// A header that is not in this table.
            Other,
            $($(#[$doc])* #[doc = concat!("`", $text, "`")] $id,)+
        }

        impl Name {
            /// Every known name, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$id),+];

            /// The full name; empty for [`Name::Other`].
            pub const fn as_str(self) -> &'static str {
                match self {
                    Self::Other => "",
                    $(Self::$id => $text,)+
                }
            }

            /// The compact form (RFC 3261 §7.3.3 and the IANA registry), if the name has one.
            pub const fn compact(self) -> Option<u8> {
                match self {
                    $($(Self::$id => Some($compact),)?)+
                    _ => None,
                }
            }
        }
    };
}

names! {
    Accept = "Accept",
    AcceptContact = "Accept-Contact" / b'a',
    AcceptEncoding = "Accept-Encoding",
    AcceptLanguage = "Accept-Language",
    AlertInfo = "Alert-Info",
    Allow = "Allow",
    AllowEvents = "Allow-Events" / b'u',
    AuthenticationInfo = "Authentication-Info",
    Authorization = "Authorization",
    CallId = "Call-ID" / b'i',
    CallInfo = "Call-Info",
    Contact = "Contact" / b'm',
    ContentDisposition = "Content-Disposition",
    ContentEncoding = "Content-Encoding" / b'e',
    ContentLanguage = "Content-Language",
    ContentLength = "Content-Length" / b'l',
    ContentType = "Content-Type" / b'c',
    CSeq = "CSeq",
    Date = "Date",
    Diversion = "Diversion",
    ErrorInfo = "Error-Info",
    Event = "Event" / b'o',
    Expires = "Expires",
    FlowTimer = "Flow-Timer",
    From = "From" / b'f',
    HistoryInfo = "History-Info",
    Identity = "Identity" / b'y',
    IdentityInfo = "Identity-Info" / b'n',
    InReplyTo = "In-Reply-To",
    MaxForwards = "Max-Forwards",
    MimeVersion = "MIME-Version",
    MinExpires = "Min-Expires",
    MinSe = "Min-SE",
    Organization = "Organization",
    PAssertedIdentity = "P-Asserted-Identity",
    Path = "Path",
    PPreferredIdentity = "P-Preferred-Identity",
    Priority = "Priority",
    Privacy = "Privacy",
    ProxyAuthenticate = "Proxy-Authenticate",
    ProxyAuthorization = "Proxy-Authorization",
    ProxyRequire = "Proxy-Require",
    RAck = "RAck",
    Reason = "Reason",
    RecordRoute = "Record-Route",
    ReferredBy = "Referred-By" / b'b',
    ReferTo = "Refer-To" / b'r',
    RejectContact = "Reject-Contact" / b'j',
    Replaces = "Replaces",
    ReplyTo = "Reply-To",
    RequestDisposition = "Request-Disposition" / b'd',
    Require = "Require",
    RetryAfter = "Retry-After",
    Route = "Route",
    RSeq = "RSeq",
    Server = "Server",
    ServiceRoute = "Service-Route",
    SessionExpires = "Session-Expires" / b'x',
    SipEtag = "SIP-ETag",
    SipIfMatch = "SIP-If-Match",
    Subject = "Subject" / b's',
    SubscriptionState = "Subscription-State",
    Supported = "Supported" / b'k',
    Timestamp = "Timestamp",
    To = "To" / b't',
    Unsupported = "Unsupported",
    UserAgent = "User-Agent",
    Via = "Via" / b'v',
    Warning = "Warning",
    WwwAuthenticate = "WWW-Authenticate",
}

impl core::fmt::Display for Name {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Name {
    /// The known name that `text` spells, in full or in compact form and in any case
    /// (RFC 3261 §7.3.1); [`Name::Other`] for every other text.
    pub fn lookup(text: &[u8]) -> Self {
        let mut start = [0; KEY_LEN];
        let len = text.len().min(KEY_LEN);
        start[..len].copy_from_slice(&text[..len]);
        let name = find(fold(&start, len), text.len());
        // The key takes some other bytes for letters and hyphens; the comparison does not.
        let same = match text {
            [letter] => name.compact() == Some(letter.to_ascii_lowercase()),
            _ => text.eq_ignore_ascii_case(name.as_str().as_bytes()),
        };
        if same { name } else { Self::Other }
    }

    /// The name at the start of a header line that has a colon within these bytes, and how many
    /// stand before the colon, which need not be of a name for [`Name::Other`]. `None` says nothing:
    /// look closer.
    #[inline]
    pub(crate) fn at_start(line: &[u8; KEY_LEN]) -> Option<(Self, usize)> {
        // The lowest zero byte of `colons` gives the lowest bit that is set in `found`.
        let colons = u128::from_le_bytes(*line) ^ (ONES * b':' as u128);
        let found = colons.wrapping_sub(ONES) & !colons & (ONES << 7);
        let len = found.trailing_zeros() as usize / 8;
        if len == 0 || len >= KEY_LEN {
            return None;
        }
        Some((find(fold(line, len), len), len))
    }

    /// The name of a row's id, the reverse of `name as u8`.
    #[inline]
    pub(crate) fn from_id(id: u8) -> Self {
        match id.checked_sub(1) {
            Some(index) => Self::ALL
                .get(usize::from(index))
                .copied()
                .unwrap_or(Self::Other),
            None => Self::Other,
        }
    }
}

/// The first bytes of a name tell it from all others together with its length.
const KEY_LEN: usize = 16;
const ONES: u128 = u128::MAX / 0xff;
const SLOT_COUNT: usize = 1024;

/// One spelling of a name.
#[derive(Clone, Copy)]
struct Entry {
    key: u128,
    len: usize,
    name: Name,
}

/// The first `len` bytes in lower case, zeros behind them. Only what may be a letter changes, so
/// that nothing else is taken for a hyphen.
#[inline]
const fn fold(start: &[u8; KEY_LEN], len: usize) -> u128 {
    let bytes = u128::from_le_bytes(*start);
    let letters = bytes & (ONES << 6);
    (bytes | letters >> 1) & MASKS[len % (KEY_LEN + 1)]
}

/// As many bytes as the index says.
static MASKS: [u128; KEY_LEN + 1] = {
    let mut masks = [u128::MAX; KEY_LEN + 1];
    let mut len = 0;
    while len < KEY_LEN {
        masks[len] = (1 << (8 * len)) - 1;
        len += 1;
    }
    masks
};

/// The multiplier is searched at compile time, so that a new name needs nothing but its line.
#[inline]
const fn slot(key: u128, seed: u64) -> usize {
    let mixed = (key as u64).wrapping_mul(seed) ^ ((key >> 64) as u64).wrapping_mul(!seed | 1);
    (mixed >> 54) as usize
}

#[inline]
fn find(key: u128, len: usize) -> Name {
    let entry = &ENTRIES[SLOTS[slot(key, SEED)] as usize % ENTRIES_LEN];
    if entry.key == key && entry.len == len {
        entry.name
    } else {
        Name::Other
    }
}

/// Every spelling, behind an entry for what is none.
const ENTRY_COUNT: usize = {
    let mut count = 1 + Name::ALL.len();
    let mut i = 0;
    while i < Name::ALL.len() {
        count += Name::ALL[i].compact().is_some() as usize;
        i += 1;
    }
    assert!(count <= ENTRIES_LEN, "more spellings than entries");
    count
};

/// A power of two, so that no index is out of bounds.
const ENTRIES_LEN: usize = 128;

static ENTRIES: [Entry; ENTRIES_LEN] = entries();

const fn entries() -> [Entry; ENTRIES_LEN] {
    let mut entries = [Entry {
        key: 0,
        len: 0,
        name: Name::Other,
    }; ENTRIES_LEN];
    let mut next = 1;
    let mut i = 0;
    while i < Name::ALL.len() {
        let name = Name::ALL[i];
        let text = name.as_str().as_bytes();
        let mut start = [0; KEY_LEN];
        let mut at = 0;
        while at < text.len() && at < KEY_LEN {
            start[at] = text[at];
            at += 1;
        }
        entries[next] = Entry {
            key: fold(&start, at),
            len: text.len(),
            name,
        };
        next += 1;
        if let Some(letter) = name.compact() {
            entries[next] = Entry {
                key: letter as u128,
                len: 1,
                name,
            };
            next += 1;
        }
        i += 1;
    }
    entries
}

const fn slots(seed: u64) -> Option<[u8; SLOT_COUNT]> {
    let entries = entries();
    let mut slots = [0; SLOT_COUNT];
    let mut i = 1;
    while i < ENTRY_COUNT {
        let slot = slot(entries[i].key, seed);
        if slots[slot] != 0 {
            return None;
        }
        slots[slot] = i as u8;
        i += 1;
    }
    Some(slots)
}

const FOUND: (u64, [u8; SLOT_COUNT]) = {
    let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
    loop {
        if let Some(slots) = slots(seed) {
            break (seed, slots);
        }
        seed = seed.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(2);
    }
};
const SEED: u64 = FOUND.0;
static SLOTS: [u8; SLOT_COUNT] = FOUND.1;
