use sip_core::{
    Name,
    header::{self, Header as _, list},
};

/// A typed header prints what it parsed: the print is parsed again and prints the same.
///
/// The input is a header line, `Name: value`; without a name that has a type, every typed header
/// tries the whole input.
pub fn headers(data: &[u8]) {
    let (name, row) = match data.iter().position(|&byte| byte == b':') {
        Some(colon) => (data[..colon].trim_ascii(), data[colon + 1..].trim_ascii()),
        None => (data, data),
    };
    let is = |typed: Name| {
        let compact = typed
            .compact()
            .is_some_and(|compact| name.eq_ignore_ascii_case(&[compact]));
        compact || name.eq_ignore_ascii_case(typed.as_str().as_bytes())
    };
    match TYPED.iter().find(|(typed, _)| is(*typed)) {
        Some((_, round_trip)) => round_trip(row),
        None => TYPED.iter().for_each(|(_, round_trip)| round_trip(data)),
    }
}

/// What one typed header does with a row.
type RoundTrip = fn(&[u8]);

// A macro, because the header borrows the row and a type parameter cannot stand for all lifetimes.
macro_rules! typed {
    ($($header:ident),+ $(,)?) => {
        /// Every typed header.
        const TYPED: &[(Name, RoundTrip)] = &[$((header::$header::NAME, |row| {
            let values: Vec<_> = list::values::<header::$header>(row).collect();
            for value in values.iter().flatten() {
                let text = value.to_string();
                let again = header::$header::parse(text.as_bytes())
                    .unwrap_or_else(|error| panic!("{error}: printed as {text:?}"));
                assert_eq!(again.to_string(), text);
            }
            if let Ok(values) = values.into_iter().collect::<Result<Vec<_>, _>>() {
                let texts: Vec<_> = values.iter().map(ToString::to_string).collect();
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
    Allow,
    AuthenticationInfo,
    Authorization,
    CSeq,
    CallId,
    Contact,
    ContentLength,
    ContentType,
    Date,
    Event,
    Expires,
    From,
    MaxForwards,
    MinExpires,
    MinSe,
    PAssertedIdentity,
    Path,
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
    To,
    Unsupported,
    UserAgent,
    Via,
    Warning,
    WwwAuthenticate,
);
