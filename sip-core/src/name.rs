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

            /// The name as it is written in full; empty for [`Name::Other`].
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
    #[inline]
    pub fn lookup(text: &[u8]) -> Self {
        let (Some(&first), Some(&last)) = (text.first(), text.last()) else {
            return Self::Other;
        };
        let hash = hash(SEED, text.len(), first, text[text.len() / 2], last);
        let id = SLOTS[hash];
        if id == 0 {
            return Self::Other;
        }
        let name = Self::ALL[id as usize - 1];
        let same = if text.len() == 1 {
            name.compact() == Some(first.to_ascii_lowercase())
        } else {
            text.eq_ignore_ascii_case(name.as_str().as_bytes())
        };
        if same { name } else { Self::Other }
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

const SLOT_COUNT: usize = 1024;

/// Bytes 0, middle and last, and the length, tell all names of the table apart. The multiplier is
/// searched at compile time, so a new name needs nothing but its line.
#[inline]
const fn hash(seed: u32, len: usize, first: u8, middle: u8, last: u8) -> usize {
    // 0x20 makes ASCII letters lower case; what else it maps together the comparison tells apart.
    let key = u32::from_le_bytes([first | 0x20, middle | 0x20, last | 0x20, len as u8]);
    (key.wrapping_mul(seed) >> 22) as usize
}

const fn fill(seed: u32) -> Option<[u8; SLOT_COUNT]> {
    let mut slots = [0; SLOT_COUNT];
    let mut i = 0;
    while i < Name::ALL.len() {
        let text = Name::ALL[i].as_str().as_bytes();
        let len = text.len();
        let slot = hash(seed, len, text[0], text[len / 2], text[len - 1]);
        if slots[slot] != 0 {
            return None;
        }
        slots[slot] = i as u8 + 1;
        if let Some(letter) = Name::ALL[i].compact() {
            let slot = hash(seed, 1, letter, letter, letter);
            if slots[slot] != 0 {
                return None;
            }
            slots[slot] = i as u8 + 1;
        }
        i += 1;
    }
    Some(slots)
}

const FOUND: (u32, [u8; SLOT_COUNT]) = {
    let mut seed = 0x9E37_79B1_u32;
    loop {
        if let Some(slots) = fill(seed) {
            break (seed, slots);
        }
        seed = seed.wrapping_mul(0x0019_660D).wrapping_add(0x3C6E_F35F) | 1;
    }
};
const SEED: u32 = FOUND.0;
static SLOTS: [u8; SLOT_COUNT] = FOUND.1;
