//! The opening handshake (RFC 6455 §4, RFC 7118 §4).

use tungstenite::handshake::derive_accept_key;

use super::config::{Refusal, WebSocketConfig};
use super::head::{Headers, UpgradeRequest, UpgradeResponse};
use crate::error::HandshakeError;

/// The subprotocol of SIP (RFC 7118 §4.1).
const SUBPROTOCOL: &str = "sip";

/// A client's request. `host` is reduced to visible ASCII, so that nothing in it can end the line.
pub(super) fn request(config: &WebSocketConfig, host: &str, key: &str) -> Vec<u8> {
    let host: String = config
        .host_or(host)
        .chars()
        .filter(char::is_ascii_graphic)
        .collect();
    let mut text = format!(
        "GET {} HTTP/1.1\r\n\
         Host: {host}\r\n\
         Upgrade: websocket\r\n\
         Connection: Upgrade\r\n\
         Sec-WebSocket-Key: {key}\r\n\
         Sec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n",
        config.request_target(),
    );
    write_headers(&mut text, config.headers());
    text.push_str("\r\n");
    text.into_bytes()
}

/// Checks the server's 101 response (RFC 6455 §4.1, RFC 7118 §4.1). `key` is the one that the
/// client sent.
pub(super) fn check_response(response: &UpgradeResponse, key: &str) -> Result<(), HandshakeError> {
    let headers = response.headers();
    check_upgrade(headers)?;
    if headers.single("sec-websocket-accept") != Some(derive_accept_key(key.as_bytes()).as_bytes())
    {
        return Err(HandshakeError::Accept);
    }
    if headers.list("sec-websocket-extensions").next().is_some() {
        return Err(HandshakeError::Extension);
    }
    match headers.single("sec-websocket-protocol") {
        Some(chosen) if chosen.eq_ignore_ascii_case(SUBPROTOCOL.as_bytes()) => Ok(()),
        _ => Err(HandshakeError::Subprotocol),
    }
}

/// The request and the 101 response to it. To an incorrect or malformed request, appends the error
/// response to `out`.
pub(super) fn answer(
    config: &WebSocketConfig,
    request: Result<UpgradeRequest, HandshakeError>,
    out: &mut Vec<u8>,
) -> Result<(UpgradeRequest, String), HandshakeError> {
    let checked = request.and_then(|request| {
        let reply = accept(config, &request)?;
        Ok((request, reply))
    });
    if let Err(error) = checked {
        out.extend_from_slice(refusal(status(error), &[]).as_bytes());
    }
    checked
}

/// Appends the response for a refusal by the application's check.
pub(super) fn refuse(refused: &Refusal, out: &mut Vec<u8>) {
    out.extend_from_slice(refusal(refused.status(), refused.headers()).as_bytes());
}

/// The 101 response to a correct request.
fn accept(config: &WebSocketConfig, request: &UpgradeRequest) -> Result<String, HandshakeError> {
    let subprotocol = check_request(config, request)?;
    let key = request.headers().get("sec-websocket-key");
    Ok(format!(
        "HTTP/1.1 101 Switching Protocols\r\n\
         Upgrade: websocket\r\n\
         Connection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n\
         Sec-WebSocket-Protocol: {subprotocol}\r\n\r\n",
        derive_accept_key(key.unwrap_or_default()),
    ))
}

/// Checks a request (RFC 6455 §4.2.1). Returns the subprotocol as the client spelled it, since it
/// may compare it with regard to case.
fn check_request<'a>(
    config: &WebSocketConfig,
    request: &'a UpgradeRequest,
) -> Result<&'a str, HandshakeError> {
    let headers = request.headers();
    if request.minor_version != 1 {
        return Err(HandshakeError::HttpVersion);
    }
    if &*request.method != b"GET" {
        return Err(HandshakeError::Method);
    }
    if headers.single("host").is_none() {
        return Err(HandshakeError::Host);
    }
    // The bytes after the head are frames; a body would be parsed as such.
    let body = headers.get_all("content-length").any(|value| value != b"0");
    if body || headers.get("transfer-encoding").is_some() {
        return Err(HandshakeError::Body);
    }
    if !config.serves(request.path()) {
        return Err(HandshakeError::Path);
    }
    check_upgrade(headers)?;
    if headers.single("sec-websocket-version") != Some(b"13") {
        return Err(HandshakeError::WebSocketVersion);
    }
    if !headers.single("sec-websocket-key").is_some_and(is_key) {
        return Err(HandshakeError::Key);
    }
    headers
        .list("sec-websocket-protocol")
        .find(|offered| offered.eq_ignore_ascii_case(SUBPROTOCOL.as_bytes()))
        .and_then(|offered| str::from_utf8(offered).ok())
        .ok_or(HandshakeError::Subprotocol)
}

fn check_upgrade(headers: &Headers) -> Result<(), HandshakeError> {
    if !headers.lists("upgrade", "websocket") {
        return Err(HandshakeError::Upgrade);
    }
    if !headers.lists("connection", "upgrade") {
        return Err(HandshakeError::Connection);
    }
    Ok(())
}

fn status(error: HandshakeError) -> u16 {
    match error {
        HandshakeError::Path => 404,
        HandshakeError::Method => 405,
        HandshakeError::WebSocketVersion => 426,
        HandshakeError::HeadTooLarge { .. } | HandshakeError::TooManyHeaders { .. } => 431,
        HandshakeError::Application { status } => status,
        _ => 400,
    }
}

fn refusal(status: u16, headers: &[(String, String)]) -> String {
    let (connection, extra) = match status {
        405 => ("close", "Allow: GET\r\n"),
        // RFC 6455 §4.4; RFC 9110 §15.5.22 and §7.8 ask for the rest.
        426 => (
            "close, Upgrade",
            "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
        ),
        _ => ("close", ""),
    };
    let mut text = format!(
        "HTTP/1.1 {status} {}\r\n{extra}Connection: {connection}\r\nContent-Length: 0\r\n",
        reason(status),
    );
    write_headers(&mut text, headers);
    text.push_str("\r\n");
    text
}

fn write_headers(text: &mut String, headers: &[(String, String)]) {
    for (name, value) in headers {
        for part in [name, ": ", value, "\r\n"] {
            text.push_str(part);
        }
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Refused",
    }
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Returns true for 16 bytes in base64: 22 digits and the padding.
fn is_key(key: &[u8]) -> bool {
    key.len() == 24
        && key
            .strip_suffix(b"==")
            .is_some_and(|digits| digits.iter().all(|digit| BASE64.contains(digit)))
}

/// Encodes 16 bytes in base64 (RFC 4648 §4).
pub(super) fn key(bytes: [u8; 16]) -> String {
    let digit = |bits: u128| BASE64.get((bits & 63) as usize).map_or('A', |&d| d.into());
    let bits = u128::from_be_bytes(bytes);
    let mut text: String = (0..21).map(|i| digit(bits >> (122 - 6 * i))).collect();
    // 128 bits are 21 digits and 2 bits.
    text.push(digit(bits << 4));
    text.push_str("==");
    text
}
