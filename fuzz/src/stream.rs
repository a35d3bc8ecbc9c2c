use sip_core::{Frame, Framer, Limits, Message, message::ParseError};

/// However a stream is cut, it gives the same frames and the same error; a message from it is
/// also one as a datagram, and reads the same.
///
/// The first byte of the input chooses how the rest is cut.
pub fn stream(data: &[u8]) {
    let Some((&seed, stream)) = data.split_first() else {
        return;
    };
    let whole = frames(stream, |left| left);
    let bytewise = frames(stream, |_| 1);
    assert_eq!(whole, bytewise, "whole and byte by byte");
    // Small steps and large ones in turn, from a fixed-point of no period that matters here.
    let mut state = u32::from(seed).wrapping_mul(0x9e37_79b9) | 1;
    let cut = frames(stream, |_| {
        state = state.wrapping_mul(0x0019_660d).wrapping_add(0x3c6e_f35f);
        let step = state >> 16;
        (if step % 3 == 0 { step % 400 } else { step % 7 }) as usize + 1
    });
    assert_eq!(whole, cut, "whole and cut by {seed}");
}

#[derive(Debug, Eq, PartialEq)]
enum Seen {
    Crlf,
    Ping,
    Message {
        start_line: String,
        rows: Vec<(Vec<u8>, Vec<u8>)>,
        body: Vec<u8>,
    },
    Failed(ParseError),
    /// What was left when the stream ended.
    Rest(Vec<u8>),
}

/// What a framer makes of a stream that comes in pieces, of which `next` chooses the sizes.
fn frames(stream: &[u8], mut next: impl FnMut(usize) -> usize) -> Vec<Seen> {
    let mut framer = Framer::new(Limits::default());
    let mut seen = Vec::new();
    let mut left = stream;
    while !left.is_empty() {
        let piece = next(left.len()).min(left.len());
        let taken = framer.push(&left[..piece]);
        assert!(taken > 0, "a framer that wants more takes something");
        left = &left[taken..];
        loop {
            match framer.poll() {
                Ok(None) => break,
                Ok(Some(Frame::Crlf)) => seen.push(Seen::Crlf),
                Ok(Some(Frame::Ping)) => seen.push(Seen::Ping),
                Ok(Some(Frame::Message { mut head, data })) => {
                    let message = head.to_message(data);
                    let rows = crate::message::rows(&message);
                    match Message::parse(data.to_vec()) {
                        Ok(datagram) => {
                            assert_eq!(crate::message::rows(&datagram), rows);
                            assert_eq!(datagram.body(), message.body());
                        }
                        // Its end is known all the same, so the stream goes on.
                        Err(error) => {
                            assert_eq!(head.check(data), Err(error));
                            assert!(!error.is_fatal_for_stream(), "{error}");
                        }
                    }
                    seen.push(Seen::Message {
                        start_line: message.start_line().to_string(),
                        rows,
                        body: message.body().to_vec(),
                    });
                }
                Ok(Some(_)) => unreachable!("no other frame is known"),
                Err(error) => {
                    assert_eq!(framer.poll().err(), Some(error), "an error stays");
                    seen.push(Seen::Failed(error));
                    return seen;
                }
            }
        }
    }
    seen.push(Seen::Rest(framer.rest().to_vec()));
    seen
}
