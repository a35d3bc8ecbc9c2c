//! STUN on the SIP port: binding requests are keep-alives, and are answered (RFC 5626 §3.5.2, §4.4.2;
//! RFC 8489).

use core::net::{IpAddr, SocketAddr};

const HEADER: usize = 20;
const COOKIE: [u8; 4] = 0x2112_a442_u32.to_be_bytes();
const BINDING_REQUEST: u16 = 0x0001;
const BINDING_SUCCESS: u16 = 0x0101;
const BINDING_ERROR: u16 = 0x0111;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
const ERROR_CODE: u16 = 0x0009;
const UNKNOWN_ATTRIBUTES: u16 = 0x000a;
/// Attributes from here on may be ignored (RFC 8489 §14).
const OPTIONAL: u16 = 0x8000;

/// Whether a datagram is STUN and not SIP: two zero bits and the magic cookie (RFC 8489 §5).
pub(crate) fn is_stun(data: &[u8]) -> bool {
    data.first().is_some_and(|&first| first < 0x40) && data.get(4..8) == Some(&COOKIE)
}

/// The answer to a binding request: the address that it came from, or that it asks for what is not
/// known here. `None` for anything else.
pub(crate) fn answer(data: &[u8], source: SocketAddr) -> Option<Vec<u8>> {
    let (header, attributes) = data.split_first_chunk::<HEADER>()?;
    let [a, b, c, d, ref id @ ..] = *header;
    let length = usize::from(u16::from_be_bytes([c, d]));
    if u16::from_be_bytes([a, b]) != BINDING_REQUEST || length != attributes.len() {
        return None;
    }
    let unknown = unknown(attributes)?;
    let mut body = Vec::with_capacity(24);
    let kind = if unknown.is_empty() {
        attribute(&mut body, XOR_MAPPED_ADDRESS, &xor(source, id));
        BINDING_SUCCESS
    } else {
        attribute(&mut body, ERROR_CODE, &[0, 0, 4, 20]);
        attribute(&mut body, UNKNOWN_ATTRIBUTES, &unknown);
        BINDING_ERROR
    };
    let mut answer = Vec::with_capacity(HEADER + body.len());
    answer.extend_from_slice(&kind.to_be_bytes());
    answer.extend_from_slice(&u16::try_from(body.len()).ok()?.to_be_bytes());
    answer.extend_from_slice(id);
    answer.extend_from_slice(&body);
    Some(answer)
}

/// The types of the attributes that must be understood and are not, at most four; `None` if the
/// attributes are malformed.
fn unknown(mut attributes: &[u8]) -> Option<Vec<u8>> {
    let mut unknown = Vec::new();
    while !attributes.is_empty() {
        let (&[a, b, c, d], rest) = attributes.split_first_chunk()?;
        if u16::from_be_bytes([a, b]) < OPTIONAL && unknown.len() < 8 {
            unknown.extend_from_slice(&[a, b]);
        }
        // Values are padded to four bytes (RFC 8489 §14).
        let padded = usize::from(u16::from_be_bytes([c, d])).next_multiple_of(4);
        attributes = rest.get(padded..)?;
    }
    Some(unknown)
}

fn attribute(body: &mut Vec<u8>, kind: u16, value: &[u8]) {
    body.extend_from_slice(&kind.to_be_bytes());
    // Values here have at most 20 bytes.
    body.extend_from_slice(&(value.len() as u16).to_be_bytes());
    body.extend_from_slice(value);
    body.resize(body.len().next_multiple_of(4), 0);
}

/// RFC 8489 §14.2: family, and port and address under the cookie and transaction id.
fn xor(source: SocketAddr, id: &[u8; 16]) -> Vec<u8> {
    let (family, octets) = match source.ip().to_canonical() {
        IpAddr::V4(ip) => (1, ip.octets().to_vec()),
        IpAddr::V6(ip) => (2, ip.octets().to_vec()),
    };
    let mut value = vec![0, family];
    let masked = |byte: (&u8, &u8)| byte.0 ^ byte.1;
    value.extend(source.port().to_be_bytes().iter().zip(id).map(masked));
    value.extend(octets.iter().zip(id).map(masked));
    value
}
