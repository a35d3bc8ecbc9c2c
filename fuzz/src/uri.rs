use sip_core::uri::Uri;

/// A URI that was parsed prints byte for byte as it came, and comparison is a relation: each URI
/// equals itself, and of two (on two lines) neither equals the other alone (RFC 3261 §19.1.4).
pub fn uri(data: &[u8]) {
    let mut lines = data.splitn(2, |&byte| byte == b'\n');
    let mut next = || Uri::parse(lines.next()?).ok();
    let first = next();
    let second = next();
    for (uri, text) in [&first, &second]
        .into_iter()
        .zip(data.splitn(2, |&byte| byte == b'\n'))
    {
        if let Some(uri) = uri {
            assert_eq!(uri.to_string().as_bytes(), text);
            assert!(uri.equivalent(uri), "{uri} does not equal itself");
        }
    }
    if let (Some(first), Some(second)) = (first, second) {
        assert_eq!(
            first.equivalent(&second),
            second.equivalent(&first),
            "{first} and {second}"
        );
    }
}
