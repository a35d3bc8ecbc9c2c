//! SIP text, as little of it as a caller needs.

use crate::Failure;

/// A response, checked for its form: one status line, `Name: value` lines, and a body as long as Content-Length says.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    headers: Vec<(String, String)>,
}

impl Response {
    /// Reads the bytes of one whole message.
    ///
    /// # Errors
    /// They are no response.
    pub fn parse(message: &[u8]) -> Result<Self, Failure> {
        let head = head_len(message).ok_or("the header section has no end")?;
        let body = message.len() - head;
        let text = str::from_utf8(&message[..head - 4])?;
        let mut lines = text.split("\r\n");
        let status_line = lines.next().unwrap_or_default();
        let status = status_line
            .strip_prefix("SIP/2.0 ")
            .and_then(|rest| rest.split_once(' '))
            .ok_or_else(|| format!("no status line: {status_line}"))?;
        let headers = lines
            .map(|line| {
                let (name, value) = line
                    .split_once(':')
                    .ok_or_else(|| format!("no header: {line}"))?;
                Ok((name.trim().to_owned(), value.trim().to_owned()))
            })
            .collect::<Result<_, Failure>>()?;
        let response = Self {
            status: status.0.parse()?,
            headers,
        };
        // RFC 3261 §20.14: to be there on streams; over WebSocket it may be left out (RFC 7118 §5).
        match response.one("Content-Length") {
            Ok(length) if length.parse() != Ok(body) => {
                Err(format!("Content-Length {length}, but {body} came").into())
            }
            _ => Ok(response),
        }
    }

    /// The value of a header that is there once.
    ///
    /// # Errors
    /// It is not there, or more than once.
    pub fn one(&self, name: &str) -> Result<&str, Failure> {
        let mut values = self
            .headers
            .iter()
            .filter(|header| header.0.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str());
        match (values.next(), values.next()) {
            (Some(value), None) => Ok(value),
            (None, _) => Err(format!("no {name}").into()),
            _ => Err(format!("more than one {name}").into()),
        }
    }
}

/// The value of a parameter behind a header's value, `;name=value`; empty if it has none.
pub fn parameter<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    // Past the brackets: the parameters within belong to the URI.
    let from = value.rfind('>').unwrap_or_default();
    value[from..].split(';').skip(1).find_map(|parameter| {
        let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// The messages of a stream, cut by Content-Length (RFC 3261 §18.3).
#[derive(Debug, Default)]
pub struct Frames {
    data: Vec<u8>,
}

impl Frames {
    /// Takes what came.
    pub fn push(&mut self, data: &[u8]) {
        self.data.extend_from_slice(data);
    }

    /// The next message that is whole.
    ///
    /// # Errors
    /// It does not say how long it is.
    pub fn take(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        // RFC 3261 §7.5: empty lines before a message are nothing.
        while self.data.starts_with(b"\r\n") {
            self.data.drain(..2);
        }
        let Some(head) = head_len(&self.data) else {
            return Ok(None);
        };
        let text = str::from_utf8(&self.data[..head])?;
        let lengths: Vec<&str> = text
            .split("\r\n")
            .filter_map(|line| line.split_once(':'))
            .filter(|(name, _)| name.trim().eq_ignore_ascii_case("Content-Length"))
            .map(|(_, value)| value.trim())
            .collect();
        let [length] = lengths[..] else {
            return Err(
                format!("{} Content-Lengths in a message of a stream", lengths.len()).into(),
            );
        };
        let end = head + length.parse::<usize>()?;
        Ok((self.data.len() >= end).then(|| self.data.drain(..end).collect()))
    }
}

/// How long a header section is, with the empty line that ends it.
fn head_len(data: &[u8]) -> Option<usize> {
    data.windows(4)
        .position(|four| four == b"\r\n\r\n")
        .map(|at| at + 4)
}
