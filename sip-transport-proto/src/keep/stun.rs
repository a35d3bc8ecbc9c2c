//! STUN on the SIP port: binding requests serve as keep-alives, and are answered (RFC 5626 §3.5.2,
//! §4.4.2; RFC 8489).

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const HEADER: usize = 20;
/// The longest message: a longer datagram is not a keep-alive (RFC 8489 §6.1), and not worth a
/// checksum.
const MESSAGE_MAX: usize = 1_500;
const COOKIE: [u8; 4] = 0x2112_a442_u32.to_be_bytes();
const BINDING_REQUEST: u16 = 0x0001;
const BINDING_SUCCESS: u16 = 0x0101;
const BINDING_ERROR: u16 = 0x0111;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
const ERROR_CODE: u16 = 0x0009;
const UNKNOWN_ATTRIBUTES: u16 = 0x000a;
const FINGERPRINT: u16 = 0x8028;
/// The first of the attribute types that may be ignored (RFC 8489 §14).
const OPTIONAL: u16 = 0x8000;

/// The transaction id of a request (RFC 8489 §5).
pub(crate) type TransactionId = [u8; 12];

/// A peer's response to a binding request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum BindingResponse {
    /// The source address of the request as the peer sees it.
    Mapped(SocketAddr),
    /// An error code.
    Error(u16),
}

/// Returns true if a datagram is STUN, not SIP: two zero bits and the magic cookie (RFC 8489 §5).
pub(crate) fn is_stun(data: &[u8]) -> bool {
    data.first().is_some_and(|&first| first < 0x40) && data.get(4..8) == Some(&COOKIE)
}

/// A binding request without attributes (RFC 5626 §4.4.2).
pub(crate) fn request(id: &TransactionId) -> [u8; HEADER] {
    let mut request = [0; HEADER];
    let parts = [&BINDING_REQUEST.to_be_bytes()[..], &[0, 0], &COOKIE, id];
    for (to, from) in request.iter_mut().zip(parts.into_iter().flatten()) {
        *to = *from;
    }
    request
}

/// Parses the response to the binding request with this id. Unknown attributes are ignored.
pub(crate) fn read_answer(data: &[u8], id: &TransactionId) -> Option<BindingResponse> {
    let message = Message::read(data)?;
    let (cookie_and_id, attributes) = (message.id, message.attributes);
    if cookie_and_id.get(4..) != Some(id) {
        return None;
    }
    let wanted = match message.kind {
        BINDING_SUCCESS => XOR_MAPPED_ADDRESS,
        BINDING_ERROR => ERROR_CODE,
        _ => return None,
    };
    let mut values = Attributes(attributes).flatten();
    let (_, value) = values.find(|(kind, _)| *kind == wanted)?;
    match (message.kind, value) {
        (BINDING_SUCCESS, _) => unmask(value, cookie_and_id).map(BindingResponse::Mapped),
        // RFC 8489 §14.8: the hundreds are in three bits, the rest in a byte.
        (_, &[_, _, class, number, ..]) => {
            let code = u16::from(class & 7) * 100 + u16::from(number);
            Some(BindingResponse::Error(code))
        }
        _ => None,
    }
}

/// A binding request.
pub(crate) struct BindingRequest<'a>(Message<'a>);

impl<'a> BindingRequest<'a> {
    /// Reads a binding request, which takes less work than answering it. `None` for anything else.
    pub(crate) fn read(data: &'a [u8]) -> Option<Self> {
        let message = Message::read(data)?;
        (message.kind == BINDING_REQUEST).then_some(Self(message))
    }

    /// The response: the request's source address, or an error that lists the mandatory attributes
    /// not known here.
    pub(crate) fn answer(&self, source: SocketAddr) -> Vec<u8> {
        let Message { id, attributes, .. } = self.0;
        let mut unknown = Vec::new();
        for (kind, _) in Attributes(attributes).flatten() {
            if kind < OPTIONAL && unknown.len() < 8 {
                unknown.extend_from_slice(&kind.to_be_bytes());
            }
        }
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
        // At most 36 bytes.
        answer.extend_from_slice(&(body.len() as u16).to_be_bytes());
        answer.extend_from_slice(id);
        answer.extend_from_slice(&body);
        answer
    }
}

/// A STUN message whose length and attributes are consistent (RFC 8489 §6.3).
struct Message<'a> {
    kind: u16,
    /// The magic cookie and the transaction id.
    id: &'a [u8; 16],
    attributes: &'a [u8],
}

impl<'a> Message<'a> {
    fn read(data: &'a [u8]) -> Option<Self> {
        if data.len() > MESSAGE_MAX {
            return None;
        }
        let (header, attributes) = data.split_first_chunk::<HEADER>()?;
        let [a, b, c, d, id @ ..] = header;
        let length = usize::from(u16::from_be_bytes([*c, *d]));
        let whole = is_stun(data) && length == attributes.len() && length.is_multiple_of(4);
        if !whole || Attributes(attributes).any(|attribute| attribute.is_none()) {
            return None;
        }
        if !fingerprint_fits(data, attributes) {
            return None;
        }
        Some(Self {
            kind: u16::from_be_bytes([*a, *b]),
            id,
            attributes,
        })
    }
}

/// An iterator over attribute types and values; yields `None`, and ends, at a malformed one.
struct Attributes<'a>(&'a [u8]);

impl<'a> Iterator for Attributes<'a> {
    type Item = Option<(u16, &'a [u8])>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let attribute = (|| {
            let (&[a, b, c, d], rest) = self.0.split_first_chunk()?;
            let length = usize::from(u16::from_be_bytes([c, d]));
            let value = rest.get(..length)?;
            // Values are padded to four bytes (RFC 8489 §14).
            self.0 = rest.get(length.next_multiple_of(4)..)?;
            Some((u16::from_be_bytes([a, b]), value))
        })();
        if attribute.is_none() {
            self.0 = &[];
        }
        Some(attribute)
    }
}

/// Checks the fingerprint, if it is the last attribute, against what precedes it (RFC 8489 §14.7).
/// On a mismatch the message is not STUN.
fn fingerprint_fits(data: &[u8], attributes: &[u8]) -> bool {
    let Some(Some((FINGERPRINT, value))) = Attributes(attributes).last() else {
        return true;
    };
    let front = data.len().saturating_sub(8);
    let sum = crc32(data.get(..front).unwrap_or_default()) ^ 0x5354_554e;
    value == sum.to_be_bytes()
}

/// The CRC-32 of ISO 3309.
fn crc32(data: &[u8]) -> u32 {
    !data.iter().fold(u32::MAX, |sum, byte| {
        let [low, ..] = sum.to_le_bytes();
        sum >> 8 ^ CRC_TABLE[usize::from(low ^ byte)]
    })
}

/// The CRC of each byte value.
const CRC_TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < table.len() {
        let mut sum = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            sum = sum >> 1 ^ if sum & 1 == 1 { 0xedb8_8320 } else { 0 };
            bit += 1;
        }
        table[byte] = sum;
        byte += 1;
    }
    table
};

fn attribute(body: &mut Vec<u8>, kind: u16, value: &[u8]) {
    body.extend_from_slice(&kind.to_be_bytes());
    // Values here have at most 20 bytes.
    body.extend_from_slice(&(value.len() as u16).to_be_bytes());
    body.extend_from_slice(value);
    body.resize(body.len().next_multiple_of(4), 0);
}

/// The value of XOR-MAPPED-ADDRESS: family, and port and address masked with cookie and transaction
/// id (RFC 8489 §14.2).
fn xor(source: SocketAddr, id: &[u8; 16]) -> Vec<u8> {
    let (family, octets) = match source.ip().to_canonical() {
        IpAddr::V4(ip) => (1, ip.octets().to_vec()),
        IpAddr::V6(ip) => (2, ip.octets().to_vec()),
    };
    let mut value = vec![0, family];
    value.extend(masked(&source.port().to_be_bytes(), id));
    value.extend(masked(&octets, id));
    value
}

/// The address in the value of XOR-MAPPED-ADDRESS.
fn unmask(value: &[u8], id: &[u8; 16]) -> Option<SocketAddr> {
    let (&[_, family, a, b], address) = value.split_first_chunk()?;
    let port: Vec<u8> = masked(&[a, b], id).collect();
    let masked: Vec<u8> = masked(address, id).collect();
    let ip = match (family, address.len()) {
        (1, 4) => IpAddr::from(Ipv4Addr::from(<[u8; 4]>::try_from(masked).ok()?)),
        (2, 16) => IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(masked).ok()?)),
        _ => return None,
    };
    let port = u16::from_be_bytes(port.try_into().ok()?);
    Some(SocketAddr::new(ip.to_canonical(), port))
}

fn masked(bytes: &[u8], id: &[u8; 16]) -> impl Iterator<Item = u8> {
    bytes.iter().zip(id).map(|(byte, mask)| byte ^ mask)
}
