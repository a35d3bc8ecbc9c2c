//! Redaction.
#![allow(clippy::unwrap_used)]

mod common;

use std::borrow::Cow;

use common::OPTIONS;
use proptest::prelude::*;
use sip_capture::Redaction;
use sip_capture::sip_transport_proto::sip_core::message::Head;
use sip_capture::sip_transport_proto::sip_core::{Limits, Name, Reading};

const SECRET: &str = "c0ffee";

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

/// OPTIONS with more rows, and a body.
fn with(rows: &str, body: &str) -> Vec<u8> {
    let text = String::from_utf8(OPTIONS.to_vec()).unwrap();
    let rows = format!("{rows}Content-Length: {}\r\n\r\n{body}", body.len());
    text.replace("Content-Length: 0\r\n\r\n", &rows)
        .into_bytes()
}

#[test]
fn what_has_no_secret_is_not_copied() {
    let message = with("Subject: lunch\r\n", "Hello");
    let redacted = Redaction::credentials().apply(&message);
    assert!(matches!(redacted, Cow::Borrowed(_)));
    assert!(matches!(
        Redaction::none().apply(b"\x00\xFF"),
        Cow::Borrowed(_)
    ));
}

#[test]
fn credentials_are_replaced_however_they_are_written() {
    for row in [
        "Authorization: Digest response=\"c0ffee\"\r\n",
        "authorization  :Digest\r\n response=\"c0ffee\"\r\n",
        "PROXY-AUTHORIZATION:Basic c0ffee\r\n",
        "Authorization: Digest username=\"a\",\r\n\tresponse=\"c0ffee\"\r\nSubject: x\r\n",
        "Authorization: Digest username=\"a\",\rresponse=\"c0ffee\"\r\n",
        "Authorization: Digest username=\"a\",\nresponse=\"c0ffee:x\"\r\n",
        "Authorization: a\r\nAuthorization: c0ffee\r\n",
    ] {
        let message = with(row, "v=0\r\n");
        let redacted = Redaction::credentials().apply(&message);
        assert!(!contains(&redacted, SECRET), "{row:?}");
        assert!(contains(&redacted, "uthorization") || contains(&redacted, "UTHORIZATION"));
        assert!(redacted.ends_with(b"\r\n\r\nv=0\r\n"));
        assert!(contains(&redacted, "Call-ID: a84b4c76e66710\r\n"));
    }
}

#[test]
fn a_secret_in_a_body_that_stays_is_hidden_at_its_length() {
    let body = "NOTIFY sip:a SIP/2.0\r\nAuthorization: c0ffee\r\n\r\nAuthorization: c0ffee\r\n";
    let message = with("", body);
    let redacted = Redaction::credentials().apply(&message);
    assert_eq!(redacted.len(), message.len());
    assert!(!contains(&redacted, SECRET));
}

#[test]
fn a_malformed_message_is_redacted_too() {
    for message in [
        "Authorization: c0ffee\r\nAuthorization: c0ffee",
        "INVITE\r\n\r\n\r\nAuthorization: c0ffee",
        "\r\n\r\nINVITE sip:a SIP/2.0\nno colon\nAuthorization: c0ffee\n\n",
    ] {
        // The first line of a message is its start line, whatever it looks like.
        let redacted = Redaction::credentials()
            .bodies(true)
            .apply(message.as_bytes());
        let rest = redacted.splitn(2, |b| *b == b'\n').last().unwrap();
        assert!(!contains(rest, SECRET), "{message:?}");
    }
}

/// Rows that the strict grammar knows.
fn rows() -> impl Strategy<Value = String> {
    let row = prop_oneof![
        "Subject: [a-z]{0,10}\r\n",
        "Authorization: Digest response=\"[0-9a-f]{32}\"\r\n",
        "Proxy-Authorization:\r\n Digest response=\"[0-9a-f]{32}\"\r\n",
    ];
    prop::collection::vec(row, 0..4).prop_map(|rows| rows.concat())
}

proptest! {
    #[test]
    fn a_redacted_message_is_well_framed_and_keeps_its_other_rows(rows in rows(), body in ".{0,100}", bodies: bool) {
        let limits = Limits::default().with_reading(Reading::Strict);
        let message = with(&rows, &body);
        let redacted = Redaction::credentials().bodies(bodies).apply(&message);
        let mut head = Head::parse(&redacted, &limits).unwrap();
        head.check(&redacted).unwrap();
        prop_assert_eq!(head.len(), redacted.len());
        let body_len = if bodies { 0 } else { body.len() };
        prop_assert_eq!(redacted.len() - head.head_len(), body_len);
        let original = Head::parse(&message, &limits).unwrap();
        for name in [Name::CallId, Name::From, Name::Subject, Name::CSeq] {
            prop_assert_eq!(head.raw(&redacted, name), original.raw(&message, name));
        }
        let values = head.raw(&redacted, Name::Authorization);
        prop_assert_eq!(values.is_some(), original.raw(&message, Name::Authorization).is_some());
        prop_assert!(values.is_none_or(|value| value == b"Redacted by=capture"));
    }

    #[test]
    fn any_bytes_are_redacted_without_a_panic_and_once_is_enough(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let redaction = Redaction::credentials().bodies(true);
        let once = redaction.apply(&bytes);
        prop_assert_eq!(redaction.apply(&once), once.clone());
    }
}
