//! The branches of stateless proxies.

use sha2::{Digest, Sha256};
use sip_core::message::HeaderError;
use sip_core::{Name, Request};

use crate::tokens::Branch;

/// The branch with which a stateless proxy forwards a request (RFC 3261 §16.11): the same for each
/// retransmission, and for the CANCEL and the ACK that belong to it, on every host and after a
/// restart.
///
/// ```
/// use sip_transport_proto::sip_core::{Message, Name, Request};
/// use sip_transport_proto::stateless_branch;
///
/// # fn forward(received: Request) -> Result<Message, Box<dyn std::error::Error>> {
/// let branch = stateless_branch(&received)?;
/// let mut forwarded = received.into_message();
/// forwarded.prepend(Name::Via, format!("SIP/2.0/UDP 0.0.0.0;branch={branch}"))?;
/// # Ok(forwarded)
/// # }
/// ```
///
/// # Errors
/// The top Via cannot be read.
pub fn stateless_branch(received: &Request) -> Result<Branch, HeaderError> {
    let via = received.top_via()?;
    let mut hash = Sha256::new();
    // Each part with its length, so that no two lists of parts are the same bytes.
    let mut add = |part: &[u8]| {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    };
    match via.branch().filter(|branch| has_cookie(branch)) {
        Some(branch) => {
            add(branch.as_bytes());
            // Only the branch and the sent-by together are certain to be unique (§17.2.3).
            add(via.sent_by().to_string().to_ascii_lowercase().as_bytes());
        }
        // A client of RFC 2543.
        None => {
            add(via.to_string().as_bytes());
            add(received.to_tag().unwrap_or_default().as_bytes());
            add(received.from_tag().unwrap_or_default().as_bytes());
            add(received.raw(Name::CallId).unwrap_or_default());
            let seq = received.cseq().map(|cseq| cseq.seq());
            add(&seq.unwrap_or_default().to_be_bytes());
            add(received.request_uri().unwrap_or_default());
        }
    }
    let hash: [u8; 32] = hash.finalize().into();
    Ok(Branch::of_random(
        hash.first_chunk().copied().unwrap_or_default(),
    ))
}

/// RFC 3261 §8.1.1.7; case-insensitive as all parameters are.
fn has_cookie(branch: &str) -> bool {
    let cookie = branch.as_bytes().first_chunk::<7>();
    cookie.is_some_and(|cookie| cookie.eq_ignore_ascii_case(b"z9hG4bK"))
}
