//! The torture tests of RFC 4475 and RFC 5118: messages of our own with the same traits, and, where
//! the environment variable `SIP_SHARED` names the folder that has them, the published ones.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    unreachable_pub
)]

mod cases;

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use cases::{Case, Stream, Verdict};
use sip_core::build::salvage;
use sip_core::message::{Head, ParseError};
use sip_core::{Frame, Framer, Limits, Message, StatusCode};

// conformance: 11, 37, 54, 161, 162, 435-495; bad-inputs: P13
#[test]
fn messages_with_the_traits_of_the_rfcs_have_their_verdicts() {
    let (rfc4475, rfc5118) = (cases::rfc4475(), cases::rfc5118());
    // The fiftieth is in the archive only; the last is one of the others with its end.
    assert_eq!((rfc4475.len(), rfc5118.len()), (49 + 1 + 1, 12));
    for case in rfc4475.iter().chain(&rfc5118) {
        judge(case, &case.text);
    }
}

// conformance: 435-495; bad-inputs: P13
#[test]
fn the_published_messages_have_their_verdicts() {
    let Some(shared) = cases::published() else {
        println!("skipped: SIP_SHARED does not name the folder with the published messages");
        return;
    };
    let folder = shared.join("rfc4475");
    let cases = cases::rfc4475();
    assert_eq!(published(&folder, ".dat", &cases), 50);
    for (file, name) in [("baddn.dat", "crlf-fixed/baddn"), ("trws.dat", "trws")] {
        let data = fs::read(folder.join("crlf-fixed").join(file)).unwrap();
        judge(named(&cases, name), &data);
    }
    let folder = shared.join("rfc5118");
    assert_eq!(published(&folder, "", &cases::rfc5118()), 12);
}

// bad-inputs: P10
#[test]
fn a_torture_message_cut_anywhere_is_read_or_refused() {
    for case in cases::rfc4475().iter().chain(&cases::rfc5118()) {
        let name = case.name;
        for len in 0..case.text.len() {
            let data = &case.text[..len];
            if let Ok(message) = datagram(data) {
                is_untouched(&message, data);
            }
            let (results, _) = stream(data.chunks(data.len().max(1)));
            assert!(results.len() <= 2, "{name}: {len}");
            if let Some(salvaged) = salvage(data) {
                let source = ([192, 0, 2, 1], 5060).into();
                let reply = salvaged.reply(StatusCode::BAD_REQUEST, "", "t", source, Some(len));
                assert!(
                    reply.is_none_or(|reply| reply.len() <= len),
                    "{name}: {len}"
                );
            }
        }
    }
}

/// Judges the messages that the folder's `index.tsv` lists and holds the index against the
/// verdicts; says how many there are.
fn published(folder: &Path, extension: &str, cases: &[Case]) -> usize {
    let index = fs::read_to_string(folder.join("index.tsv")).unwrap();
    let mut lines = index.lines();
    let columns: Vec<_> = lines.next().unwrap().split('\t').collect();
    let mut count = 0;
    for line in lines {
        let row: HashMap<_, _> = columns.iter().copied().zip(line.split('\t')).collect();
        let file = row["file"];
        let case = named(cases, file.trim_end_matches(extension));
        let data = fs::read(folder.join(file)).unwrap();
        let size = ["bytes", "bytes_crlf"]
            .iter()
            .find_map(|column| row.get(column))
            .unwrap();
        assert_eq!(data.len().to_string(), *size, "{file}");
        if let Some(&kind) = row.get("kind") {
            assert_eq!(kind == "request", case.is_request(), "{file}");
        }
        match (row["parse"], case.verdict) {
            ("accept", Verdict::Delivered(_)) | ("either", _) => {}
            ("reject", Verdict::Refused(status, _)) => {
                let wants_505 = row.get("element_action") == Some(&"505");
                assert_eq!(status, if wants_505 { 505 } else { 400 }, "{file}");
            }
            (parse, _) => panic!("{file}: {parse} says the index"),
        }
        let stream = match row.get("stream_note").copied().unwrap_or("-") {
            "-" => Stream::Same,
            note if note.contains("two requests") => Stream::Two,
            note if note.to_lowercase().contains("incomplete") => Stream::Incomplete,
            note if note.contains("fatal") || note.contains("cannot frame") => Stream::Broken,
            note => panic!("{file}: {note} says the index"),
        };
        assert_eq!(case.stream, stream, "{file}");
        judge(case, &data);
        count += 1;
    }
    count
}

fn named<'a>(cases: &'a [Case], name: &str) -> &'a Case {
    let found = cases.iter().find(|case| case.name == name);
    found.unwrap_or_else(|| panic!("no case {name}"))
}

fn judge(case: &Case, data: &[u8]) {
    let name = case.name;
    println!("{name}: {} bytes", data.len());
    let result = datagram(data);
    agrees(case, &result);
    if let Ok(message) = &result {
        assert_eq!(message.is_request(), case.is_request(), "{name}");
        is_untouched(message, data);
    }
    let (results, is_waiting) = stream(data.chunks(data.len()));
    match case.stream {
        Stream::Same => {
            assert_eq!((results.len(), is_waiting), (1, false), "{name}");
            agrees(case, &results[0]);
        }
        Stream::Two => {
            agrees(case, &results[0]);
            // The second of the published ones is longer than it says.
            let oks: Vec<_> = results.iter().map(Result::is_ok).collect();
            assert!(
                matches!(oks[..], [true, true] | [true, true, false]),
                "{name}"
            );
        }
        Stream::Incomplete => assert_eq!((results.len(), is_waiting), (0, true), "{name}"),
        Stream::Broken => {
            assert_eq!(results.len(), 1, "{name}");
            let error = results[0].as_ref().unwrap_err();
            assert!(error.is_fatal_for_stream(), "{name}: {error}");
        }
    }
    let bytes = |results: Vec<Result<Message, ParseError>>| -> Vec<_> {
        results
            .into_iter()
            .map(|result| result.map(|message| message.to_bytes()))
            .collect()
    };
    let (one_by_one, still_waiting) = stream(data.chunks(1));
    assert_eq!(still_waiting, is_waiting, "{name}");
    assert_eq!(bytes(one_by_one), bytes(results), "{name}");
}

/// What came is what goes on, and the empty line behind the head if that is missing.
fn is_untouched(message: &Message, data: &[u8]) {
    let bytes = message.to_bytes();
    let whole = [data, b"\r\n"].concat();
    assert!(data.starts_with(&bytes) || bytes == whole, "{message:?}");
}

fn agrees(case: &Case, result: &Result<Message, ParseError>) {
    let name = case.name;
    match (case.verdict, result) {
        (Verdict::Delivered(facts), Ok(message)) => facts(message),
        (Verdict::Delivered(_), Err(error)) => panic!("{name}: {error}"),
        (Verdict::Refused(status, reason), Err(error)) => {
            assert_eq!(error.status().code(), status, "{name}: {error}");
            assert!(error.to_string().contains(reason), "{name}: {error}");
        }
        (Verdict::Refused(..), Ok(message)) => panic!("{name}: delivered {message:?}"),
    }
}

fn datagram(data: &[u8]) -> Result<Message, ParseError> {
    let mut head = Head::parse(data, &Limits::default())?;
    head.check(data)?;
    Ok(head.to_message(data))
}

/// The messages and errors of a stream, and whether it ended inside a message.
fn stream<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> (Vec<Result<Message, ParseError>>, bool) {
    let mut framer = Framer::new(Limits::default());
    let mut results = Vec::new();
    for chunk in chunks {
        assert_eq!(framer.push(chunk), chunk.len());
        loop {
            match framer.poll() {
                Ok(Some(Frame::Message { mut head, data })) => {
                    results.push(head.check(data).map(|()| head.to_message(data)));
                }
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(error) => {
                    results.push(Err(error));
                    return (results, false);
                }
            }
        }
    }
    (results, framer.is_inside_message() || framer.buffered() > 0)
}
