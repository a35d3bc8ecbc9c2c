//! The settings and limits of WebSockets, and the server's check of a request.

use core::fmt;
use core::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::sync::Arc;

use super::head::{UpgradeRequest, is_token};
use crate::setting::ConfigError;

/// The settings of the opening handshake: the request of a client, and what a server accepts.
///
/// Cheap to clone.
///
/// ```
/// use sip_transport_proto::websocket::{Refusal, WebSocketConfig};
///
/// let mut client = WebSocketConfig::default();
/// client.path("/ws")?.origin("https://phone.example")?;
///
/// let mut server = WebSocketConfig::default();
/// server.serve("/ws")?.check(|request| match request.origin() {
///     Some(b"https://phone.example") => Ok(()),
///     _ => Err(Refusal::new(403)?),
/// });
/// # Ok::<(), sip_transport_proto::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct WebSocketConfig(Arc<Settings>);

#[derive(Clone, Debug)]
struct Settings {
    path: String,
    host: Option<String>,
    headers: Vec<(String, String)>,
    served: Vec<String>,
    check: Option<Check>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            path: "/".into(),
            host: None,
            headers: Vec::new(),
            served: Vec::new(),
            check: None,
        }
    }
}

#[derive(Clone)]
struct Check(Arc<CheckFn>);

type CheckFn = dyn Fn(&UpgradeRequest) -> Result<(), Refusal> + Send + Sync;

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Check")
    }
}

impl WebSocketConfig {
    fn settings(&mut self) -> &mut Settings {
        Arc::make_mut(&mut self.0)
    }

    /// Sets the path that a client requests, with a query if there is to be one (RFC 6455 §3).
    /// Default: `/`.
    ///
    /// # Errors
    /// The path must begin with `/` and contain only visible ASCII except `#`.
    pub fn path(&mut self, path: &str) -> Result<&mut Self, ConfigError> {
        if !is_path(path) {
            return Err(ConfigError {
                setting: "path",
                expected: "a path of visible ASCII that begins with /",
            });
        }
        self.settings().path = path.into();
        Ok(self)
    }

    /// Sets the Host that a client sends, in place of the one it connects to.
    ///
    /// # Errors
    /// The host must consist of visible ASCII.
    pub fn host(&mut self, host: &str) -> Result<&mut Self, ConfigError> {
        if host.is_empty() || !host.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ConfigError {
                setting: "host",
                expected: "a host of visible ASCII",
            });
        }
        self.settings().host = Some(host.into());
        Ok(self)
    }

    /// Sets the Origin that a client sends, as browsers do (RFC 6454). Default: none.
    ///
    /// # Errors
    /// As [`header`](Self::header).
    pub fn origin(&mut self, origin: &str) -> Result<&mut Self, ConfigError> {
        self.header("Origin", origin)
    }

    /// Adds a header to a client's request, such as Cookie or Authorization (RFC 7118 §7).
    ///
    /// # Errors
    /// The name must be a token, and not one of those that the handshake itself sets; the value
    /// must not contain control characters.
    pub fn header(&mut self, name: &str, value: &str) -> Result<&mut Self, ConfigError> {
        let header = header(name, value)?;
        self.settings().headers.push(header);
        Ok(self)
    }

    /// Adds a path that a server accepts, whatever the query of the request. Without any, every
    /// path is accepted; otherwise all others are answered with 404.
    ///
    /// # Errors
    /// As [`path`](Self::path), and without a query.
    pub fn serve(&mut self, path: &str) -> Result<&mut Self, ConfigError> {
        if !is_path(path) || path.contains('?') {
            return Err(ConfigError {
                setting: "serve",
                expected: "a path of visible ASCII that begins with /, without a query",
            });
        }
        self.settings().served.push(path.into());
        Ok(self)
    }

    /// Sets a callback that decides whether a server accepts a client whose request is correct: by
    /// path, Origin, Cookie or any other header (RFC 7118 §7).
    ///
    /// In a transport it runs outside all locks, in the task of the connection. If it panics, the
    /// client is refused with 500.
    pub fn check(
        &mut self,
        check: impl Fn(&UpgradeRequest) -> Result<(), Refusal> + Send + Sync + 'static,
    ) -> &mut Self {
        self.settings().check = Some(Check(Arc::new(check)));
        self
    }

    pub(super) fn request_target(&self) -> &str {
        &self.0.path
    }

    pub(super) fn host_or<'a>(&'a self, host: &'a str) -> &'a str {
        self.0.host.as_deref().unwrap_or(host)
    }

    pub(super) fn headers(&self) -> &[(String, String)] {
        &self.0.headers
    }

    pub(super) fn serves(&self, path: &str) -> bool {
        self.0.served.is_empty() || self.0.served.iter().any(|served| served == path)
    }

    pub(super) fn check_of(&self, request: &UpgradeRequest) -> Option<UpgradeCheck> {
        self.0.check.clone().map(|check| UpgradeCheck {
            check,
            request: request.clone(),
        })
    }
}

/// A client's request, with the application's check to be run on it.
#[derive(Clone, Debug)]
pub struct UpgradeCheck {
    check: Check,
    request: UpgradeRequest,
}

impl UpgradeCheck {
    /// Runs the check. This is code of the application, so no lock should be held.
    ///
    /// # Errors
    /// The check refused the client, or panicked, which counts as a refusal with 500.
    pub fn run(&self) -> Result<(), Refusal> {
        // A panic must not end the calling task: other connections depend on it.
        let checked = catch_unwind(AssertUnwindSafe(|| (self.check.0)(&self.request)));
        checked.unwrap_or_else(|_| {
            Err(Refusal {
                panicked: true,
                ..Refusal::plain(500)
            })
        })
    }
}

impl PartialEq for UpgradeCheck {
    /// Compares by the identity of the check and by the request.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.check.0, &other.check.0) && self.request == other.request
    }
}

impl Eq for UpgradeCheck {}

/// The refusal of a client by the server's check.
///
/// In a check, `?` may be used on the calls that build a refusal: if they fail, the client is
/// refused with 500.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    status: u16,
    headers: Vec<(String, String)>,
    /// True if the refusal stands for a panic of the check.
    panicked: bool,
}

impl Refusal {
    /// A refusal with a status, such as 401 or 403.
    ///
    /// # Errors
    /// The status must be between 300 and 599.
    pub fn new(status: u16) -> Result<Self, ConfigError> {
        if !(300..600).contains(&status) {
            return Err(ConfigError {
                setting: "status",
                expected: "between 300 and 599",
            });
        }
        Ok(Self::plain(status))
    }

    fn plain(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            panicked: false,
        }
    }

    /// Adds a header to the reply, such as WWW-Authenticate.
    ///
    /// # Errors
    /// As [`WebSocketConfig::header`].
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, ConfigError> {
        self.headers.push(header(name, value)?);
        Ok(self)
    }

    pub(super) fn status(&self) -> u16 {
        self.status
    }

    pub(super) fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    /// Returns true if the check panicked.
    pub(crate) fn is_panic(&self) -> bool {
        self.panicked
    }
}

impl From<ConfigError> for Refusal {
    fn from(_: ConfigError) -> Self {
        Self::plain(500)
    }
}

/// The limits of one WebSocket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct WebSocketLimits {
    pub(super) head: usize,
    pub(super) message: usize,
    pub(super) fragments: usize,
}

impl Default for WebSocketLimits {
    fn default() -> Self {
        Self {
            head: 8 << 10,
            message: 64 << 10,
            fragments: 1024,
        }
    }
}

macro_rules! limits {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        ///
        /// # Errors
        /// Zero is refused.
        pub fn $name(&mut self, value: usize) -> Result<&mut Self, ConfigError> {
            if value == 0 {
                return Err(ConfigError { setting: stringify!($name), expected: "more than zero" });
            }
            self.$name = value;
            Ok(self)
        }
    )+};
}

impl WebSocketLimits {
    limits! {
        /// Sets the limit of bytes of a handshake's head, request or response. Default: 8 KiB.
        head;
        /// Sets the limit of bytes of a message, over all its fragments. Default: 64 KiB.
        message;
        /// Sets the limit of fragments of a message. Default: 1024.
        fragments;
    }
}

/// The headers that the handshake itself sets (RFC 6455 §4.1), or that would change where its head
/// ends.
const RESERVED: [&str; 10] = [
    "host",
    "upgrade",
    "connection",
    "sec-websocket-key",
    "sec-websocket-accept",
    "sec-websocket-protocol",
    "sec-websocket-version",
    "sec-websocket-extensions",
    "content-length",
    "transfer-encoding",
];

fn header(name: &str, value: &str) -> Result<(String, String), ConfigError> {
    if !is_token(name.as_bytes())
        || RESERVED
            .iter()
            .any(|reserved| reserved.eq_ignore_ascii_case(name))
    {
        return Err(ConfigError {
            setting: "header name",
            expected: "a token that the handshake does not set itself",
        });
    }
    if value.chars().any(char::is_control) {
        return Err(ConfigError {
            setting: "header value",
            expected: "text without control characters",
        });
    }
    Ok((name.into(), value.trim().into()))
}

fn is_path(path: &str) -> bool {
    path.starts_with('/')
        && path
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'#')
}
