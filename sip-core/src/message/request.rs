//! Requests and responses.

use core::ops::{Deref, DerefMut};

use thiserror::Error;

use super::{Message, StartLine, StatusCode};
use crate::uri::Uri;
use crate::{Method, ValueError};

/// A [`Message`] that is a request.
#[derive(Clone, Debug)]
pub struct Request(Message);

/// A [`Message`] that is a response.
#[derive(Clone, Debug)]
pub struct Response(Message);

/// The error of a message that is a response where a request was expected, or the reverse. It gives
/// the message back.
#[derive(Debug, Error)]
#[error("expected a {expected}, found {}", .message.start_line())]
pub struct WrongKind {
    expected: &'static str,
    message: Message,
}

impl WrongKind {
    /// The message, as it was.
    pub fn into_message(self) -> Message {
        self.message
    }
}

impl Request {
    /// The method.
    pub fn method(&self) -> Method<'_> {
        match self.start_line() {
            StartLine::Request { method, .. } => method,
            StartLine::Response { .. } => Method::Other(""),
        }
    }

    /// The request URI.
    pub fn uri(&self) -> Result<Uri<'_>, ValueError> {
        Uri::parse(self.request_uri().unwrap_or_default())
    }

    /// The message without its type.
    pub fn into_message(self) -> Message {
        self.0
    }
}

impl Response {
    /// The status code.
    pub fn status(&self) -> StatusCode {
        // The type was made from a message that has one, and no edit takes it away.
        Message::status(self).unwrap_or(StatusCode::SERVER_INTERNAL_ERROR)
    }

    /// The reason phrase, free text that may be empty.
    pub fn reason(&self) -> &[u8] {
        match self.start_line() {
            StartLine::Response { reason, .. } => reason,
            StartLine::Request { .. } => &[],
        }
    }

    /// The message without its type.
    pub fn into_message(self) -> Message {
        self.0
    }
}

impl TryFrom<Message> for Request {
    type Error = WrongKind;

    fn try_from(message: Message) -> Result<Self, WrongKind> {
        if message.is_request() {
            Ok(Self(message))
        } else {
            Err(WrongKind {
                expected: "request",
                message,
            })
        }
    }
}

impl TryFrom<Message> for Response {
    type Error = WrongKind;

    fn try_from(message: Message) -> Result<Self, WrongKind> {
        if message.is_request() {
            Err(WrongKind {
                expected: "response",
                message,
            })
        } else {
            Ok(Self(message))
        }
    }
}

macro_rules! message {
    ($($id:ident, $is_request:literal);+) => {$(
        impl $id {
            /// The message with its type; `None` if it is of the other kind. `try_from` returns
            /// such a message in its error.
            #[inline(always)]
            pub fn new(message: Message) -> Option<Self> {
                (message.is_request() == $is_request).then_some(Self(message))
            }

            /// The type of a message that the builders made.
            pub(crate) fn of(message: Message) -> Self {
                Self(message)
            }
        }

        impl Deref for $id {
            type Target = Message;

            fn deref(&self) -> &Message {
                &self.0
            }
        }

        impl DerefMut for $id {
            fn deref_mut(&mut self) -> &mut Message {
                &mut self.0
            }
        }

        impl From<$id> for Message {
            fn from(message: $id) -> Self {
                message.0
            }
        }
    )+};
}

message!(Request, true; Response, false);
