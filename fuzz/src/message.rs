use std::net::{Ipv4Addr, SocketAddr};

use sip_core::{
    Limits, Name,
    message::{Head, Message},
};

/// A message prints as it came; what prints is parsed again and is the same; so is what prints
/// after an edit, but for the edit.
pub fn message(data: &[u8]) {
    let limits = Limits::default();
    let Ok(head) = Head::parse(data, &limits) else {
        return;
    };
    let wire = head.message(data).to_vec();
    let good = head.check(data).is_ok();
    let message = head.into_message(data);

    let printed = message.to_bytes();
    // The version is the one thing that is not kept: its letters become capitals.
    let line = wire.iter().position(|&byte| byte == b'\n').unwrap_or(wire.len());
    assert!(printed[..line].eq_ignore_ascii_case(&wire[..line]));
    assert_eq!(printed[line..], wire[line..]);
    assert_eq!(printed.len(), message.wire_len());
    let again = reparsed(&message);
    assert_eq!(rows(&again), rows(&message));
    assert_eq!(again.check().is_ok(), good);

    let mut edited = message.clone();
    if edited.prepend(Name::Via, "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKfuzz").is_ok() {
        let again = reparsed(&edited);
        assert_eq!(rows(&again), rows(&edited));
        assert_eq!(rows(&again).len(), rows(&message).len() + 1);
        edited.remove_first_value(Name::Via);
        assert_eq!(rows(&edited), rows(&message));
    }

    if good {
        let source = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 77), 40_000));
        let head = Head::parse(data, &limits).unwrap_or_else(|error| panic!("{error}"));
        let stamped = head.into_received(data, source, true);
        let again = reparsed(&stamped);
        assert_eq!(rows(&again), rows(&stamped));
        assert!(again.check().is_ok());
        if again.is_request() {
            let via = again.top_via().unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(via.rport(), Some(Some(40_000)));
        }
    }
}

/// Prints a message and parses the print, which must give the same start line and body.
fn reparsed(message: &Message) -> Message {
    let again = Message::parse(message.to_bytes()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(again.start_line(), message.start_line());
    assert_eq!(again.body(), message.body());
    again
}

/// Names and values of all header rows.
pub(crate) fn rows(message: &Message) -> Vec<(Vec<u8>, Vec<u8>)> {
    let row = |row: sip_core::message::HeaderRow<'_>| {
        (row.name_text().to_vec(), row.value().to_vec())
    };
    message.rows().map(row).collect()
}
