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
