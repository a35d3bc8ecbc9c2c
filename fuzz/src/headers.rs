use sip_core::{
    Name,
    header::{self, Header as _, list},
};

/// A typed header prints what it parsed: the print is parsed again and prints the same.
///
/// The input is a header line, `Name: value`; where no header of that name has a type, all that
/// have one try the value.
pub fn headers(data: &[u8]) {
    let (name, row) = match data.iter().position(|&byte| byte == b':') {
        Some(colon) => (data[..colon].trim_ascii(), data[colon + 1..].trim_ascii()),
        None => (data, data),
    };
    // A message has CR and LF in a value only where it is folded. Other values must not cause a
    // panic, but may print in any way.
    let holds = is_folded_right(row);
    let is = |typed: Name| {
        let compact = typed
            .compact()
            .is_some_and(|compact| name.eq_ignore_ascii_case(&[compact]));
        compact || name.eq_ignore_ascii_case(typed.as_str().as_bytes())
    };
    match TYPED.iter().find(|(typed, _)| is(*typed)) {
        Some((_, round_trip)) => round_trip(row, holds),
        None => TYPED
            .iter()
            .for_each(|(_, round_trip)| round_trip(row, holds)),
    }
}

fn is_folded_right(row: &[u8]) -> bool {
    let mut rest = row;
    while let Some(end) = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')) {
        let Some(next) = rest[end..].strip_prefix(b"\r\n") else {
            return false;
        };
        if !matches!(next.first(), Some(b' ' | b'\t')) {
            return false;
        }
        rest = next;
    }
    true
}

/// What one typed header does with a row, and whether the print must give the same again.
type RoundTrip = fn(&[u8], bool);

// A macro, because the header borrows the row and a type parameter cannot stand for all lifetimes.
macro_rules! typed {
    ($($header:ident),+ $(,)?) => {
        /// Every typed header.
        const TYPED: &[(Name, RoundTrip)] = &[$((header::$header::NAME, |row, holds| {
            let values: Vec<_> = list::values::<header::$header>(row).collect();
            let texts: Vec<_> = values.iter().flatten().map(ToString::to_string).collect();
            if !holds {
                return;
            }
            for text in &texts {
                let again = header::$header::parse(text.as_bytes())
                    .unwrap_or_else(|error| panic!("{error}: printed as {text:?}"));
                assert_eq!(again.to_string(), *text);
            }
            if values.iter().all(Result::is_ok) {
                let row = texts.join(", ");
                let again: Vec<_> = list::values::<header::$header>(row.as_bytes())
                    .map(|value| value.map(|value| value.to_string()))
                    .collect::<Result<_, _>>()
                    .unwrap_or_else(|error| panic!("{error}: printed as {row:?}"));
                assert_eq!(again, texts);
            }
        })),+];
    };
}

typed!(
    Accept,
    AcceptEncoding,
    AlertInfo,
    Allow,
    AuthenticationInfo,
    Authorization,
    CSeq,
    CallId,
    CallInfo,
    Contact,
    ContentDisposition,
    ContentEncoding,
    ContentLength,
    ContentType,
    Date,
    ErrorInfo,
    Event,
    Expires,
    From,
    InReplyTo,
    MaxForwards,
    MimeVersion,
    MinExpires,
    MinSe,
    PAssertedIdentity,
    Path,
    Priority,
    Privacy,
    ProxyAuthenticate,
    ProxyAuthorization,
    ProxyRequire,
    RAck,
    RSeq,
    Reason,
    RecordRoute,
    ReferTo,
    Replaces,
    Require,
    RetryAfter,
    Route,
    Server,
    ServiceRoute,
    SessionExpires,
    SubscriptionState,
    Supported,
    Timestamp,
    To,
    Unsupported,
    UserAgent,
    Via,
    Warning,
    WwwAuthenticate,
);
