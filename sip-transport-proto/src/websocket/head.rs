//! The received heads of the opening handshake (RFC 6455 §4).

use core::fmt;

use bytes::Bytes;

use crate::error::HandshakeError;

/// The limit of headers in a head.
const MAX_HEADERS: usize = 64;

/// The headers of a handshake's request or response.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Headers(Vec<(Bytes, Bytes)>);

impl Headers {
    fn new(head: &Bytes, parsed: &[httparse::Header<'_>]) -> Self {
        Self(
            parsed
                .iter()
                .map(|header| {
                    (
                        head.slice_ref(header.name.as_bytes()),
                        head.slice_ref(header.value.trim_ascii()),
                    )
                })
                .collect(),
        )
    }

    /// The value of the first header with this name, ignoring case.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.get_all(name).next()
    }

    /// The values of all headers with this name, in order.
    pub fn get_all(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.iter()
            .filter(move |(other, _)| other.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value)
    }

    /// Names and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// The value of the only header with this name; `None` if there is none, or more than one.
    pub(super) fn single(&self, name: &str) -> Option<&[u8]> {
        let mut values = self.get_all(name);
        let value = values.next()?;
        values.next().is_none().then_some(value)
    }

    /// The members of the comma-separated lists in all headers with this name.
    pub(super) fn list(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.get_all(name)
            .flat_map(|value| value.split(|&byte| byte == b','))
            .map(<[u8]>::trim_ascii)
            .filter(|member| !member.is_empty())
    }

    pub(super) fn lists(&self, name: &str, member: &str) -> bool {
        self.list(name)
            .any(|other| other.eq_ignore_ascii_case(member.as_bytes()))
    }
}

/// Names only: values may be secrets.
impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.iter().map(|(name, _)| String::from_utf8_lossy(name)))
            .finish()
    }
}

/// A client's handshake request, as received by a server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UpgradeRequest {
    pub(super) method: Bytes,
    pub(super) minor_version: u8,
    target: Bytes,
    headers: Headers,
}

impl UpgradeRequest {
    /// Parses `head`: everything up to and including the empty line.
    pub(super) fn parse(head: &Bytes) -> Result<Self, HandshakeError> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut parsed = httparse::Request::new(&mut headers);
        whole(parsed.parse(head), head)?;
        let (Some(method), Some(target), Some(minor_version)) =
            (parsed.method, parsed.path, parsed.version)
        else {
            return Err(HandshakeError::NotHttp);
        };
        Ok(Self {
            method: head.slice_ref(method.as_bytes()),
            minor_version,
            target: head.slice_ref(target.as_bytes()),
            headers: Headers::new(head, parsed.headers),
        })
    }

    /// The request target as received: path and query, or a whole URI.
    pub fn target(&self) -> &str {
        str::from_utf8(&self.target).unwrap_or_default()
    }

    /// The path, without the query.
    pub fn path(&self) -> &str {
        self.split_target().0
    }

    /// The query, without the `?`, if there is one.
    pub fn query(&self) -> Option<&str> {
        self.split_target().1
    }

    fn split_target(&self) -> (&str, Option<&str>) {
        let target = self.target();
        // RFC 6455 §4.1 allows a whole URI as well.
        let local = match target.split_once("://") {
            Some((scheme, rest)) if !scheme.contains('/') => {
                rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/")
            }
            _ => target,
        };
        match local.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (local, None),
        }
    }

    /// The Host header.
    pub fn host(&self) -> Option<&[u8]> {
        self.headers.get("host")
    }

    /// The Origin header, which browsers send (RFC 6455 §10.2).
    pub fn origin(&self) -> Option<&[u8]> {
        self.headers.get("origin")
    }

    /// All headers.
    pub fn headers(&self) -> &Headers {
        &self.headers
    }
}

/// A server's handshake response, as received by a client.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UpgradeResponse {
    status: u16,
    headers: Headers,
}

impl UpgradeResponse {
    pub(super) fn parse(head: &Bytes) -> Result<Self, HandshakeError> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut parsed = httparse::Response::new(&mut headers);
        whole(parsed.parse(head), head)?;
        if parsed.version != Some(1) {
            return Err(HandshakeError::HttpVersion);
        }
        Ok(Self {
            status: parsed.code.ok_or(HandshakeError::NotHttp)?,
            headers: Headers::new(head, parsed.headers),
        })
    }

    /// The status: 101 if the WebSocket opened.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// All headers.
    pub fn headers(&self) -> &Headers {
        &self.headers
    }
}

/// Checks that the parser consumed the whole head. If a head ends before its last line, another
/// parser may find its end elsewhere.
fn whole(
    parsed: Result<httparse::Status<usize>, httparse::Error>,
    head: &Bytes,
) -> Result<(), HandshakeError> {
    match parsed {
        Ok(httparse::Status::Complete(len)) if len == head.len() => Ok(()),
        Ok(_) => Err(HandshakeError::NotHttp),
        Err(httparse::Error::TooManyHeaders) => {
            Err(HandshakeError::TooManyHeaders { limit: MAX_HEADERS })
        }
        Err(httparse::Error::Version) => Err(HandshakeError::HttpVersion),
        Err(_) => Err(HandshakeError::NotHttp),
    }
}

/// Returns true for a token (RFC 9110 §5.6.2).
pub(super) fn is_token(text: &[u8]) -> bool {
    !text.is_empty()
        && text
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}
