//! Edits: what changes, and that everything else stays byte for byte.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use proptest::prelude::*;
use sip_core::message::EditError;
use sip_core::{Message, Name};

const TEXT: &str = "INVITE sip:b@h SIP/2.0\r\nSubject :  a \r\n  b \r\nv: SIP/2.0/UDP one;branch=z9hG4bK1 ; \
    Extra=\"x;y\" , SIP/2.0/TCP two;branch=z9hG4bK2\r\nVia: SIP/2.0/TLS three\r\nroute: <sip:r>\r\n\
    X-Other: z\r\nl:4\r\n\r\nbody";

fn message() -> Message {
    Message::parse(TEXT).unwrap()
}

/// Both ways to hold a message are edited alike.
#[track_caller]
fn edited(edit: impl Fn(&mut Message), from: &str, to: &str) {
    let data = [TEXT.as_bytes(), b"noise"].concat();
    let head = sip_core::message::Head::parse(&data, &Default::default()).unwrap();
    assert_eq!(TEXT.matches(from).count(), 1, "{from:?}");
    let expected = TEXT.replace(from, to);
    for mut message in [message(), head.to_message(&data)] {
        let before = message.clone();
        edit(&mut message);
        assert_eq!(String::from_utf8_lossy(&message.to_bytes()), expected);
        assert_eq!(message.wire_len(), expected.len());
        assert_eq!(before.to_bytes(), TEXT, "a clone does not change");
        let again = Message::parse(message.to_bytes()).unwrap();
        assert!(
            again
                .rows()
                .map(|r| r.value())
                .eq(message.rows().map(|r| r.value()))
        );
        assert!(
            again
                .rows()
                .map(|r| r.name())
                .eq(message.rows().map(|r| r.name()))
        );
    }
}

// conformance: 175, 179
#[test]
fn a_new_via_goes_before_all_others() {
    edited(
        |m| m.prepend(Name::Via, "SIP/2.0/TCP zero").unwrap(),
        "v: SIP/2.0/UDP one",
        "Via: SIP/2.0/TCP zero\r\nv: SIP/2.0/UDP one",
    );
}

// conformance: 180
#[test]
fn routing_headers_go_near_the_top_and_others_to_the_end() {
    edited(
        |m| m.prepend("Record-Route", "<sip:p;lr>").unwrap(),
        "three\r\n",
        "three\r\nRecord-Route: <sip:p;lr>\r\n",
    );
    edited(
        |m| m.prepend("Server", "x").unwrap(),
        "l:4\r\n",
        "l:4\r\nServer: x\r\n",
    );
    let mut bare = Message::parse("BYE sip:x SIP/2.0\r\nA: b\r\n\r\n").unwrap();
    bare.prepend(Name::Via, "SIP/2.0/UDP h").unwrap();
    assert_eq!(
        bare.to_bytes(),
        "BYE sip:x SIP/2.0\r\nVia: SIP/2.0/UDP h\r\nA: b\r\n\r\n"
    );
}

// conformance: 178, 179; RFC 3261 §16.7
#[test]
fn removing_the_top_via_removes_one_value() {
    edited(
        |m| m.remove_first_value(Name::Via).unwrap(),
        "SIP/2.0/UDP one;branch=z9hG4bK1 ; Extra=\"x;y\" , SIP/2.0/TCP two",
        "SIP/2.0/TCP two",
    );
    edited(
        |m| (0..2).for_each(|_| m.remove_first_value("via").unwrap()),
        "v: SIP/2.0/UDP one;branch=z9hG4bK1 ; Extra=\"x;y\" , SIP/2.0/TCP two;branch=z9hG4bK2\r\n",
        "",
    );
    let error = message().remove_first_value(Name::Path).unwrap_err();
    assert_eq!(error, EditError::NoSuch(Name::Path));
}

// conformance: 176, 177
#[test]
fn a_parameter_of_the_top_via_changes_alone() {
    edited(
        |m| m.set_via_param("received", Some("192.0.2.1")).unwrap(),
        "\"x;y\" ,",
        "\"x;y\";received=192.0.2.1 ,",
    );
    edited(
        |m| m.set_via_param("rport", None).unwrap(),
        "\"x;y\" ,",
        "\"x;y\";rport ,",
    );
    edited(
        |m| m.set_via_param("BRANCH", Some("new")).unwrap(),
        "branch=z9hG4bK1",
        "BRANCH=new",
    );
    edited(
        |m| assert!(m.remove_via_param("extra").unwrap()),
        " ; Extra=\"x;y\"",
        " ",
    );
    edited(
        |m| assert!(m.remove_via_param("branch").unwrap()),
        ";branch=z9hG4bK1",
        "",
    );
    edited(
        |m| assert!(!m.remove_via_param("none").unwrap()),
        "l:4",
        "l:4",
    );
}

#[test]
fn set_replaces_all_rows_by_one() {
    edited(
        |m| m.set("X-OTHER", " y ").unwrap(),
        "X-Other: z",
        "X-OTHER: y",
    );
    edited(
        |m| m.set("New", "n").unwrap(),
        "l:4\r\n",
        "l:4\r\nNew: n\r\n",
    );
    let mut message = message();
    message.set(Name::Via, "SIP/2.0/UDP only").unwrap();
    assert_eq!(
        message.raw_all("v").collect::<Vec<_>>(),
        [b"SIP/2.0/UDP only"]
    );
    assert_eq!(message.remove(Name::Via), 1);
    assert_eq!(message.remove(Name::Via), 0);
    assert_eq!(message.raw(Name::Via), None);
}

#[test]
fn rows_are_removed_with_their_folds() {
    edited(
        |m| assert_eq!(m.remove("s"), 1),
        "Subject :  a \r\n  b \r\n",
        "",
    );
    edited(|m| assert_eq!(m.remove("l"), 1), "l:4\r\n", "");
    edited(|m| assert_eq!(m.remove("x-other"), 1), "X-Other: z\r\n", "");
}

#[test]
fn a_part_of_a_value_is_replaced_in_place() {
    edited(
        |m| m.splice(0, 0..1, b"long text").unwrap(),
        "Subject :  a",
        "Subject :  long text",
    );
    edited(
        |m| m.splice(3, 1..6, b"tel:1").unwrap(),
        "<sip:r>",
        "<tel:1>",
    );
    let mut message = message();
    assert!(message.splice(0, 3..99, b"").is_err());
    #[expect(clippy::reversed_empty_ranges)]
    let reversed = message.splice(0, 3..1, b"");
    assert!(reversed.is_err());
    assert!(message.splice(99, 0..0, b"").is_err());
    assert_eq!(message.to_bytes(), TEXT);
}

#[test]
fn a_new_body_has_its_length() {
    edited(
        |m| m.set_body("longer body").unwrap(),
        "l:4\r\n\r\nbody",
        "Content-Length: 11\r\n\r\nlonger body",
    );
    edited(
        |m| m.set_body("").unwrap(),
        "l:4\r\n\r\nbody",
        "Content-Length: 0\r\n\r\n",
    );
}

#[test]
fn the_request_uri_changes_alone() {
    edited(
        |m| m.set_request_uri("tel:+1555").unwrap(),
        "sip:b@h",
        "tel:+1555",
    );
    for uri in ["", "a b", "a\r\nVia: x", "a\0", "a\t"] {
        let mut message = message();
        assert!(message.set_request_uri(uri).is_err(), "{uri:?}");
        assert_eq!(message.to_bytes(), TEXT);
    }
    let mut response = Message::parse("SIP/2.0 200 OK\r\nA: b\r\n\r\n").unwrap();
    assert_eq!(
        response.set_request_uri("sip:x"),
        Err(EditError::NotRequest)
    );
}

// bad-inputs: P11
#[test]
fn no_value_or_name_can_start_another_line() {
    for bad in ["a\r\nVia: x", "a\rb", "a\nb", "\0", "\r\n", "\r\n x"] {
        let mut message = message();
        assert!(message.append("X", bad).is_err());
        assert!(message.prepend(Name::Via, bad).is_err());
        assert!(message.set(Name::To, bad).is_err());
        assert!(message.append(bad, "x").is_err());
        assert!(message.set_via_param("a", Some(bad)).is_err());
        assert!(message.set_via_param(bad, None).is_err());
        assert!(message.splice(0, 0..1, bad.as_bytes()).is_err());
        assert_eq!(message.to_bytes(), TEXT, "a refused edit changes nothing");
    }
    assert!(message().append("", "x").is_err());
    assert!(message().append(Name::Other, "x").is_err());
    assert!(message().append("a b", "x").is_err());
    assert!(message().append("a:", "x").is_err());
}

#[test]
fn edits_have_room_for_64_kib() {
    let mut message = message();
    let long = "y".repeat(30_000);
    message.append("X", &long).unwrap();
    message.append("X", &long).unwrap();
    assert_eq!(message.append("X", &long), Err(EditError::TooLong(30_005)));
    assert_eq!(message.wire_len(), TEXT.len() + 2 * 30_005);
}

#[derive(Clone, Debug)]
enum Edit {
    Prepend(&'static str, &'static str),
    Append(&'static str, &'static str),
    Set(&'static str, &'static str),
    Remove(&'static str),
    RemoveFirst(&'static str),
    SetParam(&'static str, Option<&'static str>),
    RemoveParam(&'static str),
    Splice(usize, usize, usize),
    Body(&'static str),
}

fn edit() -> impl Strategy<Value = Edit> {
    let name = prop::sample::select(vec!["Via", "v", "Route", "X-Other", "New", "s", "l"]);
    let value = prop::sample::select(vec![
        "",
        "1",
        "SIP/2.0/UDP h;a;b=c",
        "a, b",
        "\"x,",
        "<,>, d",
    ]);
    let param = prop::sample::select(vec!["branch", "extra", "received", "new"]);
    let text = prop::sample::select(vec!["", "w", "token"]);
    let pair = (name.clone(), value);
    prop_oneof![
        pair.clone().prop_map(|(n, v)| Edit::Prepend(n, v)),
        pair.clone().prop_map(|(n, v)| Edit::Append(n, v)),
        pair.prop_map(|(n, v)| Edit::Set(n, v)),
        name.clone().prop_map(Edit::Remove),
        name.prop_map(Edit::RemoveFirst),
        (param.clone(), prop::option::of(text.clone())).prop_map(|(p, v)| Edit::SetParam(p, v)),
        param.prop_map(Edit::RemoveParam),
        (0_usize..8, 0_usize..20, 0_usize..20).prop_map(|(r, a, b)| Edit::Splice(r, a, b)),
        text.prop_map(Edit::Body),
    ]
}

proptest! {
    /// After any edits, what is read of the message is what a reader of its bytes would read.
    #[test]
    fn an_edited_message_reads_as_it_is_written(edits in prop::collection::vec(edit(), 0..12)) {
        let mut message = message();
        for edit in edits {
            let _ = match edit {
                Edit::Prepend(name, value) => message.prepend(name, value),
                Edit::Append(name, value) => message.append(name, value),
                Edit::Set(name, value) => message.set(name, value),
                Edit::Remove(name) => { message.remove(name); Ok(()) }
                Edit::RemoveFirst(name) => message.remove_first_value(name),
                Edit::SetParam(name, value) => message.set_via_param(name, value),
                Edit::RemoveParam(name) => message.remove_via_param(name).map(drop),
                Edit::Splice(row, a, b) => message.splice(row, a..b, b"text"),
                Edit::Body(body) => message.set_body(body),
            };
        }
        message.set(Name::ContentLength, message.body().len().to_string()).unwrap();
        let again = Message::parse(message.to_bytes()).unwrap();
        prop_assert_eq!(message.wire_len(), message.to_bytes().len());
        prop_assert_eq!(again.start_line(), message.start_line());
        prop_assert_eq!(again.body(), message.body());
        let rows = |message: &Message| -> Vec<(Name, Vec<u8>, Vec<u8>)> {
            message.rows().map(|r| (r.name(), r.name_text().to_vec(), r.value().to_vec())).collect()
        };
        prop_assert_eq!(rows(&again), rows(&message));
    }
}
