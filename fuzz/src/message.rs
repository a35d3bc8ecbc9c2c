use std::net::{Ipv4Addr, SocketAddr};

use sip_core::{
    Limits, Message, Name, Request, StatusCode,
    build::{ResponseBuilder, salvage},
    header::list,
    message::{Head, HeaderRow},
};

/// Where the messages come from.
fn source() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(192, 0, 2, 77), 40_000))
}

/// A message prints as it came, and what it prints is parsed again as the same message. So it is
/// after edits, and they change nothing else. What answers a message, readable or not, is a
/// message as well.
pub fn message(data: &[u8]) {
    refused(data);
    let limits = Limits::default();
    let Ok(mut head) = Head::parse(data, &limits) else {
        return;
    };
    let wire = head.message(data).to_vec();
    let good = head.check(data).is_ok();
    let message = head.to_message(data);

    let printed = message.to_bytes();
    // The version is the one thing that is not kept: its letters become capitals.
    let line = wire
        .iter()
        .position(|&byte| byte == b'\n')
        .unwrap_or(wire.len());
    assert!(printed[..line].eq_ignore_ascii_case(&wire[..line]));
    // It gets the empty line that ends its head, if it came without.
    let kept = printed
        .strip_suffix(b"\r\n")
        .filter(|kept| kept.len() == wire.len());
    assert_eq!(kept.unwrap_or(&printed)[line..], wire[line..]);
    let again = reparsed(&message);
    assert_eq!(again.check().is_ok(), good);

    if good {
        forwarded(&message);
        returned(&message);
        stamped(data, &limits);
        answered(message);
    }
}

/// The reply to a request that cannot be used, whatever there is to read in it.
fn refused(data: &[u8]) {
    let Some(request) = salvage(data) else {
        return;
    };
    // A request with too many rows is answered with as many Vias as it has.
    let rows = Limits::default().with_rows(Limits::HEAD_MAX);
    let limits = rows.unwrap_or_else(never);
    for limit in [None, Some(data.len())] {
        let reply = request.reply(StatusCode::BAD_REQUEST, "Why", "tag", source(), limit);
        let Some(reply) = reply else {
            assert!(limit.is_some(), "a reply of any length is always possible");
            continue;
        };
        assert!(reply.len() <= limit.unwrap_or(usize::MAX));
        let again = Message::parse_with(reply, &limits).unwrap_or_else(never);
        let asked = request.top_via();
        // A Via of another version, or with parameters that cannot be read, is given back as it is.
        let Ok(via) = again.top_via() else {
            continue;
        };
        assert_eq!(via.sent_by().to_string(), asked.sent_by().to_string());
        if !asked.params().is_empty() {
            assert_eq!(via.branch(), asked.branch());
            assert_eq!(
                asked.rport().is_some(),
                via.rport() == Some(Some(source().port()))
            );
        }
    }
}

/// The response of an application.
fn answered(request: Message) {
    let Ok(request) = Request::try_from(request) else {
        return;
    };
    let response = ResponseBuilder::new(&request, StatusCode::OK)
        .header("X-Note", "a")
        .body("text/plain", b"body")
        .random_tag(|random| random.fill(7))
        .build()
        .unwrap_or_else(never);
    let again = reparsed(&response);
    assert!(again.check().is_ok());
    let value = |message: &Message, name: Name| {
        message
            .raw_all(name)
            .map(<[u8]>::to_vec)
            .collect::<Vec<_>>()
    };
    for echo in [Name::Via, Name::From, Name::CallId, Name::CSeq] {
        assert_eq!(value(&again, echo), value(&request, echo));
    }
}

/// What a proxy does with a request: a Via on top, another request URI, another body.
fn forwarded(message: &Message) {
    let mut edited = message.clone();
    let via = "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKfuzz";
    edited.prepend(Name::Via, via).unwrap_or_else(never);
    assert_eq!(edited.raw(Name::Via), Some(via.as_bytes()));
    assert_eq!(rows(&reparsed(&edited)).len(), rows(message).len() + 1);
    edited.remove_first_value(Name::Via).unwrap_or_else(never);
    assert_eq!(rows(&edited), rows(message));
    if message.is_request() {
        edited
            .set_request_uri("sip:next@example.com")
            .unwrap_or_else(never);
        assert_eq!(
            reparsed(&edited).request_uri(),
            Some(&b"sip:next@example.com"[..])
        );
    }
    edited.set_body("another body").unwrap_or_else(never);
    assert_eq!(reparsed(&edited).body(), b"another body");
}

/// What a proxy does with a response, and a transport with parameters of the top Via.
fn returned(message: &Message) {
    let vias = |message: &Message| {
        let vias = message.raw_all(Name::Via).flat_map(list::split);
        vias.map(<[u8]>::to_vec).collect::<Vec<_>>()
    };
    let before = vias(message);
    let mut edited = message.clone();
    edited
        .set_via_param("received", Some("192.0.2.9"))
        .unwrap_or_else(never);
    let again = reparsed(&edited);
    let top = again.top_via().unwrap_or_else(never);
    assert_eq!(top.received(), Some(Ipv4Addr::new(192, 0, 2, 9).into()));
    assert_eq!(vias(&again)[1..], before[1..]);

    assert!(edited.remove_via_param("received").unwrap_or_else(never));
    let again = reparsed(&edited);
    assert_eq!(again.top_via().unwrap_or_else(never).received(), None);
    assert_eq!(vias(&again)[1..], before[1..]);

    edited.remove_first_value(Name::Via).unwrap_or_else(never);
    assert_eq!(vias(&reparsed(&edited)), before[1..]);
}

/// What a transport does on receipt (RFC 3261 §18.2.1, RFC 3581 §4).
fn stamped(data: &[u8], limits: &Limits) {
    let head = Head::parse(data, limits).unwrap_or_else(never);
    let stamped = head.to_received(data, source(), true);
    let again = reparsed(&stamped);
    assert!(again.check().is_ok());
    if again.is_request() {
        let via = again.top_via().unwrap_or_else(never);
        assert_eq!(
            (via.received(), via.rport()),
            (Some(source().ip()), Some(Some(40_000)))
        );
    }
}

/// Prints a message and parses the print, which must give the same.
fn reparsed(message: &Message) -> Message {
    let printed = message.to_bytes();
    assert_eq!(printed.len(), message.wire_len());
    let again = Message::parse(printed).unwrap_or_else(never);
    assert_eq!(again.start_line(), message.start_line());
    assert_eq!(rows(&again), rows(message));
    assert_eq!(again.body(), message.body());
    again
}

/// Names and values of all header rows.
pub(crate) fn rows(message: &Message) -> Vec<(Vec<u8>, Vec<u8>)> {
    let row = |row: HeaderRow<'_>| (row.name_text().to_vec(), row.value().to_vec());
    message.rows().map(row).collect()
}

/// For `unwrap_or_else`: shows the error as a user would see it.
pub(crate) fn never<T>(error: impl std::fmt::Display) -> T {
    panic!("{error}")
}
