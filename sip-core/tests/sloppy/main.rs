//! Sloppy inputs: read leniently, refused strictly, told by `lint`, passed on as they came.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod rows;

use std::collections::BTreeMap;

use rows::{Row, Seen};
use sip_core::message::{Head, ParseError};
use sip_core::{Frame, Framer, Limits, Message, Name, Reading};

fn limits(reading: Reading) -> Limits {
    Limits::default().with_reading(reading)
}

fn checked(data: &[u8], reading: Reading) -> Result<Head, ParseError> {
    let mut head = Head::parse(data, &limits(reading))?;
    head.check(data)?;
    Ok(head)
}

fn kinds(message: &Message) -> Vec<String> {
    let mut kinds: Vec<_> = message
        .lint()
        .map(|lint| format!("{:?}", lint.kind()))
        .collect();
    kinds.sort();
    kinds.dedup();
    kinds
}

fn expected(row: &Row) -> Vec<String> {
    let mut kinds: Vec<_> = row.lints.iter().map(ToString::to_string).collect();
    kinds.sort();
    kinds
}

fn assert_seen(message: &Message, seen: &Seen, text: &str) {
    assert_eq!(message.from_tag(), seen.from_tag, "{text}");
    assert_eq!(message.to_tag(), seen.to_tag, "{text}");
    assert_eq!(message.call_id(), Some(seen.call_id), "{text}");
    let via = message.top_via().unwrap();
    assert_eq!(via.branch(), seen.branch, "{text}");
    assert_eq!(via.sent_by().to_string(), seen.sent_by, "{text}");
    let host = message.request_host().map(|host| host.to_string());
    assert_eq!(host.as_deref(), seen.host, "{text}");
    let cseq = message.cseq().unwrap();
    assert_eq!(cseq.to_string(), "1 INVITE", "{text}");
}

// conformance: 161
#[test]
fn what_is_sloppy_is_read_and_told_and_passed_on_as_it_came() {
    let rows = rows::rows();
    let mut counts = BTreeMap::new();
    let mut wrong = Vec::new();
    for row in &rows {
        *counts.entry(row.item).or_insert(0) += 1;
        let text = format!("{} {}", row.item, row.data.escape_ascii());
        let head = match checked(&row.data, Reading::Lenient) {
            Ok(head) => head,
            Err(error) => {
                wrong.push(format!("{error}: {text}"));
                continue;
            }
        };
        let message = head.to_message(&row.data);
        if kinds(&message) != expected(row) {
            wrong.push(format!("{:?}: {text}", kinds(&message)));
            continue;
        }
        assert_eq!(message.to_bytes(), row.data, "{text}");
        assert_seen(&message, &row.seen, &text);

        // Not from the checks, and after an edit that has nothing to do with it.
        let mut parsed = Message::parse(row.data.clone()).unwrap();
        parsed.check().unwrap();
        assert_seen(&parsed, &row.seen, &text);
        parsed.set("X-Edit", "1").unwrap();
        assert_seen(&parsed, &row.seen, &text);
        parsed.check().unwrap();

        // Strict reading refuses what `lint` tells of, and nothing else.
        let strict = checked(&row.data, Reading::Strict);
        assert_eq!(strict.is_err(), !row.lints.is_empty(), "{text}");
        if let Err(error) = strict {
            assert!(
                message
                    .lint()
                    .any(|lint| lint.error().kind() == error.kind()),
                "{error}: {text}"
            );
        }
    }
    assert!(
        wrong.is_empty(),
        "{}\n{} of {}",
        wrong.join("\n"),
        wrong.len(),
        rows.len()
    );
    println!("{} inputs: {counts:?}", rows.len());
    assert!(rows.len() >= 300, "{}", rows.len());
}

#[test]
fn a_stream_gives_the_same_sloppy_messages() {
    let rows = rows::rows();
    for size in [1, 7, usize::MAX] {
        let mut framer = Framer::new(Limits::default());
        for row in &rows {
            let mut frames = Vec::new();
            for piece in row.data.chunks(size.min(row.data.len())) {
                assert_eq!(framer.push(piece), piece.len());
                if let Some(frame) = framer.poll().unwrap() {
                    let Frame::Message { mut head, data } = frame else {
                        panic!()
                    };
                    head.check(data).unwrap();
                    frames.push(head.to_message(data));
                }
            }
            let [message] = &frames[..] else {
                panic!("{}", row.data.escape_ascii())
            };
            assert_eq!(message.to_bytes(), row.data);
            assert_eq!(kinds(message), expected(row));
            assert_seen(message, &row.seen, row.item);
        }
    }
}

// conformance: 176, 177
#[test]
fn of_what_is_passed_on_only_the_top_via_changes() {
    for row in rows::rows() {
        let text = row.data.escape_ascii().to_string();
        let head = checked(&row.data, Reading::Lenient).unwrap();
        let message = head.to_received(&row.data, ([192, 0, 2, 77], 4_000).into(), true);
        assert_seen(&message, &row.seen, &text);
        if message.is_request() {
            let via = message.top_via().unwrap();
            assert_eq!(via.received(), Some([192, 0, 2, 77].into()), "{text}");
            assert_eq!(via.rport(), Some(Some(4_000)), "{text}");
        }
        let others = |data: &[u8]| -> Vec<Vec<u8>> {
            let mut lines: Vec<_> = data.split(|&b| b == b'\n').map(<[u8]>::to_vec).collect();
            lines.remove(1);
            lines
        };
        assert_eq!(others(&message.to_bytes()), others(&row.data), "{text}");
        let again = Message::parse(message.to_bytes()).unwrap();
        again.check().unwrap();
        assert_seen(&again, &row.seen, &text);
        // Those below it are as they came.
        let lower = |message: &Message| {
            let vias = message.raw_all(Name::Via).collect::<Vec<_>>().join(&b',');
            let comma = vias.iter().position(|&b| b == b',').unwrap_or(vias.len());
            vias[comma..].to_vec()
        };
        assert_eq!(
            lower(&message),
            lower(&head.to_message(&row.data)),
            "{text}"
        );
    }
}

#[test]
fn what_two_readers_could_read_in_two_ways_stays_refused() {
    let mut wrong = Vec::new();
    for (what, data) in rows::refused() {
        for reading in [Reading::Lenient, Reading::Strict] {
            if checked(&data, reading).is_ok() {
                wrong.push(format!("{reading:?} {what} {}", data.escape_ascii()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_datagram_may_begin_with_blanks_and_end_with_its_head() {
    for (data, kind) in rows::datagrams() {
        let text = data.escape_ascii().to_string();
        let head =
            checked(&data, Reading::Lenient).unwrap_or_else(|error| panic!("{error}: {text}"));
        let message = head.to_message(&data);
        assert_eq!(kinds(&message), [kind], "{text}");
        assert_eq!(message.from_tag(), Some("f"), "{text}");
        let body: &[u8] = if kind == "NoEmptyLine" { b"" } else { b"body" };
        assert_eq!(message.body(), body, "{text}");
        assert!(checked(&data, Reading::Strict).is_err(), "{text}");
        // What is sent on is whole.
        let again = Message::parse_with(message.to_bytes(), &limits(Reading::Strict)).unwrap();
        again.check().unwrap();
        assert!(again.lint().next().is_none(), "{text}");
    }
}
