//! The text form of a [`Flow`]: sealed, so that a peer can neither read nor make up one
//! (RFC 5626 §5.2).
//!
//! A token is a synthetic initialization vector, as in RFC 5297: an HMAC of the flow's facts, which
//! are encrypted under it. So a flow has one token, and nothing random is needed.

use core::iter;
use core::net::{IpAddr, SocketAddr};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use sip_core::Flow;

use crate::ids::TransportId;
use crate::protocol::Protocol;

/// RFC 5626 §5.2 takes 80 bits of the hash.
const VECTOR: usize = 10;
/// What a key is used for, as the first byte of what is hashed.
const SEAL: u8 = 0;

/// The facts that a token carries. Our own port is not among them: a channel or a connection has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TokenFacts {
    pub(crate) words: [u64; 2],
    /// Where a datagram arrived; for a stream, its connection knows.
    pub(crate) local: Option<IpAddr>,
    pub(crate) remote: SocketAddr,
}

/// At most 71 letters, digits, hyphens and underscores.
pub(crate) fn seal(flow: &Flow, key: &[u8; 32]) -> String {
    let facts = TokenFacts::of(flow);
    let mut payload = facts.to_bytes();
    let vector = vector(&payload, facts.transport(), key);
    encrypt(&mut payload, &vector, key);
    let mut sealed = vector.to_vec();
    sealed.append(&mut payload);
    to_text(&sealed)
}

/// `None` for what [`seal`] did not make for a flow of this transport.
pub(crate) fn open(token: &str, transport: TransportId, key: &[u8; 32]) -> Option<TokenFacts> {
    let sealed = from_text(token)?;
    let (vector, payload) = sealed.split_first_chunk::<VECTOR>()?;
    let mut payload = payload.to_vec();
    encrypt(&mut payload, vector, key);
    let hash = vector_hash(&payload, transport.0, key);
    hash.verify_truncated_left(vector).ok()?;
    TokenFacts::read(&payload, transport)
}

impl TokenFacts {
    fn of(flow: &Flow) -> Self {
        let words = flow.words();
        let is_datagram = words[1] & 7 == Protocol::Udp as u64;
        Self {
            words,
            local: is_datagram.then(|| flow.local().ip()),
            remote: flow.remote(),
        }
    }

    fn transport(&self) -> u32 {
        u32::try_from(self.words[0] >> 32).unwrap_or_default()
    }

    /// A byte that says what follows: the channel, the carrier without leading zeros, the port for
    /// responses, the peer, our own address.
    fn to_bytes(self) -> Vec<u8> {
        let [first, second] = self.words;
        let [protocol_bits, carrier] = [second & 7, second << 16 >> 19];
        let carrier = carrier.to_be_bytes();
        let zeros = carrier.iter().take_while(|byte| **byte == 0).count();
        let carrier = carrier.get(zeros..).unwrap_or_default();
        let is_v6 = |ip: IpAddr| u8::from(ip.is_ipv6());
        let head = u8::try_from(protocol_bits).unwrap_or_default()
            | u8::try_from(carrier.len()).unwrap_or_default() << 3
            | is_v6(self.remote.ip()) << 6
            | self.local.map_or(0, is_v6) << 7;
        let mut bytes = vec![head];
        bytes.extend_from_slice(&first.to_be_bytes()[4..]);
        bytes.extend_from_slice(carrier);
        bytes.extend_from_slice(&second.to_be_bytes()[..2]);
        bytes.extend_from_slice(&self.remote.port().to_be_bytes());
        for ip in iter::once(self.remote.ip()).chain(self.local) {
            match ip {
                IpAddr::V4(ip) => bytes.extend_from_slice(&ip.octets()),
                IpAddr::V6(ip) => bytes.extend_from_slice(&ip.octets()),
            }
        }
        bytes
    }

    fn read(bytes: &[u8], transport: TransportId) -> Option<Self> {
        let (head, rest) = bytes.split_first()?;
        let (channel, rest) = rest.split_first_chunk::<4>()?;
        let (carrier, rest) = rest.split_at_checked(usize::from(head >> 3 & 7))?;
        let (reply_port, rest) = rest.split_first_chunk::<2>()?;
        let (port, rest) = rest.split_first_chunk::<2>()?;
        let (remote, rest) = read_ip(rest, head & 1 << 6 != 0)?;
        let is_datagram = u64::from(head & 7) == Protocol::Udp as u64;
        let local = match is_datagram {
            true => Some(read_ip(rest, head & 1 << 7 != 0)?.0),
            false => None,
        };
        let carrier = carrier.iter().fold(0, |n, byte| n << 8 | u64::from(*byte));
        let first = u64::from(transport.0) << 32 | u64::from(u32::from_be_bytes(*channel));
        let reply_port = u64::from(u16::from_be_bytes(*reply_port));
        Some(Self {
            words: [first, reply_port << 48 | carrier << 3 | u64::from(head & 7)],
            local,
            remote: SocketAddr::new(remote, u16::from_be_bytes(*port)),
        })
    }
}

fn read_ip(bytes: &[u8], v6: bool) -> Option<(IpAddr, &[u8])> {
    if v6 {
        let (ip, rest) = bytes.split_first_chunk::<16>()?;
        return Some((IpAddr::from(*ip), rest));
    }
    let (ip, rest) = bytes.split_first_chunk::<4>()?;
    Some((IpAddr::from(*ip), rest))
}

fn vector(payload: &[u8], transport: u32, key: &[u8; 32]) -> [u8; VECTOR] {
    let full = vector_hash(payload, transport, key).finalize().into_bytes();
    full.first_chunk().copied().unwrap_or_default()
}

fn vector_hash(payload: &[u8], transport: u32, key: &[u8; 32]) -> Hmac<Sha256> {
    let mut hash = hasher(key);
    hash.update(&[SEAL]);
    hash.update(&transport.to_be_bytes());
    hash.update(payload);
    hash
}

/// Encrypts, and decrypts: the key stream is an HMAC of the vector and a count.
fn encrypt(payload: &mut [u8], vector: &[u8; VECTOR], key: &[u8; 32]) {
    for (block, count) in payload.chunks_mut(32).zip(SEAL + 1..) {
        let mut hash = hasher(key);
        hash.update(&[count]);
        hash.update(vector);
        let stream = hash.finalize().into_bytes();
        for (byte, mask) in block.iter_mut().zip(stream) {
            *byte ^= mask;
        }
    }
}

fn hasher(key: &[u8; 32]) -> Hmac<Sha256> {
    // A hash key may have any length; 32 bytes fit the block.
    let mut block = [0; 64];
    for (to, from) in block.iter_mut().zip(key) {
        *to = *from;
    }
    Hmac::new(&block.into())
}

/// The alphabet of base64url (RFC 4648 §5): what a Via parameter and the user part of a URI may hold.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn to_text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().saturating_mul(4).div_ceil(3));
    for group in bytes.chunks(3) {
        let number = group
            .iter()
            .chain(iter::repeat(&0))
            .take(3)
            .fold(0, |n, byte| n << 8 | usize::from(*byte));
        for shift in [18, 12, 6, 0].into_iter().take(group.len() + 1) {
            let letter = ALPHABET.get(number >> shift & 63).copied();
            text.push(char::from(letter.unwrap_or_default()));
        }
    }
    text
}

/// The bytes of what [`to_text`] writes, and of nothing else, so that a flow has one token only.
fn from_text(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let (mut number, mut bits) = (0_u32, 0);
    for letter in text.bytes() {
        let value = ALPHABET.iter().position(|known| *known == letter)?;
        number = number << 6 | u32::try_from(value).ok()?;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(number >> bits & 0xff).ok()?);
            number &= (1 << bits) - 1;
        }
    }
    (bits < 6 && number == 0).then_some(bytes)
}
